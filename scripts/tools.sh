#!/bin/sh
# Installs what a target needs on a fresh Debian machine that has Go and git.
# Usage: scripts/tools.sh test|bench
set -eu

need() { # need COMMAND PACKAGE
	command -v "$1" >/dev/null 2>&1 && return 0
	missing="$missing $2"
}

missing=
case "${1:-}" in
test)
	need cc gcc           # the race detector links with it
	need strace strace    # the test that looks for secrets in argv
	need ssh openssh-client
	;;
bench)
	need gh gh
	need git-credential-oauth git-credential-oauth
	;;
*)
	echo "usage: $0 test|bench" >&2
	exit 2
	;;
esac
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "Please install:$missing" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends libc6-dev $missing >/dev/null
