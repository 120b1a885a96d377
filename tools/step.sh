#!/bin/sh
# step.sh NAME COMMAND...: runs the command under a heading, notes how long it took, and passes its exit status on.
name=$1
shift
printf '\n== %s\n' "$name"
began=$(date +%s)
"$@"
status=$?
seconds=$(($(date +%s) - began))
if [ $status -ne 0 ]; then
    printf '== %s: FAILED with status %d after %d s\n' "$name" $status $seconds
fi
mkdir -p build && printf '%6d s  %s\n' $seconds "$name" >>build/timings.txt
exit $status
