# What `keyfob serve --uhid` says where it cannot have the device, and whether what it says helps. Run as root.
set -uo pipefail

# refused WHAT WORDS COMMAND...: the command fails at once, and says these words.
refused() {
    local what=$1 words=$2
    shift 2
    if ! "$@" >/tmp/output 2>&1 && grep -qF -- "$words" /tmp/output; then echo "ok: $what"; else
        echo "FAILED: $what: $*"
        cat /tmp/output
        exit 1
    fi
}
check() {
    local what=$1
    shift
    if "$@" >/tmp/output 2>&1; then echo "ok: $what"; else echo "FAILED: $what: $*"; cat /tmp/output; exit 1; fi
}

# Where every user can run it.
mkdir -p /tmp/all
cp "$KEYFOB_UNDER_TEST" /tmp/all/keyfob
chmod 755 /tmp/all /tmp/all/keyfob
nobody=(--reuid=65534 --regid=65534 --clear-groups --no-new-privs)
user() { timeout 10 setpriv "${nobody[@]}" "$@"; }

refused "without rights" "no permission to open /dev/uhid" user /tmp/all/keyfob serve --uhid
mv /dev/uhid /dev/kept
refused "without a device" "there is no /dev/uhid. Load its module: sudo modprobe uhid" timeout 10 "$KEYFOB_UNDER_TEST" serve --uhid
mknod /dev/uhid c 10 250
refused "with the file, and without the module" "/dev/uhid does not work yet. Load its module: sudo modprobe uhid" \
    timeout 10 "$KEYFOB_UNDER_TEST" serve --uhid
rm /dev/uhid
mv /dev/kept /dev/uhid

# What it advises: until the next boot, and for ever.
refused "without rights" "sudo chown" user /tmp/all/keyfob serve --uhid
cp /tmp/output /tmp/advice
advice=$(grep -o 'sudo chown [^ ]* /dev/uhid' /tmp/output)
check "it advises a command" test -n "$advice"
check "which root runs" bash -c "USER=nobody; sudo() { \"\$@\"; }; $advice"
serves() {
    setpriv "${nobody[@]}" /tmp/all/keyfob serve --uhid >/tmp/served 2>&1 &
    local key=$! tries
    for tries in {1..500}; do [ -e /dev/hidraw0 ] && break; sleep 0.02; done
    fido2-token -I /dev/hidraw0 || return
    kill "$key" && wait "$key"
    for tries in {1..500}; do [ -e /dev/hidraw0 ] || return 0; sleep 0.02; done
    return 1
}
check "and then a user without other rights gives the machine a key" serves
chown root /dev/uhid
rule=$(grep -o 'KERNEL=="uhid".*' /tmp/advice)
check "it advises a rule" test -n "$rule"
echo "$rule" >/etc/udev/rules.d/70-uhid.rules
udevadm control --reload
udevadm trigger --settle --action=add /sys/class/misc/uhid
tagged() { udevadm info --query=property /dev/uhid | grep -q 'TAGS=.*:uaccess:'; }
check "with which udev gives uhid to the user at the machine" tagged
