# Input that is wrong: each fault is named with its place, and nothing of its batch is written.
. "$HERE/lib.sh"
bad() { try hither import a.hither c "$@"; }
bad missing.txt
bad .
printf 'good\n\xff\xfe\n' > utf8.txt; bad utf8.txt
printf '{"id":1,"text":"ok"}\n{"id":2,"text":\n' > broken.jsonl; bad broken.jsonl
printf '{"id":1,"text":"\xc3("}\n' > utf8.jsonl; bad utf8.jsonl
printf '[1,2]\n' > array.jsonl; bad array.jsonl
printf '{"id":1,"id":2,"text":"x"}\n' > twice.jsonl; bad twice.jsonl
printf '{"id":1,"body":"x"}\n' > fields.jsonl; bad fields.jsonl
printf '{"id":1.5,"text":"x"}\n' > id.jsonl; bad id.jsonl
printf '{"id":"","text":"x"}\n' > id2.jsonl; bad id2.jsonl
printf '{"text":"x"}\n' > id3.jsonl; bad id3.jsonl --id key
printf '{"id":1,"text":5}\n' > text.jsonl; bad text.jsonl
printf '{"id":1,"vector":"x"}\n' > vector.jsonl; bad vector.jsonl
printf '{"id":1,"vector":[]}\n' > vector2.jsonl; bad vector2.jsonl
printf '{"id":1,"vector":[1,"x"]}\n' > vector3.jsonl; bad vector3.jsonl
printf '{"id":1,"vector":[1,1e39]}\n' > vector4.jsonl; bad vector4.jsonl
printf '{"id":1,"vector":[1,2]}\n{"id":2,"vector":[1,2,3]}\n' > dim.jsonl; bad dim.jsonl
printf '{"id":1,"text":"%s"}\n' "$(printf '[%.0s' $(seq 70))" > fine.jsonl
printf '{"id":1,"text":"x","a":%s1%s}\n' "$(printf '[%.0s' $(seq 70))" "$(printf ']%.0s' $(seq 70))" > deep.jsonl; bad deep.jsonl
printf 'id,text\n1,one\n2,two,three\n' > fields.csv; bad fields.csv
printf 'id,text\n1,"one\n2,two\n' > quote.csv; bad quote.csv
printf 'id,text\n1,"one"x\n' > after.csv; bad after.csv
printf 'id,text,id\n1,one,1\n' > twice.csv; bad twice.csv
printf 'id,body\n1,one\n' > column.csv; bad column.csv
printf 'id,body\n1,one\n' > column.csv; bad column.csv --text txt
printf 'id,text\n1,\xff\n' > utf8.csv; bad utf8.csv
printf 'id,text\n,x\n' > noid.csv; bad noid.csv
npy nan.npy '<f4' 2,2 1 2 3 nan; bad nan.npy
npy inf.npy '<f8' 2,2 1 2 1e300 4; bad inf.npy
npy int.npy '<i4' 2,2 1 2 3 4; bad int.npy
npy big.npy '>f4' 2,2 1 2 3 4; bad big.npy
npy object.npy '|O' 1,1 0; bad object.npy
npy short.npy '<f4' 3,2 1 2 3 4 5; bad short.npy
bad - --format npy < short.npy
npy long.npy '<f4' 1,2 1 2 3 4; bad long.npy
npy cube.npy '<f4' 1,1,2 1 2; bad cube.npy
npy flat.npy '<f4' 2 1 2; bad flat.npy
npy ok.npy '<f4' 2,2 1 2 3 4; printf 'a\n' > one.txt; bad ok.npy --ids one.txt
printf 'a\nb\nc\n' > three.txt; bad ok.npy --ids three.txt
sed 's/False/True /' ok.npy > fortran.npy; bad fortran.npy
head -c 50 ok.npy > cut.npy; bad cut.npy
bad utf8.txt --format npy
ls -d a.hither 2>&1
# batches before the fault stay
(for i in $(seq 25); do echo "{\"id\":$i,\"text\":\"row $i\"}"; done; echo '{') > late.jsonl
bad late.jsonl --batch 10
try hither count a.hither c
# what the collection is decides
npy three.npy '<f4' 1,3 1 2 3
bad three.npy
bad fine.jsonl --metric l2
try hither create a.hither v --dim 2
try hither import a.hither v three.npy
try hither import a.hither v fine.jsonl
try hither import a.hither bad/name fine.jsonl
try hither count a.hither v
# what Python does
bad rows.parquet
bad - --format parquet
