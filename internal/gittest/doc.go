// Package gittest makes git repositories for tests and serves them on loopback
// addresses, as git http-backend does.
package gittest
