# echo.sh - what an echo server must do. Read by run.

test_echo() {
    start "$bin/11-echo" || return
    check "nc gets its line back" same "$(nc_says hello)" hello
    check "socat gets a megabyte back, after a half-close" big_echo
    check "sixteen of them at once" many_big_echoes
    check "a client that resets its connection harms nobody" reset_and_go_on
    check "$held_max connections at once" hold $held_max
    check "each of them works, the last one first" each_echoes
    check "and nc is still served" same "$(nc_says 'one more')" 'one more'
    check "a client that sends a byte at a time gets them one at a time" byte_by_byte
    stop "stops with $held_max connections open"
    check "and closes each of them" all_ended
    let_go
}

nc_says() {
    printf '%s\n' "$1" | timeout 5 nc -N 127.0.0.1 "$port"
}

# Sends without reading in between, then half-closes: the server must not stop half-way.
big_echo() {
    local sum
    [ -s "$work/megabyte" ] || head -c 1048576 /dev/urandom >"$work/megabyte"
    sum=$(timeout 10 socat -t 10 - "TCP:127.0.0.1:$port" <"$work/megabyte" | md5sum)
    same "$sum" "$(md5sum <"$work/megabyte")"
}

many_big_echoes() {
    local i bad=0 jobs=()
    for i in {1..16}; do
        big_echo &
        jobs+=($!)
    done
    for i in "${jobs[@]}"; do
        wait "$i" || bad=$((bad + 1))
    done
    same $bad 0
}

# linger=0 makes close(2) send a reset. The server may have the answer under way by then.
reset_and_go_on() {
    local i
    for i in {1..20}; do
        timeout 5 socat -u "FILE:$work/megabyte" "TCP:127.0.0.1:$port,linger=0" 2>/dev/null
    done
    same "$(nc_says alive)" alive
}

each_echoes() {
    local i fd line
    for ((i = ${#held[@]} - 1; i >= 0; i--)); do
        printf 'this is %d\n' "$i" >&"${held[i]}"
    done
    for ((i = 0; i < ${#held[@]}; i++)); do
        read -r -t 10 -u "${held[i]}" line
        same "$line" "this is $i" || return
    done
}

# On one of the connections held: each byte is back before the next one goes.
byte_by_byte() {
    local c got='' back
    for c in s l o w; do
        printf %s $c >&"${held[0]}"
        read -r -t 5 -n 1 -u "${held[0]}" back
        got+=$back
    done
    same "$got" slow
}
