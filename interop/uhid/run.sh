#!/usr/bin/env bash
# A real kernel: /dev/uhid and hidraw of User-mode Linux, which runs as a process of its own. Its root is this machine's,
# read-only, under a file system in memory. In it, `keyfob serve --uhid` gives the whole machine a key, and the clients of
# run-libfido2, run-openssh, run-python-fido2, run-pam-u2f, run-chromium and run-firefox use it, not changed and without a
# preloaded library. Also: the words for a missing module and missing rights, several openers, replugging, and the faults of
# docs/doors.md.
#
# The kernel is built from Debian's linux-source-6.12, once for each version: 3.5 minutes of processor time, 0.8 GB while it
# is built, then 6 MB.
#
# Needs: Linux on x86-64, Rust, a C compiler, make, flex, bison, bc, 4 GB of memory; what the clients need, which this
# script installs if it may; and Debian's linux-source-6.12 once, of which 150 MB are downloaded and nothing is installed.
# Exit status: 0 if all checks pass, 77 if something that it needs is not available.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_RP     the same for keyfob-rp
#   KEYFOB_CACHE  where the kernel is kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
source "$here/kernel.sh"
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "User-mode Linux is for Linux on x86-64"; exit 77; }

# need_faults: sets FAULTS to the test of docs/doors.md, which has a door of uhid where there is one.
need_faults() {
    local manifest=$here/../../Cargo.toml features=
    command -v "${CC:-cc}" >/dev/null && features=aws-lc
    FAULTS=$(cargo test --locked --quiet --manifest-path "$manifest" --package keyfob --features "$features" --test doors \
        --no-run --message-format=json | python3 -c 'import json, sys
print([one["executable"] for one in map(json.loads, sys.stdin) if one.get("target", {}).get("name") == "doors"][0])')
}

need_debian chromium:chromium chromedriver:chromium-driver chromium-headless-shell:chromium-headless-shell \
    firefox-esr:firefox-esr fido2-token:fido2-tools ssh-keygen:openssh-client /usr/sbin/sshd:openssh-server \
    pamu2fcfg:pamu2fcfg pamtester:pamtester ip:iproute2 /lib/systemd/systemd-udevd:udev
[ -n "$(find /lib/*/security /usr/lib/*/security -name pam_u2f.so -print -quit 2>/dev/null)" ] || need_debian none:libpam-u2f
# The test of the faults runs the keyfob that is built here.
[ -n "${KEYFOB:-}" ] || need_faults
need_keyfob
need_keyfob_rp
need_fido2
need_kernel

# The kernel's memory, as a file that takes as much as is used.
memory=3G
# Seconds. On a machine with much other work the checks take a third of this.
limit=1800

work=$(mktemp -d)
kernel=
trap '[ -z "$kernel" ] || kill "$kernel" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 143' TERM INT HUP
{
    echo "#!/bin/bash"
    printf 'export KEYFOB_UNDER_TEST=%q KEYFOB_RP=%q FAULTS=%q\n' "$KEYFOB" "$KEYFOB_RP" "${FAULTS:-}"
    printf 'export HOME=%q KEYFOB_CACHE=%q PATH=%q\n' "$HOME" "$(dirname "$KEPT")" "$PATH"
    printf 'exec bash %q/init.sh %q %q\n' "$here" "$work" "${*:-}"
} >"$work/init"
chmod +x "$work/init"
# A panic ends the process. The time limit is for a kernel that hangs.
timeout --foreground --kill-after=10 "$limit" "$UML" mem="$memory" root=none rootfstype=hostfs rootflags=/ ro \
    init="$work/init" con=null con0=null,fd:1 quiet panic=-1 </dev/null 2>"$work/errors" &
kernel=$!
code=0
wait "$kernel" || code=$?
kernel=
if [ ! -e "$work/status" ]; then
    cat "$work/errors"
    [ "$code" != 124 ] && [ "$code" != 137 ] || echo "FAILED: the checks took longer than $limit s"
    echo "FAILED: the kernel ended with $code before the checks did"
    exit 1
fi
exit "$(cat "$work/status")"
