# JSON lines: fields, metadata kept as it stands, vectors and texts.
. "$HERE/lib.sh"
cat > rows.jsonl <<'X'
{"id": "hawk", "text": "a bird of prey", "pos": "n", "rank": 0.1, "big": 123456789012345678, "deep": {"a": [1, {"b": null}]}}

{"id": "sea", "document": "deep water", "text": "kept as metadata", "e": 1e5, "esc\"aped": "\u00e4\n"}
{"id":"bare","text":"nothing else"}
X
try hither import a.hither c rows.jsonl
try hither scan a.hither c
try hither get a.hither c sea --json
try hither search a.hither c "prey bird" -k 1 --json
# other names
printf '{"key":7,"gloss":"first","id":"kept"}\n{"key":8,"gloss":"second"}\n' > named.jsonl
try hither import a.hither named named.jsonl --id key --text=gloss
try hither scan a.hither named --json
# line numbers where there are no ids
printf '{"text":"first"}\n\n{"text":"third"}\n' | try hither import a.hither numbered - --format jsonl
try hither scan a.hither numbered --json
# vectors, with and without documents; texts cannot follow into the same collection
printf '{"id":1,"vector":[1,0]}\n{"id":2,"embedding":[0.5,5e-1],"text":"half"}\n{"id":3,"vector":[0,1],"a":1}\n' > v.jsonl
try hither import a.hither v v.jsonl --metric l2
try hither scan a.hither v --vectors --json
printf '[1, 0]\n[0,1]\n' > q.json
try hither search a.hither v --vector q.json -k 2
try hither search a.hither v --vector q.json -k 1 --json
try hither import a.hither v rows.jsonl --format jsonl
# text and integer ids
printf '{"id":1,"text":"one"}\n{"id":"two","text":"two"}\n' > mixed.jsonl
try hither import a.hither mixed mixed.jsonl
try hither import a.hither mixed mixed.jsonl --id-type int
try hither import a.hither mixed mixed.jsonl --id-type text
try hither scan a.hither mixed --json
try hither list a.hither
