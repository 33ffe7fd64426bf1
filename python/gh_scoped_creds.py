"""The notebook magic of gh-scoped-creds, for sites that switch to daypass.

    import gh_scoped_creds      # or: %load_ext gh_scoped_creds
    %ghscopedcreds

runs the program gh-scoped-creds, which is "daypass login" with the old flags,
and shows what it says. Nothing of it is kept here.
"""

import shlex
import shutil
import signal
import subprocess
import sys


def ghscopedcreds(line=""):
    """Log in with a code, from a notebook: %ghscopedcreds [FLAGS]"""
    program = shutil.which("gh-scoped-creds")
    if program is None:
        print('gh-scoped-creds was not found. Ask the admins to install daypass ("make install").')
        return
    child = subprocess.Popen(
        [program, *shlex.split(line)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, encoding="utf-8", errors="replace",
    )
    try:
        for text in child.stdout:
            print(text, end="", flush=True)
    except KeyboardInterrupt:
        child.send_signal(signal.SIGINT)  # it ends what it was given
        print(child.stdout.read(), end="", flush=True)
    status = child.wait()
    if status != 0:
        print(f"(gh-scoped-creds ended with status {status})")


def load_ipython_extension(ipython):
    ipython.register_magic_function(ghscopedcreds, "line")


# As before, importing is enough; and IPython is not imported for that.
if "IPython" in sys.modules:
    _shell = sys.modules["IPython"].get_ipython()
    if _shell is not None:
        load_ipython_extension(_shell)
