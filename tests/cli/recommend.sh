# recommend: by one example and by several, unlike one and several, both strategies, filters; what is no example.
. "$HERE/lib.sh"
printf '{"id":%d,"vector":[%d,1],"n":%d}\n' 1 0 1 2 1 2 3 2 3 4 3 4 5 9 5 > rows.jsonl
timeless() { sed -E 's/ +[0-9]+\.[0-9]{3} ms/ # ms/; s/"ms":[0-9.]+/"ms":0/g'; }
try hither import a.hither c rows.jsonl --metric l2
try hither recommend a.hither c 1 3 -k 2
try hither recommend a.hither c 1 --unlike 2 -k 2 --json
try hither recommend a.hither c 1 --unlike '[2, 3]' --strategy best --json
try hither recommend a.hither c --unlike 1 --strategy best -k 1
try hither recommend a.hither c 1 3 --where '{"n": {"$gte": 4}}' --max-distance 9 --json
try hither recommend a.hither c 3 -k 1 --explain | timeless
try hither recommend a.hither c
try hither recommend a.hither c 1 99
try hither recommend a.hither c one
try hither recommend a.hither c --unlike 1
try hither recommend a.hither c 1 --unlike '[1.5]'
try hither recommend a.hither c 1 --unlike '[1'
try hither recommend a.hither c 1 --strategy worst
