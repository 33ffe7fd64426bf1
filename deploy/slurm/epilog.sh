#!/bin/sh
# Epilog= in slurm.conf: run as root on each node of a job after it has ended. It
# has the access service or the package gateway end the job's pass, as the job's
# owner and by showing it, and takes the folder away. Without --yes nothing ends
# but the job's own pass: a token of devpi-tokens ends by its time.
set -u
daypass=/usr/local/bin/daypass
dir=/run/daypass-jobs/$SLURM_JOB_ID
[ -d "$dir" ] || exit 0
if [ -s "$dir/pass" ]; then
	runuser -u "$SLURM_JOB_USER" -- /bin/sh -c '
		url=$(cat "$1/url") index=$(cat "$1/index")
		[ -n "$url$index" ] || exit 0
		export DAYPASS_URL="$url" DAYPASS_RUNTIME_DIR="$1/wallet" DEVPI_CLIENTDIR="$1/wallet"
		exec timeout 20 "$2" pass revoke ${index:+--index "$index"} --file "$1/pass"
	' sh "$dir" "$daypass" </dev/null >/dev/null 2>&1
fi
rm -rf -- "$dir"
exit 0
