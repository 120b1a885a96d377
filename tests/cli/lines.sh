# grep, uniq and top: lines by meaning.
. "$HERE/lib.sh"
for i in $(seq 40); do
    echo "10:0$((i % 10)):00 connection $i from 10.0.0.$i accepted"
    [ $((i % 2)) = 0 ] && echo "10:0$((i % 10)):01 request $i took $((i * 7)) ms"
    [ $i = 20 ] && { echo "10:00:02 kernel: /dev/sda1: the disk is nearly full"; echo; echo "10:00:02 no space is left on the disk"; }
done > app.log
printf 'Disk full\nall is well\n' > other.log
printf 'disk is full on /dev/sda1, and a rather long line follows that has very little to do with it, told at some length by the daemon' > long.log
try hither grep "disk is full" app.log
try hither grep "disk is full" -n -C 1 app.log
try hither grep "disk is full" -n app.log other.log long.log
try hither grep "disk is full" -t 0.7 app.log other.log long.log
try hither grep "full disks" -k 2 app.log other.log
try hither grep "full disk" --json other.log
try hither grep "the disk is full" --color always -n app.log other.log
try tty 60 hither grep "full disk" other.log
tail -1 app.log | try hither grep "accepted connections" -n
try hither grep "penguins" app.log
try hither grep "..." app.log
try hither grep "disk" app.log missing.log
try hither grep
printf 'bad \xff disk full\r\nNUL \0 disk full\n' | try hither grep "disk full" | od -c | head -5
# its reader leaves; a line at a time
hither grep "connection accepted" app.log | head -1
mkfifo slowly && (hither grep "disk is full" slowly > found &) && exec 9> slowly && echo "the disk is full" >&9
wait_for grep -q "disk is full" found && cat found; exec 9>&-
try hither uniq app.log
try hither uniq --near app.log
try hither uniq --near -t 0.3 app.log
try hither uniq --json other.log other.log
try hither uniq missing.log
: | try hither uniq --near
try hither top app.log
try hither top -n 1 app.log other.log
try tty 50 hither top app.log
