#!/usr/bin/env bash
# Debian's libfido2 tools `fido2-cred -V` and `fido2-assert -V` verify our client's registrations and sign-ins with the
# virtual key, for every algorithm and attestation that libfido2 supports, and refuse each with one bit flipped.
#
# Needs: Rust, a C compiler for RS256, Python 3.10 or newer with venv, PyPI once, and Debian's fido2-tools, which this
# script installs if it may. Exit status: 0 if all checks pass, 77 if something that it needs is not available.
#
#   KEYFOB        a keyfob to ask instead of the one that is built here
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
need_debian fido2-cred:fido2-tools
need_keyfob
need_fido2
need_example webauthn

PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here/../python-fido2 \
    "$KEPT/bin/python" "$here/check.py" "$KEYFOB" "$EXAMPLE"
