#!/bin/sh
# Installs what a target needs on a fresh Debian machine that has Go and git.
# Usage: scripts/tools.sh test|bench
#        scripts/tools.sh ipython   prints the Python that has IPython
#        scripts/tools.sh chromium  installs a browser, and axe-core for it; axe prints where that is
#        scripts/tools.sh postgres  prints the folder of PostgreSQL's programs
#        scripts/tools.sh hub       installs a JupyterHub 6 and its proxy, once
#        scripts/tools.sh hubs      installs 5, 4 and Debian's 3 too
#        scripts/tools.sh room      prints a folder for the tests' files: in memory where there is room, since they wait for disks otherwise
#        scripts/tools.sh pass      installs pymacaroons and libmacaroons, the oracles of passes
#        scripts/tools.sh devpi     installs devpi servers, with and without devpi-tokens, and their clients
#        scripts/tools.sh jupyter   installs Jupyter Server with its front ends and its proxy
#        scripts/tools.sh pull      installs nbgitpuller, nbformat and nbdime, peers and oracles of pulls
#        scripts/tools.sh sources   installs independent clients of what content is read from: rclone, Google's library, canvasapi, repoproviders
#        scripts/tools.sh hub-env|hubs-env|pass-env|devpi-env|jupyter-env|pull-env|sources-env   prints the variables that lead the tests to them, for eval
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/daypass-test"
# An IPython of our own, for the test of the notebook magic, made once.
ipython="$cache/ipython"
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

# postgres prints the folder of the newest PostgreSQL's programs, or nothing.
postgres() {
	find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1 | xargs -r dirname
}

# alone waits until no other run installs the same.
alone() {
	mkdir -p "$cache"
	exec 9>"$cache/installing"
	flock 9
}

install_proxy() {
	chp="$cache/chp"
	cmp -s "$here/hub/chp/package-lock.json" "$chp/installed" && return 0
	rm -rf "$chp"
	mkdir -p "$chp"
	cp "$here/hub/chp/package.json" "$here/hub/chp/package-lock.json" "$chp"
	(cd "$chp" && npm ci --silent --ignore-scripts --no-audit --no-fund >/dev/null)
	cp "$chp/package-lock.json" "$chp/installed"
}

install_python() { # install_python hub/6.lock hub-6
	cmp -s "$here/$1" "$cache/$2/installed" && return 0
	rm -rf "${cache:?}/$2"
	python3 -m venv "$cache/$2"
	"$cache/$2/bin/pip" --quiet --disable-pip-version-check install --no-deps -r "$here/$1"
	"$cache/$2/bin/pip" --disable-pip-version-check check >/dev/null
	cp "$here/$1" "$cache/$2/installed"
}

# axe-core judges the pages' accessibility (MPL-2.0: used, not shipped).
install_axe() {
	sum=29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c
	echo "$sum  $cache/axe/axe.min.js" | sha256sum --check --status 2>/dev/null && return 0
	rm -rf "$cache/axe"
	mkdir -p "$cache/axe"
	(cd "$cache/axe" && npm pack --silent axe-core@4.14.1 >/dev/null && tar -xzf axe-core-4.14.1.tgz --strip-components=1 package/axe.min.js && rm axe-core-4.14.1.tgz)
	echo "$sum  $cache/axe/axe.min.js" | sha256sum --check --status
}

case "${1:-}" in
test)
	need cc "gcc libc6-dev" # the race detector links with it
	need strace strace      # the test that looks for secrets in argv
	need python3 python3
	[ -n "$(postgres)" ] || missing="$missing postgresql"
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
postgres)
	postgres
	;;
room)
	room="/dev/shm/daypass-test-$(id -u)"
	free=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')
	memory=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo 2>/dev/null)
	if [ "${free:-0}" -gt 6000000 ] && [ "${memory:-0}" -gt 8000000 ] && mkdir -p "$room" 2>/dev/null && [ -O "$room" ] && [ ! -L "$room" ] &&
		chmod 0755 "$room" && # for tests as other users
		printf '#!/bin/sh\n' >"$room/try" && chmod 0700 "$room/try" && "$room/try" 2>/dev/null; then # it may be mounted noexec
		rm -f "$room/try"
		echo "$room"
	else
		echo "${TMPDIR:-/tmp}"
	fi
	;;
