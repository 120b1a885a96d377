# Vector fields through JSONL: what export writes, import reads back, equal to the bit.
. "$HERE/lib.sh"
SPEC=title:3:l1,words:2:multi:4,terms:sparse:8,none:2
cat > rows.jsonl <<'X'
{"id":1,"vector":[0,1],"fields":{"title":[-0.0,1e-45,3.4028235e38],"words":[[1,0],[0.1,-0.3]],"terms":{"indices":[7,4294967295],"values":[0.1,2]}}}
{"id":2,"vector":[1,0],"n":1,"fields":{"terms":{"values":[1.5],"indices":[0]},"title":null}}
{"id":3,"vector":[1,1],"document":"none of them"}
{"id":4,"vector":[1,2],"fields":{"t\u0069tle" : [ 1, 2 , 3 ] , "words": [], "terms":{"indices":[],"values":[]}}}
{"id":5,"vector":[2,2],"fields":null}
X
try hither import a.hither papers rows.jsonl --fields $SPEC --metric l2
try hither export a.hither papers --vectors
hither export a.hither papers --vectors > one.jsonl
# the same fields by --fields, or as the collection has them
try hither import b.hither one one.jsonl --fields $SPEC --metric l2
hither create b.hither two --dim 2 --fields $SPEC --metric l2
try hither import b.hither two one.jsonl --batch 1
for name in one two; do
    hither export b.hither $name --vectors | cmp - one.jsonl && echo same rows
    cmp <(hither info b.hither $name --json | sed "s/\"$name\"/X/") \
        <(hither info a.hither papers --json | sed 's/"papers"/X/') && echo same facts
done
echo '[1,2,3]' | try hither search b.hither one --field title --vector - -k 1
# what does not hold them
hither export a.hither papers > bare.jsonl
head -2 bare.jsonl
try hither export a.hither papers --format csv --vectors
# a collection without vector fields takes "fields" as metadata, as ever
printf '{"id":1,"text":"x","fields":{"title":[1]}}\n' > metadata.jsonl
try hither import b.hither plain metadata.jsonl
try hither export b.hither plain --vectors --where '{"fields.title": 2}'
try hither export b.hither plain
# what is wrong, by line
bad() {
    printf '{"id":1,"vector":[0,1]}\n{"id":2,"vector":[0,1],"fields":%s}\n' "$1" > bad.jsonl
    try hither import b.hither two bad.jsonl
}
bad '[1]'
bad '{"titel":[1,2,3]}'
bad '{"title":[1,2]}'
bad '{"title":[1,"2",3]}'
bad '{"title":[1,2,1e39]}'
bad '{"words":[1,2]}'
bad '{"words":7}'
bad '{"words":[[1,2],[1]]}'
bad '{"words":[[1,2],[1,2],[1,2],[1,2],[1,2]]}'
bad '{"terms":[1]}'
bad '{"terms":{"indices":[1]}}'
bad '{"terms":{"indices":[1,2],"values":[1]}}'
bad '{"terms":{"indices":[4294967296],"values":[1]}}'
bad '{"terms":{"indices":[1.0],"values":[1]}}'
bad '{"terms":{"indices":[1,1],"values":[1,2]}}'
bad '{"terms":{"indices":"1","values":[1]}}'
try hither count b.hither two
try hither import b.hither two one.jsonl --fields title:4
try hither import c.hither x one.jsonl --fields title
try hither import c.hither x one.csv --fields title:3
ls -d *.hither
# a name of the metadata's that is taken
hither create d.hither q --dim 2 --fields title:3
printf 'id,vector,fields\n1,"[0,1]",x\n' > taken.csv
try hither import d.hither q taken.csv
try hither export d.hither q --vectors
try hither export d.hither q
