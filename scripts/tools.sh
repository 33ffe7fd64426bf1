#!/bin/sh
# Installs what a target needs on a fresh Debian machine that has Go and git.
# Usage: scripts/tools.sh test|bench
#        scripts/tools.sh ipython   prints the Python that has IPython
set -eu

# An IPython of our own, for the test of the notebook magic, made once.
ipython="${XDG_CACHE_HOME:-$HOME/.cache}/daypass-test/ipython"
missing=

need() { # need COMMAND PACKAGE
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

install_missing() {
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
		echo "Please install:$missing" >&2
		exit 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# shellcheck disable=SC2086
	apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

case "${1:-}" in
test)
	need cc "gcc libc6-dev" # the race detector links with it
	need strace strace      # the test that looks for secrets in argv
	need python3 python3
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
	install_missing
	"$ipython/bin/python" -c 'import IPython' 2>/dev/null && exit 0
	rm -rf "$ipython"
	python3 -m venv "$ipython"
	"$ipython/bin/pip" --quiet --disable-pip-version-check install 'ipython==8.37.0'
	;;
bench)
	need gh gh
	need git-credential-oauth git-credential-oauth
	install_missing
	;;
ipython)
	echo "$ipython/bin/python"
	;;
*)
	echo "usage: $0 test|bench|ipython" >&2
	exit 2
	;;
esac
