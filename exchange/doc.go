// Package exchange finds out whose job a CI system's OpenID token belongs to, and
// which of the admin's rules gives such a job a pass. It mints none.
package exchange
