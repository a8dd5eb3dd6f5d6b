# A user who touches the key.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

check "systemd-cryptenroll lists the key" bash -c 'systemd-cryptenroll --fido2-device=list | grep -q "keyfob"'
check "a disk, by a touch" bash -c 'make touch --fido2-with-client-pin=no --fido2-with-user-presence=yes'
check "is unlocked" cryptsetup open --test-passphrase --token-only touch
check "a disk, by the finger" bash -c 'make finger --fido2-with-client-pin=no --fido2-with-user-verification=yes'
check "is unlocked" cryptsetup open --test-passphrase --token-only finger
check "a disk, by the key alone" bash -c 'make alone --fido2-with-client-pin=no --fido2-with-user-presence=no'
check "is unlocked" cryptsetup open --test-passphrase --token-only alone
