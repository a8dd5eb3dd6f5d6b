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
unlock() { cryptsetup open --test-passphrase --token-only "$1" name "${@:2}"; }
