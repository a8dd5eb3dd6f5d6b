# Sourced by run.sh: other places for a key than a file, and what is said when there is none.

another() { make ecdsa-sk another "$@"; }
elsewhere() { KEYFOB_STORE='' KEYFOB_ADDRESS=$1 "${@:2}"; }

says 'keyfob: there is no key: set KEYFOB_STORE' elsewhere '' another
says 'device not found' elsewhere '' another
says 'keyfob: nowhere is not the address of a key' elsewhere nowhere another
says 'Connection refused' elsewhere tcp:127.0.0.1:1 another
says 'keyfob: KEYFOB_STORE and KEYFOB_ADDRESS are both set' env KEYFOB_ADDRESS=unix:/nowhere ssh-keygen -q -t ecdsa-sk -N '' -f another
says 'file is not a keyfob store' env KEYFOB_STORE="$work/file" ssh-keygen -q -t ecdsa-sk -N '' -f another
says 'keyfob: there is no key in' env KEYFOB_STORE="$work/nothing" ssh-keygen -q -Y sign -f ecdsa -n other file
below_dev=$(mktemp -p /dev/shm)
cp ecdsa.pub "$below_dev"
says 'it is not a security key (a file is store:FILE)' elsewhere "$below_dev" another
check "and the file is as it was" cmp ecdsa.pub "$below_dev"
rm "$below_dev"
says 'keyfob: the user is longer than 31 bytes' another -O resident -O user=12345678901234567890123456789012
check "and no file is made" test ! -e another -a ! -e nothing

"$KEYFOB" serve --unix "$work/key.socket" --algorithms ES256 --pin 1234 </dev/null >served.log 2>&1 &
served=$!
until [ -S key.socket ]; do sleep 0.05; done
askpass 1234
check "a key behind a Unix socket" elsewhere "unix:$work/key.socket" make ecdsa-sk served -O verify-required
authorize served verify-required
check "a login with it, by its PIN" elsewhere "unix:$work/key.socket" login -i served
says 'requested feature not supported' elsewhere "unix:$work/key.socket" make ed25519-sk unsupported
export SSH_ASKPASS_REQUIRE=never
authorize ecdsa
says 'keyfob: the key that was asked does not hold this SSH key' elsewhere "unix:$work/key.socket" login -i ecdsa
kill "$served"
wait "$served" || true

"$KEYFOB" serve --unix "$work/u2f.socket" --profile u2f_only </dev/null >served.log 2>&1 &
served=$!
until [ -S u2f.socket ]; do sleep 0.05; done
check "a key that speaks U2F and nothing else" elsewhere "unix:$work/u2f.socket" make ecdsa-sk u2f
authorize u2f
check "a login with it" elsewhere "unix:$work/u2f.socket" login -i u2f
says 'requested feature not supported' elsewhere "unix:$work/u2f.socket" make ed25519-sk unsupported
says 'requested feature not supported' elsewhere "unix:$work/u2f.socket" make ecdsa-sk unsupported -O resident
kill "$served"
wait "$served" || true

"$KEYFOB" serve --unix "$work/declined.socket" --touch deny </dev/null >served.log 2>&1 &
served=$!
until [ -S declined.socket ]; do sleep 0.05; done
says 'keyfob: the authenticator answered OPERATION_DENIED' elsewhere "unix:$work/declined.socket" make ecdsa-sk declined
kill "$served"
wait "$served" || true

served_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$KEYFOB" serve --tcp "127.0.0.1:$served_port" --store over-tcp </dev/null >served.log 2>&1 &
served=$!
until grep -q "$served_port" served.log; do sleep 0.05; done
# Of ecdsa-sk, because the keyfob may have made it with AWS-LC, and the library has no AWS-LC.
check "a key behind TCP" make ecdsa-sk tcp -O device="tcp:127.0.0.1:$served_port"
authorize tcp
check "a login with it" elsewhere "tcp:127.0.0.1:$served_port" login -i tcp
says 'over-tcp is in use by another program' env KEYFOB_STORE="$work/over-tcp" ssh-keygen -q -Y sign -f tcp -n other file
kill "$served"
wait "$served" || true
served=
check "and with its file, when it is free" env KEYFOB_STORE="$work/over-tcp" ssh-keygen -q -Y sign -f tcp -n other file

by_hidraw='make ecdsa-sk hidraw -O device=$device && KEYFOB_STORE= KEYFOB_ADDRESS=$device sign hidraw && verify hidraw'
check "a HID device" "$KEYFOB" run -- \
    bash -c 'source "$0"; device=$(echo /dev/hidraw*); '"$by_hidraw" "$here/../openssh.sh"
