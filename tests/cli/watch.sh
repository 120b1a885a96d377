# watch: new and rare lines, at once, whatever the lines hold.
. "$HERE/lib.sh"
# ordinary lines: two forms
ordinary() { for i in $(seq "$1"); do echo "connection $i from 10.0.0.$((i % 250)) accepted"; echo "request $i took $((i * 7 % 90)) ms"; done; }
(ordinary 150; echo "kernel: Out of memory: Killed process 4711 (java)"; ordinary 20; echo "kernel: Out of memory: Killed process 99 (java)"
 echo "kernel: Out of memory: Killed process 100 (java)") > app.log
try hither watch app.log | without_scores
try hither watch --json --rare 0 app.log | without_scores
try hither watch --threshold 1.5 app.log | without_scores
try hither watch --threshold 9 app.log | without_scores
try hither watch --warmup 0 --rare 0 --window 10 app.log | without_scores
head -30 app.log > short.log
try hither watch short.log | without_scores
try hither watch --warmup 5 --rare 0 app.log short.log | without_scores
try hither watch missing.log | without_scores
: > empty.log
try hither watch empty.log | without_scores
# hostile lines
(ordinary 5; printf 'bad \xff\xfe bytes\r\n'; printf 'a NUL \0 byte\n'; head -c 200000 /dev/zero | tr '\0' 'x'; echo; echo; printf 'no end') > bad.log
hither watch --warmup 10 --rare 0 --json bad.log 2>said | sed -E 's/x{1000,}/XXX/' | without_scores
cat said
# promptly: the alarm is there before the pipe closes
mkfifo log
hither watch --warmup 2 < log > alarms 2>/dev/null &
exec 9> log
echo "user 1 logged in" >&9
echo "user 2 logged in" >&9
echo "disk full" >&9
wait_for grep -q "disk full" alarms && without_scores < alarms
exec 9>&-
wait
