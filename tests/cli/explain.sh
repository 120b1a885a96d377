# The plan of every kind of search, as JSON and as a tree: what is counted is to the number, times are left out.
. "$HERE/lib.sh"
timeless() { sed -E 's/ +[0-9]+\.[0-9]{3} ms/ # ms/; s/"ms":[0-9.]+/"ms":0/g; s/"threads":[0-9]+/"threads":T/'; }
plan() {
    try hither search a.hither "$@" --explain --json | grep -v '^{"query"' | timeless
    hither search a.hither "$@" --explain | grep ' ms ' | timeless
}
hither create a.hither papers --dim 2 --metric l2 --fields title:2:cosine,words:2:multi:2,terms:sparse:4
seq 3000 | awk '{
    of = $1 % 3 ? "bread" : "owls"
    printf "{\"id\":%d,\"vector\":[%d,%d],\"document\":\"row %d of %s\",\"n\":%d,\"kind\":%d,", $1, $1, $1 % 7, $1, of, $1, $1 % 10
    printf "\"fields\":{\"title\":[1,%d],\"words\":[[1,%d]],\"terms\":{\"indices\":[%d],\"values\":[1]}}}\n", $1, $1, $1 % 5
}' > rows.jsonl
hither import a.hither papers rows.jsonl
echo '[100,0]' > own.jsonl
echo '[1,0.5]' > title.jsonl
echo '{"indices":[3],"values":[1]}' > terms.jsonl
# filters: columns, then rows of documents among what columns leave, then near rows first
plan papers --vector own.jsonl -k 3
plan papers --vector own.jsonl -k 3 --where '{"n":{"$lte":30}}'
plan papers --vector own.jsonl -k 3 --where '{"n":{"$lte":30},"$document":{"$contains":"owls"}}'
plan papers --vector own.jsonl -k 3 --where '{"$document":{"$contains":"owls"}}'
plan papers --vector own.jsonl --radius 200 --where '{"kind":3}'
plan papers --vector own.jsonl -k 2 --group-by kind
plan papers --vector own.jsonl -k 2 --diversity 0.5
# fields: exact, and the plan says so
plan papers --field title --vector title.jsonl -k 3 --where '{"kind":3}'
plan papers --field words --vector title.jsonl -k 3
plan papers --field terms --vector terms.jsonl -k 3
# words, and several things at once
plan papers owls --keyword -k 2
plan papers owls --keyword -k 2 --where '{"kind":3}'
plan papers --vector own.jsonl --hybrid --words '+owls row' -k 2
plan papers --vector own.jsonl --beside terms=terms.jsonl --fusion weighted -k 2
try hither recommend a.hither papers 7 --unlike 2000 -k 2 --strategy best --explain --json | timeless
