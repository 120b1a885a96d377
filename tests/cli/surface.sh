# facets, scan in pages and in order, search with --explain, --radius, --max-distance, --group-by, --diversity; delete --where.
. "$HERE/lib.sh"
for i in $(seq 1 12); do
    printf '{"id":%d,"text":"a bird number %d","year":%d,"tags":["a","%d"],"o":{"x":%d.5}}\n' $i $i $((1990 + i % 3)) $((i % 2)) $((i % 4))
done > rows.jsonl
timeless() { sed -E 's/ +[0-9]+\.[0-9]{3} ms/ # ms/; s/"ms":[0-9.]+/"ms":0/g'; }
try hither import a.hither c rows.jsonl
try hither facets a.hither c year
try hither facets a.hither c tags --json --where '{"year":1990}'
try hither facets a.hither c o.x --limit 2
try hither facets a.hither c none
try hither facets a.hither c '$x'
try hither scan a.hither c --order-by year --descending --limit 3
try hither scan a.hither c --order-by o.x --offset 10 --json
try hither scan a.hither c --page 5 --json | tail -n 2
token=$(hither scan a.hither c --page 5 --json | tail -n 1 | sed 's/.*:"//; s/".*//')
try hither delete a.hither c 6 7
try hither scan a.hither c --page 5 --after "$token"
try hither scan a.hither c --page 5 --after "$token" --where '{"year":1990}'
try hither scan a.hither c --page 5 --after nonsense
try hither search a.hither c bird -k 2 --group-by year --group-size 2
try hither search a.hither c bird -k 3 --where '{"year":1990}' --explain | timeless
try hither search a.hither c bird -k 1 --where '{"year":1990}' --explain --json | timeless
try hither search a.hither c "bird number 5" --radius 0.3
try hither search a.hither c "bird number 5" -k 9 --max-distance 0.1 --json
try hither search a.hither c bird -k 3 --diversity 0.7
try hither search a.hither c bird --diversity 2
try hither search a.hither c bird --group-by year --diversity 0.5
try hither delete a.hither c --where '{"tags":"1"}'
try hither count a.hither c
try hither count a.hither c --where '{"o.x":{"$gt":1}}'
