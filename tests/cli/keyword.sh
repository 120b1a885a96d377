# Searches by words, and by words and vectors at once.
. "$HERE/lib.sh"
printf 'a hawk is a bird of prey\nan owl hunts at night\nbread is baked at night\n' > lines.txt
try hither import notes.hither notes lines.txt
try hither search notes.hither notes 'owl night' --keyword
try hither search notes.hither notes '"bird of prey" hunt*' --keyword --json
try hither search notes.hither notes '+night -owl' --keyword
try hither search notes.hither notes 'nowhere' --keyword
try hither search notes.hither notes 'an owl at night' --hybrid -k 2
try hither search notes.hither notes 'an owl at night' --hybrid --fusion weighted --vector-weight 0.25 -k 1 --json
try hither search notes.hither notes --id 1 --hybrid --words night -k 2
# what does not go together
try hither search notes.hither notes owl --keyword --hybrid
try hither search notes.hither notes owl --words night
try hither search notes.hither notes --id 1 --keyword
try hither search notes.hither notes --id 1 --hybrid
try hither search notes.hither notes owl --fusion rrf
try hither search notes.hither notes owl --hybrid --vector-weight 1
try hither search notes.hither notes owl --keyword --max-distance 1
