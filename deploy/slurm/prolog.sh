#!/bin/sh
# Prolog= in slurm.conf: run as root on each node of a job before it starts. It
# makes a folder in memory for the job's pass, which only the job's owner opens.
set -eu
umask 022
base=/run/daypass-jobs
[ -d "$base" ] || mkdir -m 755 "$base"
dir=$base/$SLURM_JOB_ID
rm -rf -- "$dir"
mkdir -m 700 "$dir"
chown "$SLURM_JOB_UID" "$dir"
