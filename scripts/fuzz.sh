#!/bin/sh
# Runs every fuzz target for the time given, one after the other.
set -eu
cd "$(dirname "$0")/.."
time=${1:-20s}
for file in $(git ls-files '*_test.go' | xargs grep -l '^func Fuzz'); do
	dir=./$(dirname "$file")
	for name in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "== $dir $name"
		go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 10x "$dir"
	done
done
