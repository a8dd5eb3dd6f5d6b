#!/usr/bin/env bash
# Two clients of one key at once, each not changed: Debian's fido2-token asks what the key is, again and again, while its
# fido2-cred registers through `keyfob run`; and python-fido2 twice, in the same way, on the Unix socket of `keyfob serve`.
#
# A client may be told that the key is busy. Then its next try has to work, and nothing that was registered is lost.
#
# Needs: Linux, Rust, Python 3.10, PyPI for python-fido2, and Debian's fido2-tools, which this script installs if it may.
# Exit status: 0 if all checks pass, 77 if something that it needs is not available.
#
#   KEYFOB  a keyfob to test instead of the one that is built here
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
need_debian fido2-token:fido2-tools
need_keyfob
need_fido2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$KEYFOB" run --profile fido2_3_full -- bash "$here/tools.sh"
"$KEYFOB" run --profile fido2_3_full --touch after=100 -- bash "$here/tools.sh" 5
"$KEPT/bin/python" "$here/check.py" "$KEYFOB"
