"""daypass' page around pulls, in Jupyter Server, by jupyter-server-proxy.

    pip install /usr/local/share/daypass/python

is all, where the programs daypass, daypass-page and git-credential-daypass are on
PATH. Then BASE/daypass/ is the page, and so are the addresses of nbgitpuller's
links: BASE/git-pull, BASE/git-sync and BASE/interact. Settings are variables of
the server's environment:

DAYPASS_PROGRAM   the absolute path of daypass, where it is not on PATH.

DAYPASS_GIT_PULL  "nbgitpuller" leaves nbgitpuller's addresses to nbgitpuller; the
                  page is at BASE/daypass/ alone. Otherwise the addresses are
                  daypass', also where nbgitpuller is installed: Jupyter Server
                  loads its extensions by their names, jupyter_server_proxy comes
                  before nbgitpuller, and who is first has an address.

DAYPASS_PAGE_LISTEN  "port" makes the page listen on a port of 127.0.0.1, for
                  machines where it can have no unix socket. On a port it answers
                  nobody but this server: a secret of this start, which only this
                  module and the page know, goes with each request.

What the page is told of its place: Jupyter's base address, and the folder that
Jupyter shows as its root, beyond which nothing is pulled. What it is not told is
who is logged in: cookies and tokens of the Jupyter server end here. What nbgitpuller's
GitPuller.depth says in the Jupyter server's configuration goes on holding.
"""

import os
import secrets
import shutil

# Names that pages have below Jupyter's base address: the first is ours, the
# others are those of links that were made for nbgitpuller.
NAMES = ("daypass", "git-pull", "git-sync", "interact")

# How long the page may take until it answers for the first time. A home on a
# network at the start of a class is slow.
START_SECONDS = 30

SECRET_HEADER = "X-Daypass-Page"
SECRET_VARIABLE = "DAYPASS_PAGE_SECRET"

# Of nbgitpuller. DAYPASS_PULL_DEPTH wins over it.
DEPTH_VARIABLE = "NBGITPULLER_DEPTH"


def daypass():
    return _entry("daypass")


def git_pull():
    return _entry("git-pull")


def git_sync():
    return _entry("git-sync")


def interact():
    return _entry("interact")


def _entry(name):
    if name != NAMES[0] and os.environ.get("DAYPASS_GIT_PULL") == "nbgitpuller":
        # jupyter-server-proxy says so in the server's log, and goes on.
        raise LookupError("DAYPASS_GIT_PULL leaves it to nbgitpuller")

    def command(port, unix_socket):  # jupyter-server-proxy looks at these names
        return _command(name, port, unix_socket)

    entry = {
        "command": command,
        "timeout": START_SECONDS,
        "launcher_entry": {"enabled": False, "title": "daypass"},
        # The page needs to know no one's session. An empty header is none to it.
        "request_headers_override": {"Cookie": "", "Authorization": ""},
    }
    variables = {}
    # It is called when the page is started, and then Jupyter has read its configuration.
    entry["environment"] = lambda: {**variables, **_depth()}
    if os.environ.get("DAYPASS_PAGE_LISTEN") == "port":
        secret = secrets.token_hex(32)
        variables[SECRET_VARIABLE] = secret
        entry["request_headers_override"][SECRET_HEADER] = secret
    else:
        # In a folder of its own, which is 0700 as tempfile.mkdtemp makes it.
        entry["unix_socket"] = True
    return entry


def _command(name, port, unix_socket):
    listen = ["--socket", unix_socket] if unix_socket else ["--port", str(port)]
    words = [_program(), "page", *listen, "--name", name, "--root", _root()]
    # jupyter-server-proxy fills in what stands in braces, and does so here too.
    return [w.replace("{", "{{").replace("}", "}}") for w in words] + ["--base-url", "{base_url}"]


def _program():
    program = os.environ.get("DAYPASS_PROGRAM") or shutil.which("daypass")
    if program and os.path.isabs(program) and os.access(program, os.X_OK):
        return program
    from tornado.web import HTTPError

    error = HTTPError(503, "daypass is not on PATH, and DAYPASS_PROGRAM names no program")
    error.reason = "daypass was not found. Ask the admins to install it, or to set DAYPASS_PROGRAM"
    raise error


def _server():
    """The Jupyter server, where there is one: jupyter-server-proxy also runs alone."""
    try:
        from jupyter_server.serverapp import ServerApp

        return ServerApp.instance() if ServerApp.initialized() else None
    except ImportError:
        return None


def _depth():
    """nbgitpuller's trait GitPuller.depth, which wins over its variable there too."""
    server = _server()
    depth = server.config.get("GitPuller", {}).get("depth") if server else None
    if hasattr(depth, "get_value"):  # from the command line: --GitPuller.depth=5
        from traitlets import Integer

        depth = depth.get_value(Integer())
    return {} if depth is None else {DEPTH_VARIABLE: str(depth)}


def _root():
    """The folder that Jupyter shows as its root."""
    server = _server()
    return os.path.abspath(os.path.expanduser(server.root_dir)) if server else os.getcwd()
