#!/usr/bin/env bash
# Debian's firefox-esr, through `keyfob run` and Marionette, on a page at http://localhost: registers and signs in, with
# and without a name, every algorithm that it reads, credProps, prf, attestation, a key that is replugged while the page
# waits, and the DOMException of each refusal; and keyfob-rp's own page. python-fido2 verifies the results.
#
# Needs: Linux, Rust, a C compiler for RS256, Python 3.10 or newer with venv, PyPI once, and Debian's firefox-esr and
# fido2-tools, which this script installs if it may. Exit status: 0 if all checks pass, 77 if something that it needs is
# not available.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_RP     the same for keyfob-rp
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
need_debian firefox-esr:firefox-esr fido2-token:fido2-tools
need_keyfob
need_keyfob_rp
need_fido2

PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here/../run-chromium \
    "$KEPT/bin/python" "$here/check.py" "$KEYFOB" "$KEYFOB_RP" "$(has_rsa)"
