#!/usr/bin/env python3
"""Cut GitHub's OpenAPI descriptions down to what the stand-in answers.

usage: cut-openapi.py PACKAGE > github-openapi.json

PACKAGE is the unpacked npm package @octokit/openapi (see NOTICE for the
version). The output is an object with one description per kind of host, each
with the paths below and all that they refer to. Examples and vendor
extensions are left out.
"""
import json
import sys

PATHS = {
    "/app": ["get"],
    "/app/installations": ["get"],
    "/app/installations/{installation_id}": ["get"],
    "/app/installations/{installation_id}/access_tokens": ["post"],
    "/applications/{client_id}/grant": ["delete"],
    "/applications/{client_id}/token": ["post", "patch", "delete"],
    "/applications/{client_id}/token/scoped": ["post"],
    "/apps/{app_slug}": ["get"],
    "/credentials/revoke": ["post"],
    "/installation/repositories": ["get"],
    "/installation/token": ["delete"],
    "/meta": ["get"],
    "/orgs/{org}/installation": ["get"],
    "/rate_limit": ["get"],
    "/repos/{owner}/{repo}": ["get"],
    "/repos/{owner}/{repo}/collaborators/{username}/permission": ["get"],
    "/repos/{owner}/{repo}/installation": ["get"],
    "/user": ["get"],
    "/user/installations": ["get"],
    "/user/installations/{installation_id}/repositories": ["get"],
    "/users/{username}/installation": ["get"],
}
SOURCES = {"github.com": "api.github.com.json", "ghes": "ghes-3.19.json", "ghe.com": "ghec.json"}
DROP = {"examples", "example", "description", "summary", "externalDocs", "tags"}


def strip(node, named=False):
    """Leave out prose. Below `properties` a key is a name, not a keyword."""
    if isinstance(node, dict):
        return {
            k: strip(v, named=not named and k in ("properties", "schemas", "headers", "responses", "parameters"))
            for k, v in node.items()
            if named or not (k in DROP or k.startswith("x-"))
        }
    if isinstance(node, list):
        return [strip(v) for v in node]
    return node


def refs(node):
    if isinstance(node, dict):
        for k, v in node.items():
            if k == "$ref" and isinstance(v, str):
                yield v
            else:
                yield from refs(v)
    elif isinstance(node, list):
        for v in node:
            yield from refs(v)


def cut(doc):
    out = {
        "openapi": doc["openapi"],
        "info": {"title": doc["info"]["title"], "version": doc["info"]["version"], "license": doc["info"]["license"]},
        "servers": [{"url": "/"}],
        "paths": {},
        "components": {},
    }
    todo = []
    for path, wanted in PATHS.items():
        if path not in doc["paths"]:
            continue
        methods = {m: strip(o) for m, o in doc["paths"][path].items() if m in wanted}
        for o in methods.values():
            for r in o["responses"].values():  # prose, but required by OpenAPI
                r.setdefault("description", "") if "$ref" not in r else None
        out["paths"][path] = methods
        todo += refs(methods)
    seen = set()
    while todo:
        ref = todo.pop()
        if ref in seen:
            continue
        seen.add(ref)
        _, _, group, name = ref.split("/")
        node = strip(doc["components"][group][name])
        if group == "responses":
            node["description"] = ""
        out["components"].setdefault(group, {})[name] = node
        todo += refs(node)
    return out


def main():
    result = {}
    for name, source in SOURCES.items():
        with open(f"{sys.argv[1]}/generated/{source}", encoding="utf-8") as f:
            result[name] = cut(json.load(f))
    json.dump(result, sys.stdout, indent=1, sort_keys=True)
    print()


main()
