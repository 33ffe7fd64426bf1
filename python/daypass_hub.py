"""What a JupyterHub's jupyterhub_config.py needs for daypass: one call, at its end.

    import sys
    sys.path.insert(0, "/usr/local/share/daypass/python")
    import daypass_hub
    daypass_hub.configure(
        c,
        broker_url="https://daypass.example.org/",
        hook_token_file="/etc/jupyterhub/daypass-hook-token",
        service_token_file="/etc/jupyterhub/daypass-service-token",
        oauth_redirect_uri="https://daypass.example.org/oauth_callback",
    )

It has to come last, since it adds to what stands above it: where a later line
sets load_roles, services, Spawner.environment or one of the hooks anew, what was
added is gone. (Zero to JupyterHub runs the parts of hub.extraConfig in the order
of their names; The Littlest JupyterHub reads jupyterhub_config.d in that order.)

It needs JupyterHub 3.0 or later, and imports nothing beside it, the standard
library and tornado, which every hub has. It does four things.

1. It lets people and their servers use the access service: the scope
   access:services!service=daypass, in the role of users and in the tokens of
   servers; and it puts DAYPASS_URL, which is no secret, into the environment of
   servers. With service_token_file it registers the service and its role too.

2. When a server ends it says so to the access service, which revokes what that
   server was given. In the background: a stop never waits for it nor fails with it.

3. Where people log in to the hub with GitHub (GitHubOAuthenticator, its local
   variant, or a class of yours made from them), their tokens go to the access
   service and are taken out of the hub's auth_state: nobody has to connect a
   second time, and nothing that reads auth_state gets a token. Where the access
   service is down, people log in all the same, and connect later on its page.

   Since the hub then has no token left, it cannot ask GitHub every five minutes
   whether a person is still there, as oauthenticator 17.2 and later do with
   auth_state; a person's groups are those of their last log-in. In return,
   GitHub's outages no longer stop people who are logged in.

   Tokens of people who logged in before are taken out when the hub next refreshes
   them; they connect at their next log-in.

   With take_canvas=True the same is done where people log in with a Canvas site
   (GenericOAuthenticator with its addresses): links to courses then need no second
   consent. The access service has to have that site under sources.canvas, with the
   same developer key.

4. It takes over a hub that gave servers a GITHUB_TOKEN by a class of its own, as
   the manual of ContainDS Dashboards shows:

       class MyGitHubAuthenticator(GitHubOAuthenticator):
           def pre_spawn_start(self, user, spawner): ...
       c.JupyterHub.authenticator_class = MyGitHubAuthenticator

   All of that may stay in the file. Where a pre_spawn_start reads "access_token",
   it is not run any more, everything else of the class is; servers get GITHUB_USER
   and GITHUB_EMAIL as before (the address only where GitHub shows one), and no
   GITHUB_TOKEN, so that start scripts which write it into git's configuration
   have nothing to write. The log-in no longer asks for "repo" and "public_repo";
   wide_login=True keeps them, for a site whose rules accept such tokens. On the
   servers' side, "daypass setup --system" does what those scripts did.
"""

import asyncio
import inspect
import ipaddress
import json
import time
from urllib.parse import urlsplit

from tornado.httpclient import HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

TIMEOUT = 2.0  # seconds, for one call to the access service
APPEAR = 5.0  # seconds within which a person who just logged in is in the hub's database

# What auth_state holds of tokens (oauthenticator, build_auth_state_dict).
TOKEN_KEYS = ("access_token", "refresh_token", "id_token", "token_response")

# What a role or a server's token has where nobody said otherwise.
USER_SCOPES = ["self"]
SERVER_SCOPES = ["users:activity!user", "access:servers!server"]
SERVER_SCOPES_3 = ["users:activity!user", "access:servers!user"]

SERVICE_SCOPES = ["list:users", "read:users", "read:servers", "read:tokens"]


