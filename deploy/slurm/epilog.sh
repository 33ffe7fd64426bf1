#!/bin/sh
# Epilog= in slurm.conf: run as root on each node of a job after it has ended. It
# has the access service end the job's pass, as the job's owner and by showing
# it, and takes the folder away. A pass of a package gateway ends by its time.
set -u
daypass=/usr/local/bin/daypass
dir=/run/daypass-jobs/$SLURM_JOB_ID
[ -d "$dir" ] || exit 0
if [ -s "$dir/pass" ] && [ -s "$dir/url" ]; then
	runuser -u "$SLURM_JOB_USER" -- /bin/sh -c '
		DAYPASS_URL=$(cat "$1/url") DAYPASS_RUNTIME_DIR=$1/wallet timeout 20 "$2" pass revoke --yes --file "$1/pass"
	' sh "$dir" "$daypass" </dev/null >/dev/null 2>&1
fi
rm -rf -- "$dir"
exit 0
