# Databases that are not there, not ours, not writable, damaged, or in use.
. "$HERE/lib.sh"
try hither search none.hither c text
try hither count none.hither c
try hither verify none.hither
ls -d none.hither 2>&1
echo text > file.hither
try hither count file.hither c
try hither import file.hither c file.hither
mkdir -p other && echo x > other/catalog
try hither count other c
try hither verify other
printf 'one\ntwo\n' > lines.txt
hither import a.hither c lines.txt
try hither count a.hither nothing
try hither search a.hither nothing x
try hither search a.hither c "$(printf 'bad \xff text')"
printf '[1,2]\n' > q.json
try hither search a.hither c --vector q.json
printf '[1,NaN]\n' > nan.json
try hither search a.hither c --vector nan.json
: > none.json
try hither search a.hither c --vector none.json
try hither search a.hither c --id 77
try hither search a.hither c --id x
# without permission, also as root
user="env"
if [ "$(id -u)" = 0 ]; then
    user="setpriv --reuid=65534 --regid=65534 --clear-groups"
fi
mkdir locked && chmod 555 locked
try $user hither import locked/b.hither c lines.txt
ls locked
# a second writer
mkfifo hold
hither import a.hither c - --batch 1 < hold &
exec 9> hold
echo held >&9
wait_for sh -c 'hither get a.hither c 1 | grep -q held'
hither delete a.hither c 2 2>&1 | sed "s/\b$!\b/PID/"
try hither count a.hither c
exec 9>&-
wait
try hither delete a.hither c 2
try hither verify a.hither | sed 's/[0-9,]* bytes/N bytes/'
# a flipped byte: in a vector, in the catalog; then a segment that a newer hither wrote
cp -r a.hither newer.hither
cp -r a.hither flipped.hither
segment=$(cd a.hither/seg && ls | head -1)
python3 "$HERE/tools.py" flip_row "a.hither/seg/$segment" 2
try hither verify a.hither
try hither get a.hither c 1
python3 "$HERE/tools.py" flip flipped.hither/catalog 9000
try hither verify flipped.hither
python3 "$HERE/tools.py" newer "newer.hither/seg/$segment"
try hither count newer.hither c
