# Sourced by run.sh: several programs at once, one that is killed, and one under valgrind. OpenSSH runs the library in a
# program of its own, ssh-sk-helper, and SSH_SK_HELPER names another in its place.

# together NAME: eight keys, which are made at the same time.
together() {
    local number jobs=()
    for number in 1 2 3 4 5 6 7 8; do
        make ed25519-sk "$1-$number" &
        jobs+=($!)
    done
    for number in "${jobs[@]}"; do wait "$number"; done
    [ "$(cut -d' ' -f2 "$1"-*.pub | sort -u | wc -l)" = 8 ]
}
export KEYFOB_STORE=$work/together
check "eight programs at once, on one file, which the first one makes" together file
export KEYFOB_STORE=
"$KEYFOB" serve --unix "$work/together.socket" </dev/null >served.log 2>&1 &
served=$!
until [ -S together.socket ]; do sleep 0.05; done
check "eight programs at once, with a key that is served" elsewhere "unix:$work/together.socket" together served
kill "$served"
wait "$served" || true
served=

# It closes each connection, the second one after it was asked something.
python3 -c '
import socket
server = socket.socket(socket.AF_UNIX)
server.bind("closes.socket")
server.listen()
for number in range(2):
    client, _ = server.accept()
    client.recv(64 * number)
    client.close()' </dev/null &
served=$!
until [ -S closes.socket ]; do sleep 0.05; done
for _ in 1 2; do says 'keyfob: what is there does not answer as a security key' elsewhere "unix:$work/closes.socket" another; done
wait "$served"
served=

# It answers INIT, and closes the connection when it is asked for more.
python3 -c '
import socket
server = socket.socket(socket.AF_UNIX)
server.bind("goes.socket")
server.listen()
client, _ = server.accept()
nonce = client.recv(64)[7:15]
client.send((bytes.fromhex("ffffffff860011") + nonce + bytes.fromhex("010203040201000004")).ljust(64, bytes(1)))
client.recv(64)' </dev/null &
served=$!
until [ -S goes.socket ]; do sleep 0.05; done
says 'keyfob: the transport' elsewhere "unix:$work/goes.socket" another
wait "$served"
served=

# So that the process to kill is known.
cat >helper-with-id <<END
#!/bin/sh
echo \$\$ >$work/helper.id
exec $helper "\$@"
END
# The same under valgrind.
cat >helper-valgrind <<END
#!/bin/sh
exec valgrind -q --keep-debuginfo=yes --leak-check=full --show-leak-kinds=definite --log-file=$work/valgrind.%p $helper "\$@"
END
chmod +x helper-with-id helper-valgrind

# Kills the helper after some microseconds, while it makes a resident key. The registration may be over by then.
interrupted() {
    local key=$1 micros=$2 job
    rm -f helper.id
    SSH_SK_HELPER=$work/helper-with-id make ed25519-sk "$key" -O resident -O application="ssh:$key" </dev/null >/dev/null 2>&1 &
    job=$!
    until [ -s helper.id ]; do :; done
    sleep "$(printf '0.%06d' "$micros")"
    kill -9 "$(cat helper.id)" 2>/dev/null || true
    wait "$job"
}
# The same registration once more. The key may be there, without OpenSSH having heard of it; then it is overwritten.
again() { make ed25519-sk "next-$1" -O resident -O application="ssh:key-$1" <<<y; }
cut=0
export KEYFOB_STORE=$work/interrupted
# Closer together at first: some machines are done after 3 ms, others after 50.
for number in {0..29}; do
    micros=$((number * number * 70))
    if interrupted "key-$number" "$micros"; then
        authorize "key-$number"
        check "the key that was made in $micros us is there" login -i "key-$number"
    else
        cut=$((cut + 1))
        check "the next try after $micros us works" again "$number"
    fi
done
check "$cut of 30 registrations were interrupted" test "$cut" -ge 1
mkdir uninterrupted
cd uninterrupted
check "the resident keys are downloaded" ssh-keygen -q -K -N ''
cd ..
check "each of the 30 once" test "$(find uninterrupted -name '*.pub' | wc -l)" = 30

export KEYFOB_STORE=$work/watched-key SSH_SK_HELPER=$work/helper-valgrind
check "valgrind: a resident key" make ed25519-sk watched -O resident -O application=ssh:watched
check "valgrind: a signature" sign watched
check "valgrind: a wrong answer" env KEYFOB_STORE="$work/file" bash -c '! ssh-keygen -q -Y sign -f watched -n other file'
mkdir watched-download
cd watched-download
check "valgrind: a download" ssh-keygen -q -K -N ''
cd ..
unset SSH_SK_HELPER
# What OpenSSH itself leaks does not count.
check "valgrind has looked" test "$(find . -name 'valgrind.*' | wc -l)" -ge 4
refused "and finds nothing" grep -h 'keyfob_ssh_sk\|Invalid\|uninitialised' valgrind.*
