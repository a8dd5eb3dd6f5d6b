#!/usr/bin/env bash
# systemd-cryptenroll and cryptsetup, through `keyfob run`: a disk image is unlocked by the key, with a touch, with its PIN,
# and with its own verification of the user, by hmac-secret.
#
# Needs: Linux, Rust, and Debian's systemd, cryptsetup-bin and fido2-tools, of which this script installs the last two if
# it may. Exit status: 0 if all checks pass, 77 if something that it needs is not available.
#
#   KEYFOB  a keyfob to test instead of the one that is built here
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
PATH=$PATH:/usr/sbin:/sbin
need_debian cryptsetup:cryptsetup-bin fido2-token:fido2-tools systemd-cryptenroll:systemd
need_keyfob

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
setsid --wait "$KEYFOB" run --store "$work/key" -- bash "$here/disk.sh" </dev/null
# The same credentials, but nobody touches the key, and no finger verifies.
setsid --wait "$KEYFOB" run --store "$work/key" --touch deny --uv mismatch -- bash "$here/refused.sh" </dev/null
setsid --wait "$KEYFOB" run -- bash "$here/refused.sh" </dev/null
