# http.sh - what an HTTP server must do. Read by run.

test_http() {
    start "$bin/http" || return
    local url=http://127.0.0.1:$port

    # These take their time, the server's limits being one and two seconds: they run beside all others.
    request 'GET / HTTP/1.1\r\nHost: x\r\n' >"$work/slow_head" &
    local slow_head=$!
    get "$url/late" >"$work/late" &
    local late=$!

    check "curl gets a page" same "$(get "$url/")" 'hello, world 200'
    check "three requests of curl need one connection" same "$(connects "$url/" "$url/wait" "$url/work?x=1")" '1 0 0 '
    check "HTTP/1.0 is closed after one" same "$(connects -0 "$url/" "$url/")" '1 1 '
    check "HEAD has a length and no body" head_only
    check "404" same "$(get "$url/nowhere")" 'no such page 404'
    check "a method it does not know is 501" same "$(get -X DELETE "$url/")" ' 501'
    check "a body is 413" same "$(get -X GET -d xyz "$url/")" ' 413'
    check "a chunked body is 501" same "$(get -X GET -H 'Transfer-Encoding: chunked' -d xyz "$url/")" ' 501'
    check "a head that is too long is 431" same "$(get -H "X: $(printf '%09000d' 0)" "$url/")" ' 431'
    check "and so is one that is much too long, to its end" long_head
    check "no host is 400" same "$(status 'GET / HTTP/1.1\r\n\r\n')" 400
    check "two hosts are 400" same "$(status 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')" 400
    check "a bare line feed is 400" same "$(status 'GET / HTTP/1.1\nHost: a\n\n')" 400
    check "a blank before the colon is 400" same "$(status 'GET / HTTP/1.1\r\nHost : a\r\n\r\n')" 400
    check "HTTP/2.0 is 505" same "$(status 'GET / HTTP/2.0\r\nHost: a\r\n\r\n')" 505
    check "noise is 400" same "$(status '\x16\x03\x01\x02\n')" 400
    check "five requests in one packet get five replies, in order" pipelined
    check "a head that comes byte by byte gets a reply" dribbled
    check "wrk, 64 connections: no error" wrk_is_clean 64 1 "$url/"
    check "100 connections wait at the same time" at_least "$(wrk_requests 100 1 "$url/wait")" 200
    check "$held_max connections of wrk: no error, and curl is served" busy_and_served "$url"
    check "what computes is offloaded: / is served meanwhile" computing_and_served "$url"

    check "$held_max connections held open, each used once" hold_and_use
    check "and curl is still served" same "$(get "$url/")" 'hello, world 200'
    wait $slow_head
    check "a head that does not end is 408" same "$(head -c 12 "$work/slow_head")" 'HTTP/1.1 408'
    wait $late
    check "an answer that is late is 503" same "$(cat "$work/late")" ' 503'
    check "a connection that is open when it stops may finish" finish_while_stopping
    check "it stops with $held_max connections open" stopped
    exec {output}<&-
    pid=
    check "and closes each of them" all_ended
    let_go
}

# get ARGUMENT...: the body on one line, a blank, the status.
get() {
    curl -s -m 10 -w ' %{http_code}' "$@" | tr -d '\n'
}

# How many connections each request made.
connects() {
    local arguments=() argument
    for argument; do
        [[ $argument = http* ]] && arguments+=(-o /dev/null)
        arguments+=("$argument")
    done
    curl -s -m 10 -w '%{num_connects} ' "${arguments[@]}"
}

# request TEXT: what comes back for these very bytes, escapes as for printf, until the server closes.
request() {
    printf "$1" | timeout 10 nc 127.0.0.1 "$port"
}

status() {
    request "$1" | sed -n '1s/^HTTP\/1.1 \([0-9]*\) .*/\1/p'
}

# The server says no long before all of it has come. If it closed then, the system would reset the connection, and
# a client that is still writing, or slow to read, could lose the reply. So: all can be written, and the reply ends
# in order.
long_head() {
    local fd result
    exec {fd}<>"/dev/tcp/127.0.0.1/$port" || return
    { printf 'GET / HTTP/1.1\r\nX: ' && head -c 500000 /dev/zero | tr '\0' x; } >&"$fd" &&
        timeout 10 cat <&"$fd" >"$work/reply" && same "$(head -n 1 "$work/reply")" $'HTTP/1.1 431 Request Header Fields Too Large\r'
    result=$?
    exec {fd}>&-
    return $result
}

