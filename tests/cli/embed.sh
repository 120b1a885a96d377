# embed: one vector a line, promptly, and the numbers search uses.
. "$HERE/lib.sh"
printf 'a bird of prey\nthe deep sea\n\n' > lines.txt
hither embed lines.txt | wc -l
hither embed lines.txt | python3 -c '
import json, math, sys
for line in sys.stdin:
    v = json.loads(line)
    print(len(v), round(math.sqrt(sum(x * x for x in v)), 6))
'
hither embed < lines.txt | cmp - <(hither embed lines.txt) && hither embed - < lines.txt | cmp - <(hither embed lines.txt) && echo same
hither import a.hither c lines.txt
hither embed lines.txt > vectors.json
try hither search a.hither c --vector vectors.json -k 1
mkfifo text
hither embed < text > out &
exec 9> text
echo "one line" >&9
wait_for test -s out && wc -l < out
exec 9>&-
wait
printf 'good\nb\xffd\n' | try hither embed | cut -c 1-60
try hither embed missing.txt
