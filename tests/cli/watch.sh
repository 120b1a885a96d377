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
# the level a line states, the file it came from
(ordinary 110; echo "ERROR cannot reach the database"; echo "[warn] cache is cold now"; echo "level=fatal giving up for good"
 echo "no error occurred at all today") > levels.log
hither watch --json levels.log short.log 2>/dev/null | sed -E 's/.*"line":"([^"]*)".*"level":([^,]*),.*"file":(.*)}/\1: \2 \3/'
# the journal's JSON: only the message counts
(for i in $(seq 210); do echo "{\"MESSAGE\":\"job $i done\",\"PRIORITY\":\"6\",\"_PID\":\"$i\"}"; done
 echo '{"_PID":"7","MESSAGE":"filesystem is read-only now"}'; echo '{"MESSAGE":[1,2],"odd":"binary message"}') > journal.json
try hither watch journal.json | without_scores
hither watch --format text journal.json 2>/dev/null | grep -c MESSAGE
# a share of the lines
try hither watch --rate 5 app.log
try hither watch --rate much app.log
for i in $(seq 4000); do echo "step $i done"; [ $((i % 20)) = 0 ] && echo "$i" | md5sum | tr '0-9' 'g-p' | sed 's/ .*//; s/..../& /g'; done > many.log
for rate in 0.5% 0.01; do echo "$rate: $(hither watch --rate $rate --json many.log 2>/dev/null | wc -l)"; done
# a command for each alarm; what the line says is never run
(ordinary 110; echo 'bad $(touch pwned) `touch pwned`; touch pwned & "quoted"') > evil.log
hither watch --on-alarm 'echo "<$HITHER_LINE> $HITHER_REASON"; cat' evil.log 2>/dev/null | without_scores; test -e pwned && echo pwned
hither watch --on-alarm 'exit 3' evil.log 2>&1 >/dev/null
# it writes nothing and opens no socket
mkdir quiet && cp app.log quiet && cd quiet
if strace -f -o ../calls true 2>/dev/null; then
    strace -f -e trace=file,network -o ../calls hither watch app.log > /dev/null 2>&1
    grep -E 'socket\(|connect\(|O_WRONLY|O_RDWR|O_CREAT|rename|unlink' ../calls
fi
ls; cd ..
# nor without a network, if this system lets us take it away
if unshare -n true 2>/dev/null; then unshare -n hither watch app.log 2>/dev/null | without_scores > alone; hither watch app.log 2>/dev/null | without_scores | cmp - alone; fi; rm -f alone
# a line of 1 GB, most of which is a hole, in 300 MB of address space; a full disk; a reader that leaves
(ordinary 150; head -c 100000 /dev/zero | tr '\0' 'x') > huge.log; truncate -s 1G huge.log
(echo; echo "after the long line") >> huge.log
limited() { { (ulimit -v 300000; hither --version) && ulimit -v 300000; } >/dev/null 2>&1; return 0; } # not with sanitizers
(limited; hither watch --rate 5% --json huge.log 2>said | sed -E 's/x{1000,}/XXX/g' | sed -E 's/.*"line":"([^"]*)".*/\1/'); cat said; rm huge.log
hither watch --rate 5% app.log 2>&1 > /dev/full
hither watch --threshold 0 --warmup 0 --rare 9999 app.log 2>/dev/null | head -1 | without_scores
# -f: files that grow, are moved away and made anew, are cut short, and come later
head -300 app.log > a.log
hither watch -f --warmup 200 --rate 20% --json a.log b.log > alarms 2>/dev/null &
watching=$!
printf 'first %s line' new >> a.log; sleep 0.3; echo " of a" >> a.log
wait_for grep -q "first new line of a" alarms
mv a.log a.log.1; echo "written to the old file" >> a.log.1; echo "a file in its place" > a.log
wait_for grep -q "a file in its place" alarms
echo "now the other one exists" > b.log
wait_for grep -q "the other one exists" alarms
echo cut > a.log
wait_for grep -q '"cut"' alarms
kill -INT $watching
wait $watching; echo "ended with $?"
sed -E 's/.*"line":"([^"]*)".*"file":(.*)}/\1 in \2/' alarms | LC_ALL=C sort
