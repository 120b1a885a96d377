# What the golden tests share. try COMMAND... prints the command, what it prints and says, and its status if not 0.
try() {
    local shown="$*" code=0
    printf '$ %s\n' "${shown:0:150}"
    "$@" 2>&1 || code=$?
    [ "$code" = 0 ] || echo "[exit $code]"
}

# npy FILE TYPE SHAPE VALUES...: a file as numpy.save writes it. tty COLUMNS COMMAND...: runs it on a terminal.
npy() { python3 "$HERE/tools.py" npy "$@"; }
tty() { python3 "$HERE/tools.py" tty "$@"; }

# wait_for COMMAND...: until it succeeds, at most 20 seconds.
wait_for() {
    local i
    for i in $(seq 200); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    echo "waited in vain for: $*"
    return 1
}

# Scores of watch, which depend on how the library masks and weighs: only that there is one. Nor the wall's clock.
without_scores() { sed -E 's/^( ?)[0-9.]+  (new form|rare)/\1S.SS  \2/; s/"score":[0-9.]+/"score":S/; s/"time":"[^"]+","clock":"wall"/"clock":"wall"/'; }
