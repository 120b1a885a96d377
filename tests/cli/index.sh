# Index files: built from arrays, searched, verified, and refused when they are not what they should be.
. "$HERE/lib.sh"
npy base.npy '<f4' 4,3 1 0 0  0 1 0  0 0 1  0.5 0.5 0
npy half.npy '<f2' 2,3 1 0 0  0.5 -0.25 6e-8
npy wide.npy '<f4' 1,4 1 0 0 0
npy nan.npy '<f4' 2,3 1 0 0  0 nan 0
try hither index build base.npy -o base.hi
try hither index info base.hi
try hither index info base.hi --json
try hither index search base.hi half.npy -k 2
try hither index search base.hi half.npy -k 9 --metric l2 --json
try hither index search base.hi base.npy -k 1 --explain | sed -E 's/"(rows|rows_[a-z]+|kept|threads|bytes_read)":[0-9]+/"\1":N/g'
try hither index verify base.hi
# the same answers as knn, from a file, from a pipe and from another type
hither knn base.npy half.npy -k 3 | sed 's/row/label/' >want
hither index search base.hi half.npy -k 3 | cmp - want && echo same
hither index build - -o piped.hi < <(cat base.npy) && cmp base.hi piped.hi && echo same bytes from a pipe
hither index build - -o piped.hi <base.npy && cmp base.hi piped.hi && echo same bytes from standard input
try hither index build half.npy -o half.hi --metric dot
try hither index search half.hi half.npy -k 1
# labels
printf '30\n10\n20\n0\n' >labels.txt
try hither index build base.npy -o labelled.hi --labels labels.txt
try hither index search labelled.hi half.npy -k 2
try hither index verify labelled.hi
printf '1\n2\n' | try hither index build base.npy -o no.hi --labels -
printf '1\n2\n-3\n4\n' | try hither index build base.npy -o no.hi --labels -
printf '1\n2\nx\n4\n' | try hither index build base.npy -o no.hi --labels -
printf '1\n2\n123456789012345678901234567890\n4\n' | try hither index build base.npy -o no.hi --labels -
printf '1\n2\n2\n4\n' | try hither index build base.npy -o no.hi --labels -
# nothing is left of what went wrong
try hither index build nan.npy -o no.hi
try hither index build half.npy -o no/such/folder.hi
try hither index build base.npy
ls
try hither index search base.hi wide.npy
try hither index search base.hi nan.npy
try hither index info base.npy
try hither index info none.hi
try hither index search base.hi half.npy --metric hamming
# damage: found, and told by the exit status
cp base.hi bad.hi
python3 "$HERE/tools.py" flip bad.hi 8200
try hither index verify bad.hi
try hither index search bad.hi half.npy -k 1
head -c 9000 base.hi >cut.hi
try hither index verify cut.hi
try hither index verify base.npy
# the words
try hither index
try hither index bild
try hither index --help
try hither help index
try hither help index verify
try hither help index nothing
