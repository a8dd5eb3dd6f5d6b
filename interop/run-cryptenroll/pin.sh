# A user with a PIN.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export TYPE="python3 $(dirname "${BASH_SOURCE[0]}")/type.py $PIN"
check "a disk, by the PIN" bash -c 'make pin --fido2-with-client-pin=yes'
check "is unlocked with it" bash -c 'printf %s "$PIN" | cryptsetup open --test-passphrase --token-only pin'
refused "and not with another" bash -c 'printf %s 000000 | cryptsetup open --test-passphrase --token-only pin'
check "the token is systemd's, and needs the PIN" bash -c 'cryptsetup luksDump pin | grep -A1 clientPin | grep -q true'
