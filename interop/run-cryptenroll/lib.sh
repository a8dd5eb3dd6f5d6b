# Functions for the scripts in this folder, which are run by `keyfob run`.
set -uo pipefail
export PASSWORD=passphrase PIN=864200

check() {
    local what=$1
    shift
    if timeout 60 "$@" >output 2>&1 </dev/null; then echo "ok: $what"; else
        echo "FAILED: $what: $*"
        cat output
        exit 1
    fi
}
refused() {
    local what=$1
    shift
    if ! timeout 60 "$@" >output 2>&1 </dev/null; then echo "ok: $what"; else
        echo "FAILED: $what: $*"
        cat output
        exit 1
    fi
}

# make NAME SWITCH...: a disk image that its passphrase and the key unlock.
make() {
    printf %s "$PASSWORD" >passphrase
    truncate --size 32M "$1"
    cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file passphrase "$1"
    ${TYPE:-} systemd-cryptenroll --fido2-device=auto "${@:2}" "$1"
}
export -f make
