"""Starts a kernel in a folder and asks it what a front end asks when it opens a notebook."""
import sys

from jupyter_client.manager import start_new_kernel

km, kc = start_new_kernel(kernel_name="python3", cwd=sys.argv[1], startup_timeout=60)
kc.kernel_info(reply=True)
kc.comm_info(reply=True)
kc.history(hist_access_type="tail", n=10, reply=True)
kc.control_channel.send(kc.session.msg("debug_request", {"type": "request", "seq": 1, "command": "debugInfo"}))
kc.get_control_msg(timeout=20)
kc.stop_channels()
km.shutdown_kernel(now=True)
