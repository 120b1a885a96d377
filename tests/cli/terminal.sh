# On a terminal: colours, text cut to the width, control bytes escaped, NO_COLOR.
. "$HERE/lib.sh"
printf '{"id":"k1","text":"a line that is rather too long for a narrow terminal, so it is cut","n":1}\n' > rows.jsonl
printf '{"id":"k2","text":"\\u001b[31mred\\u001b[0m and \\u0007 bell \\u009b1m \\u202e bidi\\nsecond line"}\n' >> rows.jsonl
printf '{"id":"k3","text":"%s","metadata":"x"}\n' "漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字" >> rows.jsonl
hither import a.hither c rows.jsonl
try tty 60 hither search a.hither c "a long line"
export NO_COLOR=1
try tty 60 hither search a.hither c "red" -k 1
try tty 40 hither scan a.hither c
try tty 60 hither get a.hither c k2
try tty 80 hither list a.hither
hither create b.hither c --dim 2
try tty 80 hither search b.hither c --id 1
try tty 80 hither count b.hither "$(printf 'no\033[31mthing')"
# in a pipe nothing is cut, coloured or escaped
hither search a.hither c "a long line" -k 3 | cat -v
# import says what it did
try tty 80 hither import b.hither t rows.jsonl | sed -E 's/[0-9]+\.[0-9] s/T s/'
try tty 80 hither import b.hither t rows.jsonl | sed -E 's/[0-9]+\.[0-9] s/T s/'
try tty 50 hither watch --warmup 0 rows.jsonl | without_scores
