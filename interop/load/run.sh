#!/usr/bin/env bash
# `keyfob load` against keyfob-rp, and against the server of downstream/flask, which is `webauthn` from PyPI behind Flask.
#
# Needs: Rust, Python 3.10 or newer with venv, and PyPI once. No device, no privileges. Exit status: 0 if all checks pass,
# 77 if the packages are not available.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_RP     the same for keyfob-rp
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
need_keyfob
need_keyfob_rp
need_packages flask flask==3.1.3 webauthn==3.0.1

PYTHONDONTWRITEBYTECODE=1 "$KEPT/bin/python" "$here/check.py" "$KEYFOB" "$KEYFOB_RP"
