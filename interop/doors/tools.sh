# Registers as often as the argument says, while others look at the key. Run by `keyfob run`.
set -uo pipefail

registrations=${1:-80}
device=$(fido2-token -L | cut -d: -f1)
work=$(mktemp -d -p .)
cd "$work" || exit
touch refused

# Tries COMMAND... until it succeeds, at most ten times, and counts the failures in the file `refused`.
tries() {
    local try errors=errors-$BASHPID
    for try in {1..10}; do
        "$@" 2>"$errors" && return
        cat "$errors" >>refused
    done
    echo "FAILED: $* in ten tries"
    cat "$errors"
    exit 1
}

looks() {
    local count=0
    while [ ! -e stop ]; do
        fido2-token -L >/dev/null
        tries fido2-token -I "$device" >/dev/null
        count=$((count + 1))
    done
    echo "$count" >>looked
}

left() { fido2-token -I "$device" | sed -n 's/^remaining rk(s): //p'; }

before=$(left)
for _ in 1 2; do looks & done
for ((number = 0; number < registrations; number++)); do
    printf '%s\n' "$(head -c 32 /dev/urandom | base64)" example.org "user $number" "$(echo "user $number" | base64)" >request
    tries fido2-cred -M -r -i request -o answer "$device" es256
    fido2-cred -V -i answer -o verified es256 || { echo "FAILED: an answer that cannot be verified"; touch stop; exit 1; }
done
touch stop
wait
kept=$((before - $(left)))
looked=$(awk '{ sum += $1 } END { print sum }' looked)
echo "$registrations registrations while two others looked $looked times; $(wc -l <refused) refused and tried again"
[ "$(wc -l <looked)" = 2 ] && [ "$looked" -ge 2 ] || { echo "FAILED: who looks did not come to its end"; exit 1; }
[ "$kept" = "$registrations" ] || { echo "FAILED: the key has $kept credentials"; exit 1; }
echo "ok: fido2-token and fido2-cred at once"
