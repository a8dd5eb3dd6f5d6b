#!/usr/bin/env bash
# Tests app.py with a key of `keyfob serve`, which the tests control. Needs Python 3.11 or newer with venv, and PyPI once.
# Exit status: 0 if all tests pass, 77 if the packages are not available.
#
#   KEYFOB        a keyfob to test with instead of the one that is built here
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../../interop/lib.sh"
need_keyfob
need_packages flask flask==3.1.3 webauthn==3.0.1

cd "$here"
KEYFOB=$KEYFOB PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here/../../host/examples/control "$KEPT/bin/python" -m unittest --quiet
