// Package jupytertest runs real Jupyter Servers for tests, with daypass' page in
// them as a site has it: the Python package of python/ installed, the programs on
// PATH. It knows no page: what it starts is what jupyter-server-proxy starts.
//
// "make test" installs a Jupyter Server (scripts/tools.sh jupyter) and says where
// in DAYPASS_TEST_JUPYTER.
package jupytertest
