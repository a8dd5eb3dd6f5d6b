# checks.sh PORT: the checks, in the emulated machine.
set -uo pipefail
PATH=/usr/sbin:/usr/bin:/sbin:/bin
port=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$(mktemp -d)"

check() {
    local what=$1
    shift
    if "$@" >output 2>&1 </dev/null; then echo "ok: $what"; else
        echo "FAILED: $what: $*"
        cat output
        dmesg | tail -n 20
        exit 1
    fi
}
refused() {
    local what=$1
    shift
    if ! "$@" >output 2>&1 </dev/null; then echo "ok: $what"; else
        echo "FAILED: $what: $*"
        cat output
        exit 1
    fi
}
remote() { usbip --tcp-port "$port" "$@" -r 10.0.2.2; }
has_devices() {
    for _ in {1..600}; do
        [ "$(find /dev -name 'hidraw*' | wc -l)" = "$1" ] && return
        sleep 0.05
    done
    return 1
}
attach() { remote attach -b 1-1 && has_devices 1; }
detach() { usbip detach -p 0 && has_devices 0; }
text() { printf %s "$1" | base64; }
hash() { printf %s "$1" | sha256sum | cut -c1-64 | xxd -r -p | base64; }

# register NAME TYPE: registers a credential, and verifies the answer.
register() {
    printf '%s\n' "$(hash "$1")" example.org "$1" "$(text "$1")" >"$1.in"
    fido2-cred -M -i "$1.in" -o "$1.cred" /dev/hidraw0 "$2" && fido2-cred -V -i "$1.cred" -o "$1.verified" "$2" || return
    sed -n '2,$p' "$1.verified" >"$1.pem"
}
# sign_in NAME TYPE
sign_in() {
    printf '%s\n' "$(hash again)" example.org "$(sed -n 1p "$1.verified")" >"$1.get"
    fido2-assert -G -p -i "$1.get" /dev/hidraw0 "$2" | fido2-assert -V -p "$1.pem" "$2"
}

lists() { remote list 2>&1 | grep -q '1-1.*(1209:f1d0)'; }
named() { dmesg | grep -q 'hidraw0: USB HID v1.11 Device \[keyfob virtual security key\]'; }
complains() { dmesg | grep -iE 'usb [0-9]+-[0-9]+: .*(invalid|unable|error|not supported|fail|warn)'; }
tokens() { fido2-token -L | grep -c 'vendor=0x1209, product=0xf1d0 (keyfob virtual security key)'; }
works() { fido2-token -I "$1" | grep -q 'version strings: U2F_V2, FIDO_2_0, FIDO_2_1'; }

check "Linux $(uname -r): usbip lists the key" lists
refused "and attaches none with another name" remote attach -b 1-2
check "it attaches the key, and there is a hidraw device" attach
check "with its names" named
refused "the kernel complains of nothing" complains
check "fido2-token -L" test "$(tokens)" = 1
check "fido2-token -I" works /dev/hidraw0
for type in es256 eddsa; do
    check "a registration with $type" register "$type" "$type"
    check "and a sign-in" sign_in "$type" "$type"
done
check "long messages, and an opener that does not read" python3 "$here/../uhid/device.py" long_messages=10 one_that_does_not_read
check "it is detached" detach
check "and attached again" attach
check "the credential is still there" sign_in es256 es256

touch /run/shared/replug
check "the key is pulled on its own machine, and the device goes" has_devices 0
check "it is attached again" attach
check "the credential is still there" sign_in eddsa eddsa

check "a second port attaches the same key" remote attach -b 1-1
check "there are two devices" has_devices 2
check "fido2-token -L" test "$(tokens)" = 2
check "one works" works /dev/hidraw0
check "and the other" works /dev/hidraw1
check "one is detached" usbip detach -p 0
check "and goes" has_devices 1
check "the other still works" works "$(fido2-token -L | cut -d: -f1)"
