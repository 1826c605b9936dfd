# lib.sh - start and stop a server, hold connections, count results. Read by run.

# check NAME COMMAND...: one result. What the command says is shown only if it fails.
check() {
    local name=$1
    shift
    if "$@" >"$work/said" 2>&1; then
        passed=$((passed + 1))
        printf 'ok      %s: %s\n' "$label" "$name"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s: %s\n' "$label" "$name"
        head -c 2000 "$work/said" | sed 's/^/        /'
    fi
}

# same GOT WANTED
same() {
    [ "$1" = "$2" ] && return
    printf 'got:    %q\nwanted: %q\n' "$1" "$2"
    return 1
}

at_least() {
    [ "${1:-0}" -ge "$2" ] && return
    echo "got ${1:-nothing}, wanted at least $2"
    return 1
}

# start PROGRAM: sets pid, port, and output, from which the rest of what it prints can be read. Whoever starts
# a server by a process substitution can wait for it.
start() {
    label="$(basename "$1"), $workers workers"
    exec {output}< <(exec env --default-signal=PIPE WEFT_WORKERS=$workers "$1" 127.0.0.1:0 2>"$work/stderr")
    pid=$!
    local line
    if read -r -t 10 -u "$output" line && [[ $line =~ ^listening\ on\ port\ ([0-9]+)$ ]]; then
        port=${BASH_REMATCH[1]}
        return
    fi
    failed=$((failed + 1))
    echo "FAILED  $label: does not start: ${line-} $(cat "$work/stderr")"
    kill -KILL "$pid" 2>/dev/null
    exec {output}<&-
    pid=
    return 1
}

# stopped: the server says so, its output ends, and it exits with 0.
stopped() {
    local line rest
    if ! read -r -t 5 -u "$output" line; then
        echo "no word for 5 s after SIGTERM"
        kill -KILL "$pid"
        return 1
    fi
    read -r -t 5 -u "$output" rest
    [ $? -gt 128 ] && kill -KILL "$pid" # still there 5 s later
    wait "$pid"
    same "$line, $?, $(head -c 500 "$work/stderr")" "stopped, 0, "
}

# stop NAME: ask it to end, and check that it does.
stop() {
    kill -TERM "$pid"
    check "$1" stopped
    exec {output}<&-
    pid=
}

# hold N: N connections in the array held. Fails if one is refused.
hold() {
    local i fd
    held=()
    for ((i = 0; i < $1; i++)); do
        exec {fd}<>"/dev/tcp/127.0.0.1/$port" || return
        held+=("$fd")
    done
}

let_go() {
    local fd
    for fd in "${held[@]}"; do
        exec {fd}>&-
    done
    held=()
}

# all_ended: every held connection was closed by the server.
all_ended() {
    local fd rest
    for fd in "${held[@]}"; do
        read -r -t 5 -u "$fd" rest
        [ $? -eq 1 ] || { echo "still open, or still talking: '$rest'"; return 1; }
    done
}
