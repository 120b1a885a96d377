#!/bin/sh
# Fuzzes each target for SECONDS, starting from its corpus: fuzz.sh SECONDS [NAME...]. New inputs stay under build/fuzz;
# an input that breaks something ends the run, and its path is printed: fix the bug, then add the input to the corpus.
set -eu
cd "$(dirname "$0")/.."
seconds=$1
shift
[ $# -gt 0 ] || set -- $(cd tests/fuzz && ls fuzz_*.c | sed 's/fuzz_\(.*\)\.c/\1/')
cmake --preset fuzz --log-level=WARNING
cmake --build --preset fuzz --target $(printf "fuzz_%s " "$@")
for name in "$@"; do
    found=build/fuzz/found/$name
    mkdir -p "$found"
    build/fuzz/bin/fuzz_"$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        -verbosity=0 -artifact_prefix="$found-" "$found" tests/fuzz/corpus/"$name" >"$found.log" 2>&1 || {
        tail -60 "$found.log" >&2
        echo "fuzz: $name broke; the input is the file named above" >&2
        exit 1
    }
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$found.log")
    echo "fuzz: $name: $runs runs in $seconds s, $(ls "$found" | wc -l) inputs kept, nothing broke"
done
