# Help comes from the one table, and so does the man page.
. "$HERE/lib.sh"
try hither --help
try hither help
try hither help count
hither -h | cmp - <(hither help) && hither search --help | cmp - <(hither help search) && echo same
hither --version | sed -E 's/[0-9]+\.[0-9]+\.[0-9]+ \(.*\)/VERSION/'
# every command's help fits 80 columns and every option is in the man page
hither help --man > hither.1
hither --help | sed -nE '/^Commands:/,/^$/s/^  ([a-z]+( [a-z]+)?)  .*/\1/p' >names
while read -r c; do
    hither $c --help | awk -v c="$c" 'length > 80 { print c ": too wide: " $0 }'
    grep -q "^.B hither $c\$" hither.1 || echo "$c is not in the man page"
    for o in $(hither $c --help | sed -nE '/^Options:/,/^$/s/^ +(-., )?--([a-z-]+).*/\2/p' | grep -v '^help$'); do
        sed -n "/^.SS hither $c /,/^.S[SH] /p" hither.1 | grep -q -- "--$(printf %s "$o" | sed 's/-/.-/g')\|\\\\-\\\\-$(printf %s "$o" | sed 's/-/\\\\-/g')" ||
            echo "$c --$o is not in the man page"
    done
done <names
wc -l <names
if command -v man >/dev/null; then
    MANWIDTH=80 man --warnings -l hither.1 2>&1 >/dev/null
fi
