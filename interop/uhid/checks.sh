# checks.sh [NAME...]: the checks that run in User-mode Linux, or only some of them.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export KEYFOB=$here/keyfob KEYFOB_LOG=/tmp/keyfob.log PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here/../run-chromium
# libfido2 takes the names of a device from USB alone.
export NAMES=' '

# The root is a changed one, which udev takes for a container.
export SYSTEMD_IGNORE_CHROOT=1
/lib/systemd/systemd-udevd --daemon 2>/dev/null
udevadm trigger --action=add && udevadm settle

run() {
    case $1 in
        advice) bash "$here/advice.sh" ;;
        device) "$KEYFOB" run -- python3 "$here/device.py" ;;
        faults) KEYFOB_DOOR=uhid "$FAULTS" --color=never ;;
        long-answers) python3 "$here/long_answers.py" "$KEYFOB" ;;
        *) bash "$here/../run-$1/run.sh" ;;
    esac
}

# The faults without a test program: those of a keyfob that was built elsewhere.
[ "$#" != 0 ] || set -- advice device ${FAULTS:+faults} libfido2 openssh python-fido2 pam-u2f long-answers chromium firefox
failed=
for name; do
    echo "== $name, on the kernel's hidraw"
    start=$SECONDS
    : >"$KEYFOB_LOG"
    if run "$name" </dev/null; then
        echo "$name: $((SECONDS - start)) s"
    else
        echo "FAILED: $name, exit code $?"
        tail -n 30 "$KEYFOB_LOG"
        dmesg | tail -n 10
        failed+=" $name"
    fi
done
[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }
