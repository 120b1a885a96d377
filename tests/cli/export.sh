# What export writes, import reads back: the same rows, ids, metadata and vectors.
. "$HERE/lib.sh"
cat > rows.jsonl <<'X'
{"id":"a","document":"first, with \"quotes\"\nand a second line","n":1,"x":0.1,"s":"12","empty":"","deep":{"k":[1,null,true]}}
{"id":"b","document":"second","n":-5,"big":123456789012345678,"late":"column"}
{"id":"c\u00e9,d","document":"","yes":true,"none":null}
{"id":"7","document":"a number as a string id"}
X
try hither import a.hither c rows.jsonl
try hither export a.hither c
hither export a.hither c > one.jsonl
try hither import b.hither c one.jsonl
hither export b.hither c | cmp - one.jsonl && echo same rows
cmp <(hither export a.hither c --vectors) <(hither export b.hither c --vectors) && echo same vectors
# complete, with vectors, into a collection without an embedder
hither export a.hither c --vectors -o two.jsonl
try hither import b.hither vectors two.jsonl
hither export b.hither vectors --vectors | cmp - two.jsonl && echo same rows and vectors
# csv: what fits a table comes back as it was
try hither export a.hither c -o one.csv
cat one.csv
try hither import b.hither csv one.csv
hither export b.hither csv -f csv | cmp - one.csv && echo same table
hither export a.hither c --format csv --vectors > two.csv
try hither import b.hither csv2 two.csv
hither export b.hither csv2 --format csv --vectors | cmp - two.csv && echo same table with vectors
# fields that have the names of the row's own
printf '{"id":1,"text":"t","key":"k"}\n' | hither import a.hither names - -f jsonl --id key
try hither export a.hither names
try hither export a.hither names --id key
# vectors only, with metadata that import could take for a text
printf '{"id":1,"vector":[1,2],"document":null,"text":"metadata","embedding":"metadata too"}\n' > odd.jsonl
try hither import a.hither odd odd.jsonl
hither export a.hither odd --vectors > odd2.jsonl
cat odd2.jsonl
try hither import b.hither odd odd2.jsonl
hither export b.hither odd --vectors | cmp - odd2.jsonl && echo same
# files appear whole or not at all
echo before > kept.jsonl
try hither export a.hither nothing -o kept.jsonl
cat kept.jsonl
try hither export a.hither c -o no/such/folder.jsonl
try hither export a.hither c -o /dev/full
try hither export a.hither c --format npy -o some.npy --ids no/such/ids.txt
hither create a.hither none --dim 3
try hither export a.hither none
try hither export a.hither none -f csv
hither export a.hither none -f npy | tail -c +11 | tr -s ' '
ls | tr '\n' ' '
