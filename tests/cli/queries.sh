# Vector fields on the command line: queries of each kind, several at once, what rows have in them, recommend by one.
. "$HERE/lib.sh"
hither create a.hither papers --dim 2 --metric l2 --fields title:3:cosine,words:2:multi:4,terms:sparse:8
cat > rows.jsonl <<'X'
{"id":1,"vector":[0,0],"document":"of hawks","year":1999,"fields":{"title":[1,0,0],"words":[[1,0],[0,1]],"terms":{"indices":[7,9],"values":[1,0.5]}}}
{"id":2,"vector":[1,0],"document":"of owls","year":2010,"fields":{"title":[0,1,0],"words":[[0.5,0.5]],"terms":{"indices":[9],"values":[2]}}}
{"id":3,"vector":[2,0],"document":"of bread","fields":{"terms":{"indices":[11],"values":[1]}}}
{"id":4,"vector":[3,0],"document":"of nothing"}
X
hither import a.hither papers rows.jsonl
# what rows have in them
try hither get a.hither papers 1 3 4 --vectors
try hither scan a.hither papers --vectors --json --limit 2
try hither scan a.hither papers --vectors --order-by year --json
# sparse: a query a line
printf '{"indices":[9],"values":[1]}\n\n  {"values":[1,1],"indices":[7,11]} \n' > terms.jsonl
try hither search a.hither papers --field terms --vector terms.jsonl
try hither search a.hither papers --field terms --vector terms.jsonl --json -k 1 --where '{"year":{"$gt":2000}}'
echo '{"indices":[],"values":[]}' | try hither search a.hither papers --field terms --vector - -k 1 --json
for bad in '[1]' '7' '{"indices":[1]}' '{"indices":[1],"values":[1,2]}' '{"indices":[-1],"values":[1]}' '{' ''; do
    echo "$bad" | try hither search a.hither papers --field terms --vector -
done
echo '[0,0]' > own.jsonl
echo '[0,1,0]' > title.jsonl
printf '[1,0]\n[0,1]\n' > words.jsonl
try hither search a.hither papers --field title --vector title.jsonl -k 1 --json --vectors
try hither search a.hither papers --field words --vector words.jsonl -k 1 --json
try hither search a.hither papers --field words --vector title.jsonl
try hither search a.hither papers --field none --vector title.jsonl
# several at once
head -1 terms.jsonl > one.jsonl
try hither search a.hither papers --vector own.jsonl --beside terms=one.jsonl -k 2 --json
try hither search a.hither papers --vector own.jsonl --beside title=title.jsonl -k 2 --fusion weighted --candidates 2
try hither search a.hither papers --field title --vector title.jsonl --beside words=words.jsonl -k 1 --json
try hither search a.hither papers --vector words.jsonl --beside terms=terms.jsonl -k 1 --json
try hither search a.hither papers bread --keyword --beside terms=one.jsonl -k 2
try hither search a.hither papers --vector own.jsonl --hybrid --words bread --beside terms=one.jsonl -k 2
try hither search a.hither papers --field terms --vector one.jsonl --hybrid --words bread -k 2
try hither search a.hither papers --vector own.jsonl --beside terms=terms.jsonl
try hither search a.hither papers --vector own.jsonl --beside terms
try hither search a.hither papers --vector own.jsonl --beside x=one.jsonl
try hither search a.hither papers --field terms --vector one.jsonl --beside title=title.jsonl
# more than are asked at once
for i in $(seq 70); do echo "[$((i % 4)),0]"; done > many.jsonl
for i in $(seq 70); do echo '{"indices":[11],"values":[1]}'; done > many_terms.jsonl
hither search a.hither papers --vector many.jsonl --beside terms=many_terms.jsonl -k 2 --json > many.out
wc -l < many.out
tail -n 2 many.out
# rows like others, by a field
try hither recommend a.hither papers 1 --field title --json
try hither recommend a.hither papers 3 --field title
