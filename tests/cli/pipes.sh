# Pipes: closed ones end quietly, full disks do not, nothing is said where nobody looks.
. "$HERE/lib.sh"
set -o pipefail
seq 1 3000 | sed 's/^/line number /' > lines.txt
hither import a.hither c lines.txt && echo "import: silent"
seq 1 3000 | sed 's/^/line number /' | hither import a.hither piped - && hither count a.hither piped
hither scan a.hither c | head -1; echo "${PIPESTATUS[0]}"
hither scan a.hither c --json | head -1; echo "${PIPESTATUS[0]}"
hither export a.hither c --vectors | head -c 1 >/dev/null; echo "${PIPESTATUS[0]}"
hither export a.hither c -f csv --vectors | head -c 1 >/dev/null; echo "${PIPESTATUS[0]}"
hither export a.hither c -f npy | head -c 1 >/dev/null; echo "${PIPESTATUS[0]}"
hither get a.hither c $(seq 1 3000) | head -1; echo "${PIPESTATUS[0]}"
hither search a.hither c "line number 7" -k 3000 --json | head -c 1; echo "${PIPESTATUS[0]}"
hither embed lines.txt | head -c 1; echo "${PIPESTATUS[0]}"
hither watch --warmup 0 lines.txt 2> /dev/null | head -c 0; echo "${PIPESTATUS[0]}"
hither --help | true; echo "${PIPESTATUS[0]}"
hither list a.hither | true; echo "${PIPESTATUS[0]}"
hither export a.hither c > /dev/full
echo $?
