# At the end of jupyterhub_config.py, for a small hub without systemd: the hub
# starts the access service itself. doc/deploy.md says when that is enough.
import sys

sys.path.insert(0, "/usr/local/share/daypass/python")
import daypass_hub

daypass_hub.configure(
    c,  # noqa: F821
    broker_url="https://hub.example.org/services/daypass/",
    hook_url="http://127.0.0.1:888/services/daypass/",
    hook_token_file="/etc/daypass/hook-token",
)
c.JupyterHub.services.append(  # noqa: F821
    {
        "name": "daypass",
        # One of our own: those that a hub makes up at each start stay valid for ever.
        "api_token": open("/etc/daypass/hub-token").read().strip(),
        # Below 1024 only root can listen: where people have shells on this
        # machine, nobody takes the port while the service is down.
        "url": "http://127.0.0.1:888",
        "command": ["/usr/local/bin/daypass", "serve"],
        "oauth_no_confirm": True,
    }
)
c.JupyterHub.load_roles.append(  # noqa: F821
    {"name": "daypass", "services": ["daypass"], "scopes": daypass_hub.SERVICE_SCOPES}
)
