#!/bin/sh
# TaskProlog= in slurm.conf: run as the job's owner before each task. What it
# prints becomes the task's environment. A job that was handed a pass gets a
# narrower one in its place, which ends with the job, and keeps what it fetches
# with it in the job's own folder.
daypass=/usr/local/bin/daypass
[ -n "${DAYPASS_TOKEN:-}${DAYPASS_TOKEN_FILE:-}" ] || exit 0
dir=/run/daypass-jobs/$SLURM_JOB_ID
[ -d "$dir" ] && [ -O "$dir" ] || dir=/nonexistent
if [ ! -s "$dir/pass" ]; then
	umask 077
	mkdir -p "$dir/wallet" 2>/dev/null
	printf %s "${DAYPASS_URL:-}" >"$dir/url" 2>/dev/null
	printf %s "${DEVPI_INDEX:-}" >"$dir/index" 2>/dev/null
	"$daypass" pass narrow --for-job --yes --output "$dir/pass" >"$dir/said" 2>&1 ||
		echo "print daypass: the job's pass was not made: $(tail -n 1 "$dir/said" 2>/dev/null)"
fi
# Where that failed the file is not there, and daypass refuses: it does not fall
# back to the wider pass.
echo "export DAYPASS_TOKEN_FILE=$dir/pass"
echo "export DAYPASS_RUNTIME_DIR=$dir/wallet"
echo "unset DAYPASS_TOKEN"
