# ttl and expire: rows that end by themselves
. "$HERE/lib.sh"
printf '%s\n' '{"id":1,"text":"over","_expires":1000}' '{"id":2,"text":"not yet","_expires":99999999999}' \
    '{"id":3,"text":"says nothing"}' > rows.jsonl
hither import a.hither c rows.jsonl
try hither count a.hither c
try hither expire a.hither c
try hither ttl a.hither c 0
try hither count a.hither c
try hither get a.hither c 1
try hither search a.hither c over -k 9
try hither expire a.hither c
try hither ttl a.hither c off
try hither count a.hither c
try hither ttl a.hither c 3600
printf '{"id":4,"text":"new"}\n' > new.jsonl
hither import a.hither c new.jsonl
hither get a.hither c 4 | grep -c _expires
for wrong in '' x -5 1x 1000000001 99999999999999999999; do try hither ttl a.hither c "$wrong"; done
try hither ttl a.hither none 5
try hither ttl a.hither c
try hither expire none.hither c