ipython)
	echo "$ipython/bin/python"
	;;
chromium)
	need flock util-linux
	need chromium chromium
	need npm npm
	install_missing
	alone
	install_axe
	;;
axe)
	echo "$cache/axe/axe.min.js"
	;;
hub | hubs)
	need flock util-linux
	need python3 python3
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
	need node nodejs
	need npm npm
	# Debian's own hub brings a unit for systemd, which containers do not start.
	[ "$1" = hub ] || [ -x /usr/bin/jupyterhub ] || missing="$missing jupyterhub"
	install_missing
	alone
	install_proxy
	install_python hub/6.lock hub-6
	[ "$1" = hub ] && exit 0
	install_python hub/5.lock hub-5
	install_python hub/4.lock hub-4
	;;
pass)
	need flock util-linux
	need python3 python3
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
	ldconfig -p 2>/dev/null | grep -q libmacaroons.so.0 || missing="$missing libmacaroons0"
	install_missing
	alone
	install_python pass/oracle.lock pass-oracle
	;;
devpi)
	need flock util-linux
	need python3 python3
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
	install_missing
	alone
	install_python devpi/devpi.lock devpi
	install_python devpi/devpi-tokens.lock devpi-tokens
	;;
jupyter | pull)
	need flock util-linux
	need python3 python3
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
	install_missing
	alone
	install_python "$1/$1.lock" "$1"
	;;
sources)
	need flock util-linux
	need rclone rclone
	need python3 python3
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
	install_missing
	alone
	install_python sources/canvasapi.lock canvasapi
	install_python sources/repoproviders.lock repoproviders
	mkdir -p "$cache/sources"
	(cd "$here/../tools/driveclient" && CGO_ENABLED=0 "${GO:-go}" build -trimpath -buildvcs=false -o "$cache/sources/" .)
	;;
sources-env)
	echo "export DAYPASS_TEST_RCLONE='$(command -v rclone)' DAYPASS_TEST_DRIVECLIENT='$cache/sources/driveclient' DAYPASS_TEST_CANVASAPI='$cache/canvasapi/bin/python' DAYPASS_TEST_REPOPROVIDERS='$cache/repoproviders/bin/python'"
	;;
jupyter-env)
	echo "export DAYPASS_TEST_JUPYTER='$cache/jupyter'"
	;;
pull-env)
	bin="$cache/pull/bin"
	echo "export DAYPASS_TEST_NBGITPULLER='$bin/gitpuller' DAYPASS_TEST_NBDIME='$bin/nbmerge' DAYPASS_TEST_NBPYTHON='$bin/python'"
	;;
devpi-env)
	echo "export DAYPASS_TEST_DEVPI='$cache/devpi' DAYPASS_TEST_DEVPI_TOKENS='$cache/devpi-tokens'"
	;;
pass-env)
	echo "export DAYPASS_TEST_PASS_PYTHON='$cache/pass-oracle/bin/python'"
	;;
hub-env)
	echo "export DAYPASS_TEST_HUB='$cache/hub-6' DAYPASS_TEST_CHP='$cache/chp/node_modules/.bin/configurable-http-proxy'"
	;;
hubs-env)
	"$0" hub-env
	echo "export DAYPASS_TEST_HUBS='$cache/hub-6:$cache/hub-5:$cache/hub-4:/usr'"
	;;
*)
	echo "usage: $0 test|bench|postgres|ipython|chromium|axe|hub|hubs|pass|devpi|jupyter|pull|sources|hub-env|hubs-env|pass-env|devpi-env|jupyter-env|pull-env|sources-env" >&2
	exit 2
	;;
esac
