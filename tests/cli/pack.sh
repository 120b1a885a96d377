# pack: one file that every reading command opens, and no writing one
. "$HERE/lib.sh"
printf 'one hawk\ntwo owls\nthree eagles\n' > lines.txt
hither import a.hither c lines.txt
hither delete a.hither c 2 > /dev/null
try hither pack a.hither a.pack
ls
try hither pack a.hither a.pack
try hither pack none.hither b.pack
try hither pack a.hither no/such/file
try hither list a.pack
try hither count a.pack c
try hither scan a.pack c --json
try hither get a.pack c 3
try hither search a.pack c owls -k 1
try hither verify a.pack | sed 's/[0-9,]* bytes/N bytes/'
try hither info a.pack | grep -E 'path|readonly|collections'
echo four > more.txt
try hither import a.pack c more.txt
try hither delete a.pack c 1
try hither drop a.pack c
try hither compact a.pack
try hither purge a.pack
# and a folder again
try hither restore a.pack b.hither
try hither import b.hither c more.txt
try hither count b.hither c
try hither pack a.pack c.pack
try hither scan c.pack c
# damage
head -c 50000 a.pack > cut.pack
try hither scan cut.pack c
cp a.pack flipped.pack
chmod u+w flipped.pack
printf 'X' | dd of=flipped.pack bs=1 seek=4100 conv=notrunc 2>/dev/null
try hither scan flipped.pack c
try hither verify lines.txt
