#!/usr/bin/env bash
# Debian's chromium with the extension of host/chromium-extension, which is Chromium's WebAuthn proxy: its pages use a key
# behind a socket of `keyfob serve` with keyfob's client. python-fido2 verifies the results.
#
# Needs: Linux, Rust, Python 3.10 or newer with venv, PyPI once, and Debian's chromium and chromium-driver, which this
# script installs if it may. Exit status: 0 if all checks pass, 77 if something that it needs is not available.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_RP     the same for keyfob-rp
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
need_debian chromium:chromium chromedriver:chromium-driver
need_keyfob
need_keyfob_rp
need_fido2

PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here/../run-chromium \
    "$KEPT/bin/python" "$here/check.py" "$KEYFOB" "$KEYFOB_RP" "$(realpath "$here/../../host/chromium-extension")"
