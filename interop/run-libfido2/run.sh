#!/usr/bin/env bash
# Debian's fido2-token, fido2-cred and fido2-assert, through `keyfob run`, do what their manuals show: PIN, settings,
# fingerprints, credentials, large blobs, registrations and sign-ins of every kind, U2F, reset.
#
# Needs: Linux, Rust, a C compiler for RS256, and Debian's fido2-tools, which this script installs if it may; tshark for one
# more check. Exit status: 0 if all checks pass, 77 if something that it needs is not available.
#
#   KEYFOB  a keyfob to test instead of the one that is built here
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
need_debian fido2-token:fido2-tools
need_keyfob

export KEYFOB
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
# Without a terminal of its own, the tools read the PIN from the standard input.
setsid --wait "$KEYFOB" run -- bash "$here/tools.sh" "$(has_rsa)"
setsid --wait "$KEYFOB" run -- bash "$here/fingers.sh"
setsid --wait "$KEYFOB" run --profile u2f_only -- bash "$here/u2f.sh"
setsid --wait "$KEYFOB" run --touch deny -- bash "$here/refused.sh"

# Wireshark reads what a trace has written.
if (need_debian tshark:tshark); then
    "$KEYFOB" run --trace=capture.pcapng -- sh -c 'fido2-token -I /dev/hidraw*' >/dev/null 2>&1
    descriptor=$(tshark -r capture.pcapng -V 2>/dev/null | grep -c 'Usage Page: FIDO Alliance' || true)
    reports=$(tshark -r capture.pcapng -T fields -e usbhid.data 2>/dev/null | grep -c . || true)
    if [ "$descriptor" != 1 ] || [ "$reports" -lt 10 ]; then
        echo "FAILED: tshark finds $descriptor devices of FIDO and $reports reports in a trace"
        exit 1
    fi
    echo "ok: tshark finds a device of FIDO and $reports reports in a trace"
fi
