#!/usr/bin/env bash
# python-fido2's own device for Linux, through `keyfob run`: it lists /dev/hidraw*, and its client and its server register
# and sign in.
#
# Needs: Linux, Rust, Python 3.10 or newer with venv, and PyPI once. Exit status: 0 if all checks pass, 77 if something
# that it needs is not available.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
need_keyfob
need_fido2

export PYTHONDONTWRITEBYTECODE=1
"$KEYFOB" run -- "$KEPT/bin/python" "$here/check.py" </dev/null
