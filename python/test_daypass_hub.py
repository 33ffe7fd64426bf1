"""Tests of daypass_hub that need no hub, only what a hub has installed:
internal/hubtest runs them with the hub's own Python."""

import asyncio
import os
import sys
import tempfile
import types
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import jupyterhub
from traitlets.config import Config

import daypass_hub

SCOPE = "access:services!service=daypass"
SINCE_4 = jupyterhub.version_info[0] >= 4


def configured(prepare=lambda c: None, **kw):
    c = Config()
    prepare(c)
    daypass_hub.configure(c, broker_url="https://daypass.example.org/", **kw)
    return c


def roles(c):
    value = c.JupyterHub.load_roles
    value = value if isinstance(value, list) else value._extend
    return {r["name"]: r for r in value}


class Configuration(unittest.TestCase):
    def test_empty(self):
        c = configured()
        self.assertEqual(roles(c)["user"]["scopes"], ["self", SCOPE])
        self.assertEqual(c.Spawner.environment.to_dict(), {"update": {"DAYPASS_URL": "https://daypass.example.org/"}})
        if SINCE_4:
            self.assertEqual(c.Spawner.server_token_scopes, [*daypass_hub.SERVER_SCOPES, SCOPE])
            self.assertNotIn("server", roles(c))
        else:
            self.assertEqual(roles(c)["server"]["scopes"], [*daypass_hub.SERVER_SCOPES_3, SCOPE])

    def test_twice_is_once(self):
        c = configured()
        daypass_hub.configure(c, broker_url="https://daypass.example.org/")
        self.assertEqual(roles(c)["user"]["scopes"].count(SCOPE), 1)
        self.assertEqual(len([r for r in c.JupyterHub.load_roles._extend if r["name"] == "user"]), 1)

    def test_adds_to_what_is_there(self):
        def prepare(c):
            c.JupyterHub.load_roles = [{"name": "user", "scopes": ["self", "x"]}, {"name": "server", "scopes": ["users:activity!user", "y"]}]
            c.JupyterHub.services = [{"name": "culler"}]
            c.Spawner.environment = {"A": "1"}
            c.KubeSpawner.environment = {"B": "2"}

        with tempfile.NamedTemporaryFile("w") as f:
            f.write("the-token-of-the-service\n")
            f.flush()
            c = configured(prepare, service_token_file=f.name, oauth_redirect_uri="https://daypass.example.org/oauth_callback")
        self.assertEqual(roles(c)["user"]["scopes"], ["self", "x", SCOPE])
        shares = ["read:shares"] if jupyterhub.version_info[0] >= 5 else []
        self.assertEqual(roles(c)["daypass"]["scopes"], ["list:users", "read:users", "read:servers", "read:tokens", *shares])
        self.assertEqual(c.Spawner.environment, {"A": "1", "DAYPASS_URL": "https://daypass.example.org/"})
        self.assertEqual(c.KubeSpawner.environment, {"B": "2", "DAYPASS_URL": "https://daypass.example.org/"})
        self.assertEqual([s["name"] for s in c.JupyterHub.services], ["culler", "daypass"])
        self.assertEqual(c.JupyterHub.services[1]["api_token"], "the-token-of-the-service")
        if SINCE_4:
            self.assertEqual(c.Spawner.server_token_scopes, ["users:activity!user", "y", SCOPE])
        else:
            self.assertEqual(roles(c)["server"]["scopes"], ["users:activity!user", "y", SCOPE])

    @unittest.skipUnless(SINCE_4, "before 4.0 there are none")
    def test_scopes_by_a_function(self):
        def prepare(c):
            c.KubeSpawner.server_token_scopes = lambda spawner: ["z"]

        c = configured(prepare)
        self.assertEqual(asyncio.run(c.KubeSpawner.server_token_scopes(None)), ["z", SCOPE])

    def test_addresses(self):
        for bad in ("ftp://x/", "daypass.example.org", "https://user:secret@x/", "https://x/?a=b", ""):
            with self.assertRaises(ValueError):
                daypass_hub.configure(Config(), broker_url=bad)

    def test_hook_in_clear(self):
        def refused(**kw):
            try:
                daypass_hub.configure(Config(), **{"broker_url": "https://daypass.example.org/", "hook_token_file": "/none", **kw})
            except ValueError as e:
                self.assertIn("hook_insecure", str(e))
                return True
            return False

        for clear in ("http://daypass:8088/", "http://10.0.0.7/", "http://localhost.example.org/", "http://127.0.0.1.example.org/", "http://[2001:db8::1]/", "HTTP://daypass/"):
            self.assertTrue(refused(hook_url=clear), clear)
            self.assertTrue(refused(broker_url=clear), clear)
            self.assertFalse(refused(hook_url=clear, hook_insecure=True), clear)
            self.assertFalse(refused(hook_url=clear, hook_token_file=None), clear)
        for private in ("http://127.0.0.1:8088/services/daypass/", "http://127.8.8.8/", "http://[::1]:8088/", "http://localhost:8088/", "https://daypass:8088/"):
            self.assertFalse(refused(hook_url=private), private)


