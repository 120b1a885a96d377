# Mistakes on the command line: exit status 2, and what was probably meant.
. "$HERE/lib.sh"
try hither
try hither serch
try hither --hepl
try hither xyzzy
try hither search
try hither search a.hither c
try hither search a.hither c one two
try hither search a.hither c text --id 3
try hither search a.hither c text -k 0
try hither search a.hither c text -k 65537
try hither search a.hither c text -k -1
try hither search a.hither c text -k ten
try hither search a.hither c text -k
try hither search a.hither c text --jsno
try hither search a.hither c text --json=yes
try hither search a.hither c text -json
try hither search a.hither c text -x
try hither import a.hither c f.txt --metric cos
try hither import a.hither c f.txt --format=xml
try hither import a.hither c f.txt --batch 0
try hither import a.hither c f.txt --id key
try hither import a.hither c f.npy --text key
try hither import a.hither c f.csv --ids key
try hither export a.hither c --ids ids.txt
try hither create a.hither c --dim 3 --dim
try hither help serach
ls -A
