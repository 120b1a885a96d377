# Rows of every type on the command line: searched for the numbers the file holds, stored as --dtype says.
. "$HERE/lib.sh"
npy wide.npy '<f8' 3,2 1.0000000001 0  1 0  1.00000000005 0
npy half.npy '<f2' 3,2 1 0  0.5 0.25  0 2
npy byte.npy '|i1' 3,2 -128 0  127 127  0 64
npy bits.npy '|u1' 3,2 255 0  0 255  240 15
npy upper.npy '<u2' 3,2 16256 0  0 16256  16384 16384
npy q.npy '<f4' 1,2 1 0
npy q8.npy '<f8' 1,2 1 0
npy qi.npy '|i1' 1,2 100 100
npy qb.npy '|u1' 1,2 254 0
# float64 keeps what float32 would lose: three rows that differ in the tenth place
try hither knn wide.npy q8.npy -k 3 --metric l2
try hither index build wide.npy -o wide.hi --dtype f64 --metric l2
try hither index search wide.hi q8.npy -k 3
try hither index search wide.hi q.npy -k 3 --radius 0
try hither knn half.npy q.npy --metric l1
try hither knn byte.npy qi.npy --metric dot
try hither knn bits.npy qb.npy --dtype b1
try hither knn bits.npy qb.npy --metric hamming --radius 8 --json
try hither knn upper.npy q.npy --dtype bf16 --metric l2
# what needs a word
try hither knn bits.npy qb.npy
try hither knn upper.npy q.npy
try hither knn bits.npy qb.npy --dtype b1 --metric l2
try hither knn half.npy qb.npy
try hither knn half.npy q.npy --metric hamming
try hither knn half.npy q.npy --recall 0
try hither knn half.npy q.npy --recall 0.9 -k 1
# each stored, searched and sound; what a file holds already is borrowed, from a pipe it is the same
for dtype in f32 f64 f16 bf16 i8 b1; do
    try hither index build half.npy -o half.hi --dtype $dtype
    hither index build - -o piped.hi --dtype $dtype < <(cat half.npy) && cmp half.hi piped.hi && echo the same from a pipe
    try hither index search half.hi q.npy -k 2
    try hither index verify half.hi
done
try hither index build byte.npy -o byte.hi --metric dot
try hither index info byte.hi
try hither index search byte.hi qi.npy -k 1 --recall 0.5
hither index build - -o piped.hi --metric dot < <(cat byte.npy) && cmp byte.hi piped.hi && echo the same from a pipe
try hither index build bits.npy -o bits.hi --dtype b1
try hither index search bits.hi qb.npy -k 2 --json
hither index build - -o piped.hi --dtype b1 < <(cat bits.npy) && cmp bits.hi piped.hi && echo the same from a pipe
try hither index build upper.npy -o upper.hi --dtype bf16
try hither index search upper.hi q.npy -k 1 --metric l2
try hither index build wide.npy -o wide.hi --dtype f16
try hither index search wide.hi q.npy -k 3
try hither index build bits.npy -o no.hi
try hither index build bits.npy -o no.hi --dtype i8
head -c 131 byte.npy >cut.npy
try hither knn cut.npy qi.npy
