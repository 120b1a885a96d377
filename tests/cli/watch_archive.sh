# watch --archive: lines kept as rows, searchable meanwhile; whatever the database does, watching goes on.
. "$HERE/lib.sh"
for i in $(seq 300); do echo "2026-11-21T10:$((10 + i / 60)):$((10 + i % 50)).500Z request $i took $((i * 7 % 90)) ms"; done > app.log
echo "2026-11-21T11:00:00Z ERROR disk /dev/sda1 is full" >> app.log
try hither watch --archive logs.hither/app app.log | without_scores
try hither count logs.hither app
hither search logs.hither app "full disk" -k 1 --json | sed -E 's/"(id|distance)":[0-9.]+/"\1":N/g'
hither count logs.hither app --where '{"time": {"$lt": "2026-11-21T10:11"}}'
hither count logs.hither app --where '{"level": "error"}'
# again, with other lines, and one file that is written as another process searches it
mkfifo slowly
hither watch --archive logs.hither/app app.log slowly > alarms 2>said &
exec 9> slowly
echo "the last straw" >&9
sees() { hither search logs.hither app "last straw" -k 1 | grep -q "last straw"; }
wait_for sees; hither count logs.hither app --where '{"file": "slowly"}'
exec 9>&-; wait
hither scan logs.hither app --json | sed -E 's/^\{"id":([0-9]+),.*/\1/' | sort -c -n && echo "ids rise"
try hither verify logs.hither | sed -E 's/[0-9,]+ (rows|bytes|pages|files|segments)/N \1/g'
# no place for it
try hither watch --archive logs.hither app.log
try hither watch --archive app.log/logs app.log 2>&1 | sed 's/: [A-Z][a-z ]*(/: ...(/'
echo '{"id": "a", "vector": [1, 2]}' > v.jsonl && hither import logs.hither vectors v.jsonl
try hither watch --archive logs.hither/vectors app.log
echo '{"id": "a", "text": "b"}' > t.jsonl && hither import logs.hither texts t.jsonl
try hither watch --archive logs.hither/texts app.log
# the disk is full: said once, the alarms come all the same, what was written stays
for i in $(seq 30000); do echo "step $i of many is done with result $((i * 7919 % 10007)) and no error at all, to be sure"; done > long.log
echo "now the disk is full" >> long.log
(trap '' XFSZ; ulimit -f 3000; hither watch --archive small.hither/app long.log > out 2> said; echo "exit $?" >> out)
without_scores < out
sed -E 's/(going on|goes on): .*/\1: .../; s/[0-9]+ lines did/N lines did/' said
rows=$(hither count small.hither app) && [ "$rows" -lt 30000 ] && echo "some rows" && hither verify small.hither | cut -c1-2
# the lines' times: those older than the age are forgotten
(echo "2026-11-21T10:00:00Z kernel is tainted"; for i in $(seq 100); do echo "2026-11-21T10:05:00Z step $i done"; done
 echo "2026-11-21T10:09:00Z kernel is tainted"; echo "2026-11-21T10:20:00Z kernel is tainted") > aged.log
for age in 30m 10m 1h30m; do echo "$age: $(hither watch --warmup 100 --rare 0 --age $age --json aged.log 2>/dev/null | sed -E 's/.*"line":"([^"]*)".*"time":/\1 /' | tr '\n' ';')"; done
for age in x 5y "" 0 -1; do try hither watch --age "$age" aged.log; done
