# backup, restore and repair.
. "$HERE/lib.sh"
printf 'one hawk\ntwo owls\nthree eagles\n' > lines.txt
hither import a.hither c lines.txt
try hither backup a.hither b.hither
ls b.hither
try hither scan b.hither c --json
try hither backup a.hither b.hither
try hither backup none.hither d.hither
try hither backup a.hither a.hither/inside 2>&1 | sed 's|(*/.*/a.hither|.../a.hither|'
try hither backup a.hither no/such/folder
# beside a writer; what it has committed is in, what it writes later is not
mkfifo hold
hither import a.hither c - --id-type int --batch 1 < hold &
exec 9> hold
echo held >&9
wait_for sh -c 'hither get a.hither c 1 | grep -q held'
try hither backup a.hither beside.hither
echo later >&9
wait_for sh -c 'hither get a.hither c 2 | grep -q later'
exec 9>&-
wait
try hither scan beside.hither c
try hither verify beside.hither | sed 's/[0-9,]* bytes/N bytes/'
try hither verify --fast beside.hither | sed 's|[0-9,]* bytes|N bytes|'
# restore
try hither restore b.hither again.hither
try hither scan again.hither c
try hither restore b.hither again.hither
try hither restore lines.txt x.hither
echo four | hither import again.hither c -
try hither count again.hither c
# repair: the newest row is damaged, so that no writer opens the database any more
segment=$(cd b.hither/seg && ls | head -1)
python3 "$HERE/tools.py" flip_row "b.hither/seg/$segment" 2
try hither verify b.hither
try hither delete b.hither c 1
try hither backup b.hither x.hither
try hither restore b.hither x.hither
try hither repair b.hither saved.hither
try hither scan saved.hither c
try hither search saved.hither c "owls" -k 1
try hither repair b.hither saved.hither
try hither repair a.hither whole.hither
try hither count whole.hither c
# without its catalog there is nothing to go by
cp -r a.hither headless.hither
python3 "$HERE/tools.py" flip headless.hither/catalog 30
try hither repair headless.hither x.hither
try hither repair none.hither x.hither
ls -d *.hither* | tr "\n" " "
