# Lines of text: import, search, and what people and programs see.
. "$HERE/lib.sh"
printf 'a hawk is a bird of prey\nthe sea is deep\r\n\nan eagle hunts by day' > lines.txt
try hither import notes.hither notes lines.txt
try hither count notes.hither notes
try hither search notes.hither notes "birds of prey" -k 2
try hither search notes.hither notes "birds of prey" --k=2 --json
try hither search notes.hither notes --id 4 -k1
try hither search notes.hither notes --id 4 -k1 --json
try hither scan notes.hither notes
try hither scan notes.hither notes --json --limit 2
# the same ids again: replaced
printf 'one\n\xef\xbb\xbftwo\n' > more.txt
try hither import notes.hither notes more.txt
try hither scan notes.hither notes
# a byte order mark, and standard input
printf '\xef\xbb\xbffrom a pipe\n' | try hither import notes.hither piped -
try hither get notes.hither piped 1
# no lines at all
: > empty.txt
try hither import notes.hither empty empty.txt
try hither count notes.hither empty
try hither search notes.hither empty "anything"
# more neighbours than rows, and a text without tokens
try hither search notes.hither piped "..." -k 100
