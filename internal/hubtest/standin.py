"""What a hub starts in place of a notebook server: it answers every request, and
writes its environment down, for tests that run programs "in" it. A page.html in
its home is what it shows.

    standin.py FOLDER
"""

import http.server
import json
import os
import socket
import sys
import threading
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"the server of " + os.environ["JUPYTERHUB_USER"].encode() + b"\n"
        self.send_response(200)
        if os.path.exists("page.html"):
            with open("page.html", "rb") as f:
                body = f.read()
            self.send_header("Content-Type", "text/html")
            # The worst of neighbours asks to stay with windows of its own origin.
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def main():
    folder = sys.argv[1]
    # The test's end of this connection closes with the test, however it ends.
    life = socket.socket(socket.AF_UNIX)
    life.connect(os.path.join(folder, "life"))
    threading.Thread(target=lambda: (life.recv(1), os._exit(0)), daemon=True).start()

    name = "@".join(urllib.parse.quote(os.environ[k], safe="") for k in ("JUPYTERHUB_USER", "JUPYTERHUB_SERVER_NAME"))
    path = os.path.join(folder, "servers", name + ".json")
    with os.fdopen(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        json.dump({"pid": os.getpid(), "env": dict(os.environ), "dir": os.getcwd()}, f)
    os.rename(path + ".new", path)

    port = urllib.parse.urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]).port
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


main()
