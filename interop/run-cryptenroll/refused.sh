# A user who does not touch the key, or another key.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

refused "it is not unlocked without the user, or by another key" cryptsetup open --test-passphrase --token-only touch