class Stripping(unittest.TestCase):
    def test_strip(self):
        state = {
            "access_token": "ghu_secret", "refresh_token": "ghr_secret", "id_token": None, "scope": [""],
            "token_response": {"access_token": "ghu_secret", "refresh_token": "ghr_secret", "expires_in": 28800},
            "github_user": {"login": "ada", "email": None, "note": "ghu_secret"},
            "teams": [{"slug": "x"}, "Bearer ghu_secret"], "mine": {"deep": ["ghr_secret", "kept"]},
        }
        before = repr(state)
        got = daypass_hub.strip(state)
        self.assertEqual(got, {"scope": [""], "github_user": {"login": "ada", "email": None}, "teams": [{"slug": "x"}], "mine": {"deep": ["kept"]}})
        self.assertEqual(repr(state), before)

    def test_hosts(self):
        for url, host in {
            "https://github.com": "github.com", "https://GitHub.com:443/": "github.com", "https://ghes.example:8443": "ghes.example:8443",
            "http://127.0.0.1:4000/": "127.0.0.1:4000", "http://x:80": "x", "https://a:b@ghes.example": "ghes.example",
        }.items():
            self.assertEqual(daypass_hub._host(url), host)


class Login(unittest.IsolatedAsyncioTestCase):
    """What the hooks leave alone."""

    def hook(self, before=None):
        broker = daypass_hub._Broker("http://127.0.0.1:9", "/nonexistent")
        return daypass_hub._post_auth_hook(broker, before)

    async def test_other_logins(self):
        for model in (None, {"name": "a", "auth_state": None}, {"name": "a", "auth_state": {"cilogon_user": {}, "access_token": "x"}}):
            self.assertEqual(await self.hook()(None, None, model), model)

    async def test_own_hook_refuses(self):
        self.assertIsNone(await self.hook(lambda authenticator, handler, model: None)(None, None, {"name": "a", "auth_state": {"github_user": {}}}))

    async def test_odd_log_in_is_stripped(self):
        # Whatever fails on the way, no token stays.
        model = {"name": "a", "auth_state": {"github_user": {}, "access_token": "ghu_x", "token_response": "odd"}}
        log = types.SimpleNamespace(warning=lambda *a: None)
        got = await self.hook()(types.SimpleNamespace(log=log), None, model)
        self.assertEqual(got["auth_state"], {"github_user": {}})

    async def test_canvas(self):
        told = []
        broker = types.SimpleNamespace(token_file="/x", soon=lambda work: told.append(work.cr_frame.f_locals["body"]) or work.close())
        authenticator = types.SimpleNamespace(
            authorize_url="https://canvas.example.edu/login/oauth2/auth", client_id="10000000000007", log=types.SimpleNamespace(warning=self.fail)
        )

        def model():
            response = {"access_token": "7~a", "refresh_token": "7~r", "expires_in": 3600, "token_type": "Bearer", "user": {"id": 42, "name": "Ada"}}
            return {"name": "ada", "auth_state": {"access_token": "7~a", "refresh_token": "7~r", "token_response": response, "oauth_user": {"id": 42}}}

        self.assertEqual(await daypass_hub._post_auth_hook(broker, None)(authenticator, None, model()), model())  # not asked for
        got = await daypass_hub._post_auth_hook(broker, None, True)(authenticator, None, model())
        self.assertEqual(got["auth_state"], {"oauth_user": {"id": 42}, "daypass_canvas": {"id": 42}})
        self.assertEqual(len(told), 1)
        self.assertEqual((told[0]["host"], told[0]["account"]["id"], told[0]["refresh_token"]), ("canvas.example.edu", 42, "7~r"))
        for change in ({"authorize_url": "https://idp.example.edu/authorize"}, {"authorize_url": None}):
            other = types.SimpleNamespace(**{**vars(authenticator), **change})
            self.assertEqual(await daypass_hub._post_auth_hook(broker, None, True)(other, None, model()), model())
        user = types.SimpleNamespace(name="ada", groups=[])
        self.assertIs(await daypass_hub._refresh_user_hook(None)(authenticator, user, got["auth_state"]), True)

    async def test_refresh(self):
        user = types.SimpleNamespace(name="a", groups=[types.SimpleNamespace(name="g")])
        hook = daypass_hub._refresh_user_hook(None)
        auth = types.SimpleNamespace(manage_groups=True)
        self.assertIsNone(await hook(auth, user, None))
        self.assertIsNone(await hook(auth, user, {"cilogon_user": {}}))
        self.assertIs(await hook(auth, user, {"github_user": {}}), True)
        got = await hook(auth, user, {"github_user": {}, "access_token": "ghu_x"})
        self.assertEqual(got, {"name": "a", "auth_state": {"github_user": {}}, "groups": ["g"]})
        # A site's own hook goes first, and brings no token back.
        for answer in (False, True):
            self.assertIs(await daypass_hub._refresh_user_hook(lambda *a: answer)(auth, user, {"github_user": {}}), answer)
        own = daypass_hub._refresh_user_hook(lambda *a: {"name": "a", "auth_state": {"github_user": {}, "access_token": "ghu_x"}})
        self.assertEqual(await own(auth, user, None), {"name": "a", "auth_state": {"github_user": {}}})


class Classes(unittest.TestCase):
    def test_only_who_reads_the_token(self):
        class Base:
            def pre_spawn_start(self, user, spawner):
                pass

        Base.__module__ = "jupyterhub.auth"

        class Harmless(Base):
            def pre_spawn_start(self, user, spawner):
                spawner.environment["A"] = "b"

        class Nothing(Base):
            pass

        class Copies(Base):
            async def pre_spawn_start(self, user, spawner):
                inner = lambda state: state["access_token"]
                spawner.environment["GITHUB_TOKEN"] = inner(await user.get_auth_state())

        class More(Copies):
            pass

        for cls in (Base, Harmless, Nothing):
            self.assertIs(daypass_hub._without_token(cls), cls)
        for cls in (Copies, More):
            got = daypass_hub._without_token(cls)
            self.assertTrue(issubclass(got, cls) and got is not cls)
            self.assertEqual(got.__name__, cls.__name__)


if __name__ == "__main__":
    unittest.main()
