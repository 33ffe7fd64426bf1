// Package devpitest runs real devpi servers and their clients for tests, and holds
// what stands in for them to the same suite.
package devpitest
