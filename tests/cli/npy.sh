# numpy arrays in and out, and knn over two of them.
. "$HERE/lib.sh"
npy base.npy '<f4' 4,3 1 0 0  0 1 0  0 0 1  0.5 0.5 0
npy half.npy '<f2' 2,3 1 0 0  0.5 -0.25 6e-8
npy double.npy '<f8' 2,3 1 0 0  0.1 0.2 0.3
npy flat.npy '<f4' 3 1 0.5 0
try hither import a.hither base base.npy --metric l2
try hither scan a.hither base --vectors --json
try hither import a.hither half half.npy
try hither scan a.hither half --vectors --json
try hither import a.hither double double.npy
try hither scan a.hither double --vectors --json
printf 'n\ne\ns\nw\n' > names.txt
try hither import a.hither named base.npy --ids names.txt
try hither search a.hither named --vector flat.npy -k 2
try hither search a.hither base --vector half.npy -k 2
try hither knn base.npy half.npy -k 2
try hither knn base.npy half.npy -k 9 --metric l2 --json
# out again: the same bytes
try hither export a.hither named -o out.npy --ids out.txt
cmp base.npy out.npy || try hither import a.hither again out.npy --ids out.txt
try hither import a.hither again out.npy --ids out.txt
try hither export a.hither again -o second.npy --ids second.txt
cmp out.npy second.npy && cmp names.txt out.txt && cmp out.txt second.txt && echo same
hither export a.hither named --format npy | cmp - out.npy && echo same in a pipe
python3 - <<'X'
import sys
sys.path.insert(0, ".")
data = open("out.npy", "rb").read()
print(data[:8], len(data) - 48, data[10:80])
X
