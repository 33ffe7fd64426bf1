// Package pullpage is the user's page around a pull, behind their own Jupyter
// server: it reads nbgitpuller's links, shows where content comes from and goes
// to, follows a pull while it runs, and tells afterwards what changed and what
// was kept.
//
// It runs no git and merges nothing: what a pull is, it is handed ([Config]). It
// decides nothing about who may read what. Whoever reaches it owns the server;
// who that is, jupyter-server-proxy asks before it passes a request on.
package pullpage
