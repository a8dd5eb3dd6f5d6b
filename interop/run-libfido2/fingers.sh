# The key's fingerprint sensor, on which a finger is enrolled from the start.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fingers() { with 1234 fido2-token -L -e "$DEVICE" 2>/dev/null; }

check "fido2-cred -M -v, by the enrolled finger" make finger es256 -v
check "fido2-token -S sets a PIN" with '1234\n1234' fido2-token -S "$DEVICE"
check "fido2-token -L -e lists the finger" grep -q finger <(fingers)
check "fido2-token -S -e enrolls another" with 1234 fido2-token -S -e "$DEVICE"
check "both are listed" test "$(fingers | wc -l)" = 2
id=$(fingers | sed -n '$s/^[0-9]*: \([^ ]*\).*/\1/p')
check "fido2-token -S -e -i -n names it" with 1234 fido2-token -S -e -i "$id" -n thumb "$DEVICE"
check "the list has the name" grep -q thumb <(fingers)
for id in $(fingers | sed 's/^[0-9]*: \([^ ]*\).*/\1/'); do
    check "fido2-token -D -e deletes one" with 1234 fido2-token -D -e -i "$id" "$DEVICE"
done
check "the key says that there is none" info 'options:.* nobioEnroll'
