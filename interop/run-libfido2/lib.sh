# Functions for the scripts in this folder, which are run by `keyfob run`.
set -uo pipefail

DEVICE=$(fido2-token -L | cut -d: -f1)
hash() { printf %s "$1" | sha256sum | cut -c1-64 | xxd -r -p | base64; }
text() { printf %s "$1" | base64; }

# check WHAT COMMAND...: the command succeeds.
check() {
    local what=$1
    shift
    if "$@" >output 2>&1 </dev/null; then echo "ok: $what"; else echo "FAILED: $what: $*"; cat output; exit 1; fi
}

# refused WHAT WORDS COMMAND...: the command fails, and says these words.
refused() {
    local what=$1 words=$2
    shift 2
    if ! "$@" >output 2>&1 </dev/null && grep -q -- "$words" output; then echo "ok: $what"; else
        echo "FAILED: $what: $*"
        cat output
        exit 1
    fi
}

# with LINES COMMAND...: the lines are the command's standard input.
with() {
    local lines=$1
    shift
    # Not a pipe: the command may end before it has read the lines.
    "$@" < <(printf '%b\n' "$lines")
}

info() { fido2-token -I "$DEVICE" | grep -q -- "$1"; }

# make NAME TYPE SWITCH...: registers a credential of example.org, verifies the answer, and keeps the answer in NAME.cred
# and the verified id and public key in NAME.verified.
make() {
    local name=$1 type=$2
    shift 2
    printf '%s\n' "$(hash "$name")" example.org "$name" "$(text "$name")" >"$name.in"
    fido2-cred -M "$@" -i "$name.in" -o "$name.cred" "$DEVICE" "$type" || return
    # -b prints one line more, which -V does not expect.
    head -n 7 "$name.cred" >"$name.judged"
    local -a judges=()
    for switch; do [[ $switch == -[chv] || $switch == [123] ]] && judges+=("$switch"); done
    fido2-cred -V "${judges[@]}" -i "$name.judged" -o "$name.verified" "$type" || return
    sed -n 1p "$name.verified" >"$name.id"
    sed -n '2,$p' "$name.verified" >"$name.pem"
}

# get NAME TYPE SWITCH...: signs in with that credential, and verifies the answer.
get() {
    local name=$1 type=$2
    shift 2
    printf '%s\n' "$(hash "sign in $name")" example.org "$(cat "$name.id")" >"$name.get"
    [[ " $* " != *" -h "* ]] || hash salt >>"$name.get"
    fido2-assert -G "$@" -i "$name.get" -o "$name.assert" "$DEVICE" || return
    local -a judges=()
    for switch; do [[ $switch == -[hpv] ]] && judges+=("$switch"); done
    head -n 4 "$name.assert" | fido2-assert -V "${judges[@]}" "$name.pem" "$type"
}
