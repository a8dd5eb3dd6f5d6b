# A key with a fingerprint sensor.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

check "fido2-token -S sets a PIN" with '1234\n1234' fido2-token -S "$DEVICE"
check "fido2-token -S -e enrolls a finger" with 1234 fido2-token -S -e "$DEVICE"
check "the key says so" info 'options:.* bioEnroll'
finger=$(with 1234 fido2-token -L -e "$DEVICE" 2>/dev/null | sed 's/^[0-9]*: \([^ ]*\).*/\1/')
check "fido2-token -S -e -i -n names it" with 1234 fido2-token -S -e -i "$finger" -n thumb "$DEVICE"
check "fido2-token -L -e lists it" grep -q thumb <(with 1234 fido2-token -L -e "$DEVICE" 2>/dev/null)
check "fido2-cred -M -v, by the finger" make finger es256 -v
check "fido2-token -D -e deletes it" with 1234 fido2-token -D -e -i "$finger" "$DEVICE"
check "the key says so" info 'options:.* nobioEnroll'
