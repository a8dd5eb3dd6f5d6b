# Functions for the scripts in this folder, which are run by `keyfob run`.
set -uo pipefail
user=$(id -un)

check() {
    local what=$1
    shift
    if timeout 60 "$@" >output 2>&1; then echo "ok: $what"; else echo "FAILED: $what: $*"; cat output; exit 1; fi
}
refused() {
    local what=$1
    shift
    if ! timeout 60 "$@" >output 2>&1; then echo "ok: $what"; else echo "FAILED: $what: $*"; cat output; exit 1; fi
}
# service NAME OPTIONS...: logins with the keys in the file NAME.
service() {
    echo "auth required pam_u2f.so authfile=$PWD/$1 origin=pam://keyfob appid=pam://keyfob ${*:2}" >"/etc/pam.d/$SERVICE"
}
login() { pamtester "$SERVICE" "$user" authenticate; }
export -f login
export user