def configure(
    c,
    *,
    broker_url,
    hook_token_file=None,
    hook_url=None,
    hook_insecure=False,
    service="daypass",
    service_url=None,
    service_token_file=None,
    oauth_redirect_uri=None,
    take_login=True,
    wide_login=False,
    take_canvas=False,
):
    """Set a hub up for daypass; see the module's text.

    broker_url: where servers, and browsers, find the access service.
    hook_url: where the hub finds it; the same where not given. Only https, but on
        this machine: the hook's token, and those of log-ins, go there.
    hook_insecure: they may go over plain http to another machine as well. Everybody
        on the way can read them.
    hook_token_file: what the hub proves itself with to the access service, read at
        each use. Without it, nothing is told to the access service.
    service_url: where the hub's proxy finds it, to serve it at /services/NAME/;
        not given where it has a hostname of its own.
    service_token_file: the service's token, of at least 32 characters. Without it
        the service is expected to be registered elsewhere.
    oauth_redirect_uri: where sign-ins come back to: an address, or a path on the
        hub's own origin.
    take_login: hand tokens of a log-in with GitHub to the access service.
    take_canvas: hand those of a log-in with Canvas to it too.
    """
    hook = _base(hook_url or broker_url)
    if hook_token_file and not hook_insecure and not _private(hook):
        raise ValueError(
            "daypass: over " + hook + " everybody on the way could read the hub's tokens; "
            "make hook_url an address with https, or say hook_insecure=True"
        )
    broker = _Broker(hook, hook_token_file)
    _add_service(c, service, service_url, service_token_file, oauth_redirect_uri)
    _add_scopes(c, "access:services!service=" + service)
    for section in _sections(c, "Spawner", "environment"):
        section.environment.update({"DAYPASS_URL": broker_url})
    if hook_token_file:
        for section in _sections(c, "Spawner", "post_stop_hook"):
            section.post_stop_hook = _post_stop_hook(broker, section.get("post_stop_hook"))
    if take_login:
        _take_login(c, broker, wide_login, take_canvas)


def _base(url):
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("daypass: broker_url and hook_url are addresses such as https://daypass.example.org/")
    return url.rstrip("/")


def _private(url):
    """Whether nobody between the hub and an address can read along."""
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return False


def _read(path):
    with open(path, encoding="ascii") as f:
        return f.read().strip()


# Configuration


def _sections(c, kind, key):
    """The section of a kind ("Spawner"), and those of its variants ("KubeSpawner")
    that set the key themselves and so would hide the general one."""
    out = [c[kind]]
    for name in list(c):
        if name.endswith(kind) and name != kind and key in c[name]:
            out.append(c[name])
    return out


def _is_set(value):
    """Whether a value stands in the configuration; one that was only added to
    (c.X.y.append) is not known before the hub starts."""
    return value is not None and type(value).__name__ != "LazyConfigValue"


def _append(section, key, item):
    value = section.get(key)
    if _is_set(value):
        section[key] = [*value, item]
    else:
        section[key].append(item)


def _role(c, name):
    """The role of a name that the configuration defines, if it does."""
    roles = c.JupyterHub.get("load_roles")
    if not _is_set(roles):
        # Added to with append or extend: traitlets keeps the parts.
        roles = list(getattr(roles, "_extend", None) or [])
    return next((r for r in roles if r.get("name") == name), None)


def _add_scope(c, role, scope, default):
    found = _role(c, role)
    if found is None:
        _append(c.JupyterHub, "load_roles", {"name": role, "scopes": [*default, scope]})
    elif scope not in found.setdefault("scopes", list(default)):
        found["scopes"] = [*found["scopes"], scope]


def _add_scopes(c, scope):
    import jupyterhub

    _add_scope(c, "user", scope, USER_SCOPES)
    if jupyterhub.version_info[0] < 4:
        # One token for all of a person's servers: these hubs cannot do better.
        _add_scope(c, "server", scope, SERVER_SCOPES_3)
        return
    role = _role(c, "server") or {}
    base = role.get("scopes") or SERVER_SCOPES
    for section in _sections(c, "Spawner", "server_token_scopes"):
        have = section.get("server_token_scopes")
        if callable(have):
            section.server_token_scopes = _with_scope(have, scope)
        else:
            have = list(have) if _is_set(have) and have else base
            section.server_token_scopes = [*have, scope]


