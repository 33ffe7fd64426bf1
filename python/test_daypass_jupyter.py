"""Tests of daypass_jupyter that need no server, only what a server has installed:
internal/jupytertest runs them with its Python."""

import importlib
import os
import re
import stat
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from jupyter_server.serverapp import ServerApp
from jupyter_server_proxy.config import ServerProcess
from tornado.web import HTTPError

import daypass_jupyter


def handler(name="git-pull", base_url="/user/ann/"):
    """What jupyter-server-proxy makes of an entry, as far as a request sees it."""
    entry = getattr(daypass_jupyter, name.replace("-", "_"))()
    cls, kwargs = ServerProcess(name=name, **entry).make_proxy_handler()
    h = cls.__new__(cls)
    h.initialize(**kwargs)
    for k, v in dict(ServerProcess(name=name, **entry).get_proxy_attributes()).items():
        setattr(h, k, v)
    type(h).base_url = base_url
    return h


class Entry(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory(prefix="{odd} ")
        self.addCleanup(self.dir.cleanup)
        self.program = os.path.join(self.dir.name, "daypass")
        with open(self.program, "w") as f:
            f.write("#!/bin/sh\n")
        os.chmod(self.program, 0o755)
        environ = {"PATH": self.dir.name, "HOME": self.dir.name, "TMPDIR": self.dir.name}
        patch = mock.patch.dict(os.environ, environ, clear=True)
        patch.start()
        self.addCleanup(patch.stop)
        where = mock.patch.object(tempfile, "tempdir", self.dir.name)
        where.start()
        self.addCleanup(where.stop)

    def test_socket(self):
        for name in daypass_jupyter.NAMES:
            h = handler(name)
            cmd = h.get_cmd()
            self.assertEqual(cmd[:3], [self.program, "page", "--socket"])
            self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(cmd[3])).st_mode), 0o700)
            self.assertEqual(cmd[4:], ["--name", name, "--root", os.getcwd(), "--base-url", "/user/ann/"])
            self.assertEqual(h.port, 0)
            self.assertEqual(h.get_request_headers_override(), {"Cookie": "", "Authorization": ""})
            self.assertEqual(h.get_env(), {})

    def test_port(self):
        os.environ["DAYPASS_PAGE_LISTEN"] = "port"
        seen = set()
        for name in daypass_jupyter.NAMES:
            h = handler(name)
            cmd = h.get_cmd()
            self.assertEqual(cmd[2:4], ["--port", str(h.port)])
            secret = h.get_env()["DAYPASS_PAGE_SECRET"]
            self.assertRegex(secret, r"\A[0-9a-f]{64}\Z")
            self.assertEqual(h.get_request_headers_override()["X-Daypass-Page"], secret)
            self.assertNotIn(secret, " ".join(cmd))
            seen.add(secret)
        self.assertEqual(len(seen), len(daypass_jupyter.NAMES), "each start has a secret of its own")

    def test_program(self):
        other = os.path.join(self.dir.name, "other")
        os.symlink(self.program, other)
        os.environ["DAYPASS_PROGRAM"] = other
        self.assertEqual(handler().get_cmd()[0], other)
        for bad in ("daypass", self.dir.name + "/none"):
            os.environ["DAYPASS_PROGRAM"] = bad
            with self.assertRaises(HTTPError) as e:
                handler().get_cmd()
            self.assertEqual(e.exception.status_code, 503)
            self.assertIn("DAYPASS_PROGRAM", e.exception.reason)

    def test_root(self):
        odd = os.path.join(self.dir.name, "{port} of {x}")
        os.mkdir(odd)
        app = ServerApp.instance(root_dir=odd)
        self.addCleanup(ServerApp.clear_instance)
        cmd = handler().get_cmd()
        self.assertEqual(cmd[cmd.index("--root") + 1], app.root_dir)
        self.assertEqual(app.root_dir, odd)

    def test_depth_of_nbgitpuller(self):
        from traitlets.config import Config
        from traitlets.config.loader import KVArgParseConfigLoader

        line = KVArgParseConfigLoader(["--GitPuller.depth=7"]).load_config()
        for config, want in (
            (Config({"GitPuller": {"depth": 5}}), {"NBGITPULLER_DEPTH": "5"}),
            (Config({"GitPuller": {"depth": 0}}), {"NBGITPULLER_DEPTH": "0"}),
            (line, {"NBGITPULLER_DEPTH": "7"}),
            (Config({"GitPuller": {"depth": "many"}}), {"NBGITPULLER_DEPTH": "many"}),  # the page says so
            (Config({"GitPuller": {"repo_dir": "x"}}), {}),
            (Config(), {}),
        ):
            h = handler()  # before the configuration is there
            ServerApp.instance(root_dir=self.dir.name, config=config)
            self.assertEqual(h.get_env(), want)
            os.environ["DAYPASS_PAGE_LISTEN"] = "port"
            self.assertEqual(sorted(handler().get_env()), sorted([*want, "DAYPASS_PAGE_SECRET"]))
            del os.environ["DAYPASS_PAGE_LISTEN"]
            ServerApp.clear_instance()

    def test_left_to_nbgitpuller(self):
        os.environ["DAYPASS_GIT_PULL"] = "nbgitpuller"
        handler("daypass")
        for name in daypass_jupyter.NAMES[1:]:
            with self.assertRaises(LookupError):
                handler(name)

    def test_no_launcher(self):
        self.assertFalse(ServerProcess(name="daypass", **daypass_jupyter.daypass()).launcher_entry.enabled)


class Package(unittest.TestCase):
    def test_entry_points(self):
        with open(os.path.join(HERE, "pyproject.toml")) as f:
            text = f.read()
        section = text.split("[project.entry-points.jupyter_serverproxy_servers]\n")[1].split("\n\n")[0]
        names = {}
        for line in section.splitlines():
            name, module, function = re.fullmatch(r'(\S+) = "(\w+):(\w+)"', line).groups()
            names[name] = getattr(importlib.import_module(module), function)
        self.assertEqual(tuple(names), daypass_jupyter.NAMES)
        for name, function in names.items():
            self.assertEqual(ServerProcess(name=name, **function()).name, name)

    def test_modules_stay_importable_alone(self):
        for module in ("gh_scoped_creds", "daypass_jupyter"):
            code = f"import sys; sys.path.insert(0, {HERE!r}); import {module}"
            subprocess.run([sys.executable, "-S", "-c", code], check=True)


if __name__ == "__main__":
    unittest.main()
