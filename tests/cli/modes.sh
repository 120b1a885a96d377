# import --mode insert, upsert and update, and --remove; get --where.
. "$HERE/lib.sh"
printf '{"id":%d,"text":"row %d","n":%d,"draft":true,"old":%d}\n' 1 1 1 1 2 2 2 2 3 3 3 3 > rows.jsonl
try hither import a.hither c rows.jsonl --mode update
ls
try hither import a.hither c rows.jsonl --mode insert
echo '{"id":4,"text":"row 4"}' > more.jsonl
cat more.jsonl rows.jsonl > both.jsonl
try hither import a.hither c both.jsonl --mode insert --batch 1
try hither count a.hither c
# parts of rows: no text, no vector; keys laid over those there, others taken away first
printf '{"id":1,"n":10,"new":null}\n{"id":3}\n' > parts.jsonl
try hither import a.hither c parts.jsonl
try hither import a.hither c parts.jsonl --mode update --remove '["draft","old"]'
try hither scan a.hither c --json
printf '{"id":2,"text":"of owls"}\n{"id":9,"n":1}\n' > unknown.jsonl
try hither import a.hither c unknown.jsonl --mode update
try hither import a.hither c unknown.jsonl --mode update --batch 1
try hither search a.hither c "owls" -k 1 --json
try hither import a.hither c parts.jsonl --mode update --remove n
try hither get a.hither c 1 2 3 --where '{"n":{"$exists":true}}' --json
# csv, an empty cell changes nothing; npy changes vectors
printf 'id,n\n1,7\n2,\n' > parts.csv
try hither import a.hither c parts.csv
try hither import a.hither c parts.csv --mode update
try hither get a.hither c 1 2 --json
hither create b.hither v --dim 2
try hither get b.hither v 0
npy one.npy '<f4' 2,2 1 0 0 1
try hither import b.hither v one.npy --mode insert
npy two.npy '<f4' 2,2 3 4 5 6
try hither import b.hither v two.npy --mode update
try hither scan b.hither v --vectors --json
echo '{"id":0,"text":"a text beside a vector"}' > text.jsonl
try hither import b.hither v text.jsonl --mode update
try hither get b.hither v 0 --vectors
# what makes no sense
try hither import a.hither c parts.jsonl --remove n
try hither import a.hither c parts.jsonl --mode update --remove '[1]'
try hither import a.hither c parts.jsonl --mode update --remove '['
try hither import a.hither none parts.jsonl --mode update
try hither import a.hither c parts.jsonl --mode delete
try hither list a.hither