def _with_scope(scopes, scope):
    async def server_token_scopes(spawner):
        have = scopes(spawner)
        if inspect.isawaitable(have):
            have = await have
        return [*have, scope]

    return server_token_scopes


def _add_service(c, name, url, token_file, redirect):
    if not token_file:
        return
    spec = {
        "name": name,
        "api_token": _read(token_file),
        "oauth_no_confirm": True,
        "oauth_client_id": "service-" + name,
        "display": bool(url),
    }
    if url:
        spec["url"] = url
    if redirect:
        spec["oauth_redirect_uri"] = redirect
    _append(c.JupyterHub, "services", spec)
    import jupyterhub

    scopes = list(SERVICE_SCOPES)
    if jupyterhub.version_info[0] >= 5:
        scopes.append("read:shares")  # whether others may enter a server just now
    _append(c.JupyterHub, "load_roles", {"name": name, "services": [name], "scopes": scopes})


# Telling the access service


class _Broker:
    """The access service as the hub sees it."""

    def __init__(self, base, token_file):
        self.base = base
        self.token_file = token_file
        self.running = set()  # asyncio forgets tasks that nobody holds

    async def tell(self, log, path, body):
        """Post a body; whatever goes wrong is one line in the log, without the body."""
        client = SimpleAsyncHTTPClient(force_instance=True)  # knows no proxies
        try:
            request = HTTPRequest(
                self.base + path,
                method="POST",
                headers={"Authorization": "Bearer " + _read(self.token_file), "Content-Type": "application/json"},
                body=json.dumps(body),
                follow_redirects=False,
                connect_timeout=TIMEOUT,
                request_timeout=TIMEOUT,
            )
            response = await client.fetch(request, raise_error=False)
            if not 200 <= response.code < 300:
                log.warning("daypass: the access service answered %d to %s", response.code, path)
        except Exception as e:
            log.warning("daypass: the access service could not be told (%s, %s)", path, type(e).__name__)
        finally:
            client.close()

    def soon(self, work):
        """Run work beside whatever goes on, and hold up nothing."""
        task = asyncio.ensure_future(work)
        self.running.add(task)
        task.add_done_callback(self.running.discard)


def _created(user):
    """When the hub made the account, as the hub's API writes it. The hub keeps
    times in UTC without saying so."""
    orm = getattr(user, "orm_user", user)
    return orm.created.isoformat(timespec="microseconds") + ("" if orm.created.tzinfo else "Z")


def _post_stop_hook(broker, before):
    def post_stop_hook(spawner):
        try:
            body = {"user": spawner.user.name, "created": _created(spawner.user), "server": spawner.name}
            broker.soon(broker.tell(spawner.log, "/api/v1/hook/stopped", body))
        except Exception as e:
            spawner.log.warning("daypass: the end of a server could not be told (%s)", type(e).__name__)
        if _is_set(before):
            return before(spawner)

    return post_stop_hook


# The log-in with GitHub


def _take_login(c, broker, wide, canvas=False):
    for section in _sections(c, "Authenticator", "post_auth_hook"):
        section.post_auth_hook = _post_auth_hook(broker, section.get("post_auth_hook"), canvas)
    cls = c.JupyterHub.get("authenticator_class")
    if inspect.isclass(cls):
        c.JupyterHub.authenticator_class = _without_token(cls)
    _no_refresh(c)
    if wide:
        return
    for section in _sections(c, "OAuthenticator", "scope"):
        scopes = section.get("scope")
        if _is_set(scopes):
            section.scope = [s for s in scopes if s not in ("repo", "public_repo")]


