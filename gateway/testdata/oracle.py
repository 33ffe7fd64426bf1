"""Answers what devpi-server itself makes of a request.

Each line of the input is a JSON object: {"target", "method", "agent", "accept"}
asks for the route and what stands in its places, {"form", "type"} for the fields
of a form as webob reads them. Each answer is one line of JSON.
"""
import base64
import io
import json
import logging
import os
import sys
import tempfile
import urllib.parse

home = tempfile.mkdtemp()
os.environ["HOME"] = home

from devpi_server.config import get_pluginmanager, parseoptions  # noqa: E402
from devpi_server.main import XOM  # noqa: E402
from pyramid.interfaces import IRoutesMapper  # noqa: E402
from pyramid.request import Request  # noqa: E402

logging.disable(logging.CRITICAL)


def application():
    options = ["devpi-server", "--serverdir", home, "--argon2-time-cost", "1", "--argon2-memory-cost", "1024"]
    config = parseoptions(get_pluginmanager(), options)
    config.init_nodeinfo()
    app = XOM(config).create_app()
    while not hasattr(app, "registry"):
        app = next(getattr(app, name) for name in ("app", "application") if hasattr(app, name))
    return app


def environ(method, path, body, **more):
    return {
        "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "", "SCRIPT_NAME": "", "SERVER_NAME": "localhost", "SERVER_PORT": "80",
        "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)), **more,
    }


def route(mapper, registry, ask):
    path = urllib.parse.unquote_to_bytes(ask["target"].partition("?")[0]).decode("latin-1")
    request = Request(environ(ask["method"], path, b"", HTTP_USER_AGENT=ask["agent"], HTTP_ACCEPT=ask["accept"] or "*/*"))
    request.registry = registry
    try:
        found = mapper(request)
    except UnicodeDecodeError:
        return {"route": ""}
    if found["route"] is None:
        return {"route": ""}
    places = {k: v.rstrip("/") if isinstance(v, str) else "" for k, v in found["match"].items()}
    return {"route": found["route"].name, "places": places}


def form(ask):
    body = base64.b64decode(ask["form"])
    fields = []
    for name, value in Request(environ("POST", "/a/b/", body, CONTENT_TYPE=ask["type"])).POST.items():
        if hasattr(value, "filename"):
            name, value = name + " " + value.filename, value.file.read()
        else:
            value = value.encode()
        fields.append([name, base64.b64encode(value).decode()])
    return {"fields": fields}


def main():
    app = application()
    mapper = app.registry.getUtility(IRoutesMapper)
    for line in sys.stdin:
        ask = json.loads(line)
        answer = form(ask) if "form" in ask else route(mapper, app.registry, ask)
        print(json.dumps(answer), flush=True)


main()
