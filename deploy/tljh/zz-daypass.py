# /opt/tljh/config/jupyterhub_config.d/zz-daypass.py
# The name sorts last, since this adds to what other files set.
import sys

sys.path.insert(0, "/usr/local/share/daypass/python")
import daypass_hub

daypass_hub.configure(
    c,  # noqa: F821
    broker_url="https://hub.example.org/services/daypass/",
    hook_url="http://127.0.0.1:8088/services/daypass/",
    service_url="http://127.0.0.1:8088",
    hook_token_file="/etc/daypass/hook-token",
    service_token_file="/etc/daypass/hub-token",
)