head_only() {
    curl -s -m 10 -I "http://127.0.0.1:$port/" | tr -d '\r' >"$work/head"
    grep -q '^HTTP/1.1 200 OK$' "$work/head" && grep -q '^Content-Length: 13$' "$work/head" && same "$(tail -n 1 "$work/head")" ''
}

pipelined() {
    local one='HTTP/1.1\r\nHost: x\r\n'
    request "GET / $one\r\nGET /wait $one\r\nHEAD / $one\r\nGET /nowhere $one\r\nGET / ${one}Connection: close\r\n\r\n" |
        tr -d '\r' | grep -v -e ^Date: -e ^Content-Type: -e '^$' >"$work/replies"
    same "$(tr '\n' '|' <"$work/replies")" "$(tr -d '\n' <<'END'
HTTP/1.1 200 OK|Content-Length: 13|hello, world|
HTTP/1.1 200 OK|Content-Length: 15|worth the wait|
HTTP/1.1 200 OK|Content-Length: 13|
HTTP/1.1 404 Not Found|Content-Length: 13|no such page|
HTTP/1.1 200 OK|Content-Length: 13|Connection: close|hello, world|
END
)"
}

# Bash writes each byte by itself, and the socket does not wait to fill a packet: the server sees many pieces.
dribbled() {
    local fd text=$'GET / HTTP/1.1\r\nHost: dribble\r\nConnection: close\r\n\r\n' i
    exec {fd}<>"/dev/tcp/127.0.0.1/$port" || return
    for ((i = 0; i < ${#text}; i++)); do
        printf '%s' "${text:i:1}" >&"$fd"
    done
    same "$(timeout 5 cat <&"$fd" | tail -n 1)" 'hello, world'
    local result=$?
    exec {fd}>&-
    return $result
}

# wrk_run CONNECTIONS SECONDS URL: wrk's report.
wrk_run() {
    timeout 20 wrk -t 1 -c "$1" -d "$2" "$3"
}

wrk_requests() {
    wrk_run "$@" | sed -n 's/^ *\([0-9]*\) requests in .*/\1/p'
}

wrk_is_clean() {
    wrk_run "$@" >"$work/wrk.$1"
    cat "$work/wrk.$1"
    grep -q ' requests in ' "$work/wrk.$1" && ! grep -q -e 'Socket errors' -e 'Non-2xx' "$work/wrk.$1"
}

# While wrk keeps all its connections busy, five clients in a row come, are served, and go.
busy_and_served() {
    local i got=''
    wrk_is_clean $held_max 2 "$1/" >"$work/report" &
    local wrk=$!
    for i in {1..5}; do
        got+="$(get "$1/") "
    done
    wait $wrk || { cat "$work/report"; return 1; }
    same "$got" "$(printf 'hello, world 200 %.0s' {1..5})"
}

# Each /work computes for about a tenth of a second, so 32 of them at once would keep even 8 workers on two CPUs
# for longer than curl is prepared to wait.
computing_and_served() {
    wrk_run 32 1 "$1/work" >"$work/report" &
    local wrk=$! i in_time=0
    for i in {1..5}; do
        curl -s -m 1 -o /dev/null "$1/" && in_time=$((in_time + 1))
    done
    wait $wrk
    same $in_time 5
}

# read_reply FD: one reply to GET /; its first line and whether its body is right.
read_reply() {
    local line first
    read -r -t 10 -u "$1" first
    while read -r -t 10 -u "$1" line && [ "$line" != $'\r' ]; do :; done
    read -r -t 10 -u "$1" line
    echo "${first%$'\r'}, $line"
}

hold_and_use() {
    local fd
    hold $held_max || return
    for fd in "${held[@]}"; do
        printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >&"$fd"
    done
    for fd in "${held[@]}"; do
        same "$(read_reply "$fd")" 'HTTP/1.1 200 OK, hello, world' || return
    done
}

# The reply to its first request tells that the connection is accepted; the second comes after the server was told
# to end.
finish_while_stopping() {
    local fd result
    exec {fd}<>"/dev/tcp/127.0.0.1/$port" || return
    printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >&"$fd"
    same "$(read_reply "$fd")" 'HTTP/1.1 200 OK, hello, world' || return
    kill -TERM "$pid"
    printf 'GET /wait HTTP/1.1\r\nHost: x\r\n\r\n' >&"$fd"
    same "$(read_reply "$fd")" 'HTTP/1.1 200 OK, worth the wait'
    result=$?
    exec {fd}>&-
    return $result
}
