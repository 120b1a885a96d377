# Ctrl-C during an import: what was read is in, the count is said, the exit status is 130, the database is sound.
. "$HERE/lib.sh"
mkfifo lines
# scripts start background jobs with SIGINT ignored; python gives it back
python3 -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])' \
    hither import a.hither c - --batch 100 < lines 2> said &
exec 9> lines
seq 1 250 >&9
wait_for sh -c '[ "$(hither count a.hither c)" = 200 ]'
kill -INT $!
wait $!
echo "exit $?"
cat said
exec 9>&-
hither count a.hither c
hither verify a.hither | sed 's/[0-9,]* bytes/N bytes/'
# kill -9 in the middle: what was acknowledged is there
mkfifo more
hither import a.hither d - --batch 100 < more &
exec 9> more
seq 1 350 >&9
wait_for sh -c '[ "$(hither count a.hither d)" = 300 ]'
exec 8>&2 2>/dev/null # the shell says who was killed
kill -KILL $!
wait $!
exec 2>&8
exec 9>&-
hither count a.hither d
hither verify a.hither | sed 's/[0-9,]* bytes/N bytes/'
hither delete a.hither d 1
# watch, while it waits for a line
mkfifo log
python3 -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])' \
    hither watch --warmup 0 < log > alarms &
exec 9> log
echo "the first line" >&9
wait_for test -s alarms
kill -INT $!
wait $!
echo "exit $?"
without_scores < alarms
