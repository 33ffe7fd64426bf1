# At the end of jupyterhub_config.py, for an access service at a hostname of its own.
import sys

sys.path.insert(0, "/usr/local/share/daypass/python")
import daypass_hub

daypass_hub.configure(
    c,  # noqa: F821
    broker_url="https://daypass.example.org/",
    hook_token_file="/etc/daypass/hook-token",
    service_token_file="/etc/daypass/hub-token",
    oauth_redirect_uri="https://daypass.example.org/oauth_callback",
)
