// Package pullpage is the user's page around a pull, behind their own Jupyter
// server. It runs no git and merges nothing.
package pullpage