def _no_refresh(c):
    """Keep oauthenticator from asking GitHub with tokens that the hub has no
    more, which would log people out or fail their requests."""
    try:
        from oauthenticator.oauth2 import OAuthenticator
    except ImportError:
        return
    if hasattr(OAuthenticator, "refresh_user_hook"):  # 17.3 and later
        for section in _sections(c, "OAuthenticator", "refresh_user_hook"):
            section.refresh_user_hook = _refresh_user_hook(section.get("refresh_user_hook"))
        return
    for section in _sections(c, "Authenticator", "auth_refresh_age"):
        section.auth_refresh_age = 0
    for section in _sections(c, "Authenticator", "refresh_pre_spawn"):
        section.refresh_pre_spawn = False


def _refresh_user_hook(before):
    async def refresh_user_hook(authenticator, user, auth_state):
        if _is_set(before):
            refreshed = before(authenticator, user, auth_state)
            if inspect.isawaitable(refreshed):
                refreshed = await refreshed
            if isinstance(refreshed, dict) and _is_taken(refreshed.get("auth_state")):
                refreshed["auth_state"] = strip(refreshed["auth_state"])
            if refreshed is not None:
                return refreshed
        if not _is_taken(auth_state):
            return None
        if not any(auth_state.get(key) for key in TOKEN_KEYS):
            return True
        model = {"name": user.name, "auth_state": strip(auth_state)}
        if authenticator.manage_groups:
            model["groups"] = [g.name for g in user.groups]
        return model

    return refresh_user_hook


def _is_github(auth_state):
    return isinstance(auth_state, dict) and isinstance(auth_state.get("github_user"), dict)


# What is left in auth_state of a log-in with Canvas once its tokens are taken out.
CANVAS_KEY = "daypass_canvas"


def _is_taken(auth_state):
    return _is_github(auth_state) or isinstance(auth_state, dict) and isinstance(auth_state.get(CANVAS_KEY), dict)


def _is_canvas(authenticator, auth_state):
    """Whether somebody logged in with Canvas, which says who they are beside the
    token (its manual: OAuth2, "POST login/oauth2/token")."""
    if not isinstance(auth_state, dict) or not isinstance(auth_state.get("token_response"), dict):
        return False
    path = urlsplit(getattr(authenticator, "authorize_url", "") or "").path
    user = auth_state["token_response"].get("user")
    return path.endswith("/login/oauth2/auth") and isinstance(user, dict) and str(user.get("id", "")).isdigit()


def canvas_body(authenticator, model):
    """login_body of a log-in with Canvas."""
    response = model["auth_state"]["token_response"]
    user = response["user"]
    number = int(user["id"])
    return {
        "user": model["name"],
        "host": _host(authenticator.authorize_url),
        "client_id": authenticator.client_id,
        "account": {"id": number, "login": str(number), "name": str(user.get("name") or ""), "email": None},
        "access_token": model["auth_state"].get("access_token") or response.get("access_token"),
        "refresh_token": model["auth_state"].get("refresh_token") or response.get("refresh_token"),
        "expires_in": response.get("expires_in"),
        "refresh_token_expires_in": None,
        "scope": "",
        "token_type": response.get("token_type") or "",
    }


def strip(auth_state):
    """auth_state without tokens, wherever in it they stand."""
    tokens = {auth_state.get(key) for key in TOKEN_KEYS if isinstance(auth_state.get(key), str)}
    response = auth_state.get("token_response")
    if isinstance(response, dict):
        tokens |= {response.get(key) for key in TOKEN_KEYS if isinstance(response.get(key), str)}
    tokens.discard("")

    def clean(value):
        if isinstance(value, dict):
            return {k: clean(v) for k, v in value.items() if not _holds(v, tokens)}
        if isinstance(value, (list, tuple)):
            return [clean(v) for v in value if not _holds(v, tokens)]
        return value

    return clean({k: v for k, v in auth_state.items() if k not in TOKEN_KEYS})


