"""List and read a course or group with canvasapi; one JSON object a line."""

import json
import sys

from canvasapi import Canvas
from canvasapi.exceptions import CanvasException

origin, token, kind, number = sys.argv[1:5]
canvas = Canvas(origin, token)
place = canvas.get_course(number) if kind == "courses" else canvas.get_group(number) if kind == "groups" else canvas.get_current_user()
folders = {f.id: f for f in place.get_folders()}


def path(folder):
    parts = []
    while folder.parent_folder_id is not None:
        parts.insert(0, folder.name)
        folder = folders[folder.parent_folder_id]
    return parts


for f in place.get_files():
    line = {"parts": [*path(folders[f.folder_id]), f.display_name], "id": str(f.id), "size": f.size, "locked": bool(f.locked_for_user)}
    if f.url:
        line["hex"] = f.get_contents(binary=True).hex()
    print(json.dumps(line))
try:
    modules = list(place.get_modules(include=["items"])) if kind == "courses" else []
    print(json.dumps({"modules": [[m.name, [i.title for i in m.get_module_items()]] for m in modules]}))
except CanvasException as e:
    print(json.dumps({"modules": str(e)}))
