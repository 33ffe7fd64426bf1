// Package jupytertest runs real Jupyter Servers for tests.
package jupytertest