def _holds(value, tokens):
    return isinstance(value, str) and any(token in value for token in tokens)


def login_body(authenticator, model):
    """What is handed over of a log-in: the body of POST /api/v1/hook/login, but
    for "created"."""
    state = model["auth_state"]
    response = state.get("token_response") or {}
    account = state["github_user"]
    return {
        "user": model["name"],
        "host": _host(authenticator.github_url),
        "client_id": authenticator.client_id,
        "account": {key: account.get(key) for key in ("id", "login", "name", "email")},
        "access_token": state.get("access_token"),
        "refresh_token": state.get("refresh_token"),
        "expires_in": response.get("expires_in"),
        "refresh_token_expires_in": response.get("refresh_token_expires_in"),
        "scope": response.get("scope") or "",
        "token_type": response.get("token_type") or "",
    }


def _host(url):
    """A host as git names it: "github.com", "ghes.example:8443"."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower()
    default = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
    return host[: -len(default)] if default and host.endswith(default) else host


def _post_auth_hook(broker, before, canvas=False):
    async def post_auth_hook(authenticator, handler, model):
        if _is_set(before):
            model = before(authenticator, handler, model)
            if inspect.isawaitable(model):
                model = await model
        if not model:
            return model
        taken = {}
        if _is_github(model.get("auth_state")):
            make = login_body
        elif canvas and _is_canvas(authenticator, model.get("auth_state")):
            make = canvas_body
            taken = {CANVAS_KEY: {"id": int(model["auth_state"]["token_response"]["user"]["id"])}}
        else:
            return model
        try:
            if broker.token_file and model["auth_state"].get("access_token"):
                body = make(authenticator, model)
                broker.soon(_hand_over(broker, authenticator.log, handler, body))
        except Exception as e:
            authenticator.log.warning("daypass: a log-in could not be handed over (%s)", type(e).__name__)
        model["auth_state"] = {**strip(model["auth_state"]), **taken}
        return model

    return post_auth_hook


async def _hand_over(broker, log, handler, body):
    """Hand a log-in over once the hub has the person, whose time of creation
    belongs to it: a name alone may be somebody else's tomorrow."""
    end = time.monotonic() + APPEAR
    while (user := handler.find_user(body["user"])) is None:
        if time.monotonic() > end:
            log.warning("daypass: the hub has nobody for a log-in that was to be handed over")
            return
        await asyncio.sleep(0.05)
    await broker.tell(log, "/api/v1/hook/login", {**body, "created": _created(user)})


# A class that copies the token into servers


def _without_token(cls):
    """The class, but for a pre_spawn_start of the site's own that reads the token."""
    own = next((k for k in cls.__mro__ if "pre_spawn_start" in vars(k)), None)
    if own is None or own.__module__.split(".")[0] in ("jupyterhub", "oauthenticator") or not _reads_token(vars(own)["pre_spawn_start"]):
        return cls
    base = next(k for k in cls.__mro__[cls.__mro__.index(own) + 1 :] if "pre_spawn_start" in vars(k))

    async def pre_spawn_start(self, user, spawner):
        result = base.pre_spawn_start(self, user, spawner)
        if inspect.isawaitable(result):
            await result
        auth_state = await user.get_auth_state()
        account = auth_state["github_user"] if _is_github(auth_state) else {}
        for variable, key in (("GITHUB_USER", "login"), ("GITHUB_EMAIL", "email")):
            if account.get(key):
                spawner.environment[variable] = account[key]

    # Of the same name, so that the site's own settings for the class stay good.
    return type(cls.__name__, (cls,), {"pre_spawn_start": pre_spawn_start, "__module__": cls.__module__})


def _reads_token(function):
    """Whether a function speaks of "access_token" anywhere in its code."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    todo = [code] if code else []
    while todo:
        for constant in todo.pop().co_consts:
            if constant == "access_token":
                return True
            if inspect.iscode(constant):
                todo.append(constant)
    return False
