# watch --rules, --state, --alarms: what is masked, what is kept, how many.
. "$HERE/lib.sh"
code() { echo "$1" | md5sum | cut -c1-3 | tr '0-9' 'g-p'; }
for i in $(seq 120); do echo "order ORD-$(code $i) was paid"; echo "session of tenant $(code $((i + 500))) ended"; done > app.log
echo "the shop is closed" >> app.log
printf '# what this shop writes\norder ORD-{word}\n\ntenant tenant {any} ended\n' > rules
hither watch --warmup 100 --rate 20% --json app.log 2>/dev/null | wc -l
try hither watch --warmup 100 --rate 20% --rules rules app.log | without_scores
echo "order {nothing}" > bad-rules && try hither watch --rules bad-rules app.log
try hither watch --rules missing-rules app.log
printf 'order \0' > nul-rules && try hither watch --rules nul-rules app.log
# stopped and gone on: the same alarms as in one go
for i in $(seq 4000); do echo "step $i done"; [ $((i % 40)) = 0 ] && echo "$(code $i) $(code $((i * 7))) $(code $((i * 13)))"; done > many.log
alarms() { sed -E 's/"time":.*//'; }
hither watch --json --rate 1% many.log 2>/dev/null | alarms > whole
for part in 1,1500p 1501,1600p 1601,9999p; do sed -n $part many.log | hither watch --json --rate 1% --state learned 2>/dev/null | alarms; done > parts
cmp whole parts && wc -l < parts
ls
echo "the shop is closed" | hither watch --state learned | without_scores
echo "the shop is closed" | hither watch --state learned
# a signal saves too; what cannot be saved does not stop it; a state that is none
(seq 1 210 | sed 's/.*/step & done/'; echo "a new line") > signalled.log
hither watch -f --rate 5% --state signalled signalled.log > alarms 2>/dev/null &
wait_for grep -q "a new line" alarms; kill -INT $!; wait; test -s signalled && echo saved
seq 1 300 | sed 's/.*/step & done/' | hither watch --state nowhere/learned
cp app.log no-state && try hither watch --state no-state app.log
head -c 300 learned > half && try hither watch --state half app.log
try hither watch --state learned --rules rules app.log
# so many a day, by the lines' own times: 30 days, a new line every hour, 5 asked for
python3 - <<'X' > month.log
import datetime, hashlib
at = datetime.datetime(2026, 10, 1)
for i in range(30 * 24 * 12):
    at += datetime.timedelta(minutes=5)
    odd = hashlib.md5(str(i).encode()).hexdigest().translate(str.maketrans("0123456789", "ghijklmnop"))
    text = f"{odd[:5]} {odd[5:9]} {odd[9:16]}" if i % 12 == 5 else f"step {i} done"
    print(at.isoformat() + "Z", text)
X
count=$(hither watch --json --alarms 5/day month.log 2>/dev/null | tee day.json | wc -l)
[ $((count * 3)) -ge $((5 * 30 * 2)) ] && [ $((count * 2)) -le $((5 * 30 * 3)) ] && echo "within 1.5 times" || echo "$count alarms"
head -1 day.json | sed -E 's/.*("time":"2026-10).*("clock":"[a-z]+").*/\1 \2/'
for asked in 5 5/year /day -1/day x/day; do try hither watch --alarms $asked app.log; done
try hither watch --alarms 5/day --rate 1% app.log
