# A user who touches the key.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

printf %s "$PASSWORD" >passphrase
# make NAME SWITCH...
make() {
    truncate --size 32M "$1"
    cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file passphrase "$1"
    systemd-cryptenroll --fido2-device=auto "${@:2}" "$1"
}
export -f make
enroll() { timeout 60 bash -c 'make "$@"' make "$@"; }
unlocked() { timeout 60 bash -c 'cryptsetup open --test-passphrase --token-only "$0"' "$1"; }

check "systemd-cryptenroll lists the key" bash -c 'systemd-cryptenroll --fido2-device=list | grep -q "keyfob"'
check "a disk, by a touch" bash -c 'make touch --fido2-with-client-pin=no --fido2-with-user-presence=yes'
check "is unlocked" cryptsetup open --test-passphrase --token-only touch
check "a disk, by the finger" bash -c 'make finger --fido2-with-client-pin=no --fido2-with-user-verification=yes'
check "is unlocked" cryptsetup open --test-passphrase --token-only finger
check "a disk, by the key alone" bash -c 'make alone --fido2-with-client-pin=no --fido2-with-user-presence=no'
check "is unlocked" cryptsetup open --test-passphrase --token-only alone
check "a PIN is set" bash -c 'printf "%s\n%s\n" "$PIN" "$PIN" | fido2-token -S "$(fido2-token -L | cut -d: -f1)"'
check "a disk, by the PIN" bash -c 'make pin --fido2-with-client-pin=yes'
check "is unlocked" bash -c 'printf %s "$PIN" | cryptsetup open --test-passphrase --token-only pin'
check "the tokens are systemd's" bash -c 'cryptsetup luksDump pin | grep -q systemd-fido2'
