# create, list, rename, drop, info.
. "$HERE/lib.sh"
try hither create a.hither images --dim 4 --metric l2
try hither create a.hither texts
try hither create a.hither images --dim 4
try hither list a.hither
try hither list a.hither --json
try hither info a.hither texts
try hither info a.hither texts --json
hither info a.hither | sed -E 's/(version|sqlite|simd|bytes [a-z]+) .*/\1 .../; s|path .*/|path .../|'
try hither rename a.hither images pictures
try hither rename a.hither nothing else
try hither rename a.hither texts pictures
try hither drop a.hither texts
try hither drop a.hither texts
try hither list a.hither
try hither drop a.hither pictures
try hither list a.hither
try hither list missing.hither
try hither create a.hither bad/name --dim 4
try hither create a.hither x --dim 0
try hither create a.hither x --dim 65536
try hither create a.hither x --dim 65535
try hither create a.hither y --dtype f16 --dim 3
# What is refused leaves no database behind.
try hither create new.hither bad/name --dim 4
echo '{"id": 1, "vector": [1, 2]}' | try hither import new.hither bad/name - --format jsonl
test -e new.hither || echo "nothing was made"
