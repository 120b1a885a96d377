# get, delete, scan, count.
. "$HERE/lib.sh"
printf '{"id":%d,"text":"row %d","n":%d}\n' $(for i in $(seq -3 3); do echo $i $i $i; done) > rows.jsonl
try hither import a.hither c rows.jsonl
try hither get a.hither c 1 -2
try hither get a.hither c 2 99 x 1 18446744073709551616
try hither get a.hither c 99 --json
try hither get a.hither c 3 --json --vectors | cut -c 1-80
try hither delete a.hither c 1 -2 99 nonsense
try hither count a.hither c
try hither scan a.hither c --limit 2
try hither scan a.hither c -n 0
try hither get a.hither c 1
printf '{"id":"--help","text":"dashes"}\n' | try hither import a.hither s - -f jsonl
try hither get a.hither s -- --help
try hither delete a.hither s -- --help
try hither count a.hither s
try hither scan a.hither s
