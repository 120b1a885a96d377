# watch --view: the whole screen, as an emulated terminal shows it. What depends on the clock is blanked.
. "$HERE/lib.sh"
screen() { python3 "$HERE/screen.py" "$@"; }
steady() { sed -E 's/[0-9,]+ lines\/s +[0-9.]+ ms +[0-9]+ MB/N lines\/s N ms N MB/; s/N MB.*(…|\?)/N MB …/; s/[▁▂▃▄▅▆▇█@]/ /g; s/ +\|$/|/'; }
(for i in $(seq 150); do echo "connection $i from 10.0.0.$((i % 250)) accepted"; echo "request $i took $((i * 7 % 90)) ms"; done
 echo "kernel: Out of memory: Killed process 4711 (java)"; for i in $(seq 20); do echo "request $i took 3 ms"; done
 echo "a job has ended"; echo "kernel: /dev/sda1: disk is nearly full") > app.log
if ! hither watch --view missing.log 2>&1 </dev/null | grep -q "terminal"; then echo "it ran without a terminal"; fi
try hither watch --view app.log
view() { screen "$@" -- hither watch --view --rate 10% app.log | steady; }
view 24x80 wait:nearly show keys:q end
view 24x80 wait:nearly keys:/full 'wait:/full' 'keys: disk\n' 'wait:like "' 'wait:0.' show 'keys:\x1b' 'wait:last minute' 'keys:/out of memory\n' "wait:out of memory" 'sgr:hither watch' keys:q end
# other sizes, and one it grows to
view 12x50 wait:nearly show size:16x100 "wait:java)" show size:5x20 "wait:too small" keys:q end
# what the window has forgotten is found in the archive
(echo "the reactor core has melted"; cat app.log) > old.log
screen 12x70 wait:nearly 'keys:/reactor core\n' 'wait:archive: the reactor' show 'keys:\x1b' keys:q end -- hither watch --view --window 100 --archive old.hither/logs old.log | grep reactor | steady
# a standing query, kept in a file; lines that come later are held against it
cp app.log grows.log
screen 24x80 wait:nearly 'keys:s' 'wait:first search' 'keys:/login failed\n' 'wait:like "' keys:s 'wait:saved' 'keys:\x1b' "rest:0.2" keys:q end -- hither watch --view --rate 10% --queries q.txt grows.log
cat q.txt
hither watch -f --rate 0.1% --queries q.txt grows.log > alarms 2>/dev/null &
watching=$!
echo "the login of root has failed" >> grows.log
wait_for grep -q "query" alarms; kill -INT $watching; wait $watching; echo "ended with $?"
without_scores < alarms | sed 's/^ *[0-9.]* *like/ S.SS  like/'
# the log through a pipe, keys from the terminal; paused; its end does not end the view; a signal does
screen 24x80 "wait:nearly" "keys: " "wait:paused" "keys: " "gone:paused" signal:SIGTERM end -- bash -c 'exec hither watch --view --rate 10% < app.log' | steady
printf 'ends \033[31mred \x9b and \xff\n' > odd.log
screen 12x60 "wait:ends" show keys:q end -- bash -c 'exec hither watch --view --warmup 0 odd.log' | steady
screen 12x60 "wait:ends" show keys:q end -- bash -c 'LC_ALL=C exec hither watch --view --warmup 0 odd.log' | steady
screen 12x60 rest:0.5 show end -- env TERM=dumber ASAN_OPTIONS=detect_leaks=0 hither watch --view app.log
screen 12x60 rest:0.5 show end -- hither watch --view
# no screen is left behind: what follows stands where it should
screen 12x60 "wait:nearly" keys:q "wait:after" show end -- bash -c 'hither watch --view --rate 10% app.log; echo after'
