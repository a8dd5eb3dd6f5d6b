#!/usr/bin/env bash
# The unmodified python-fido2 2.2.1 from PyPI against `keyfob serve`.
#
# Needs: Rust, Python 3.10 or newer with venv, and PyPI once. Nothing else: no device, no privileges. Takes half a
# minute, and the first time also a build of keyfob. Prints one line per check. Exit status: 0 if all checks pass, 77 if
# the library is not available.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
need_keyfob
need_fido2

# check.py starts a server for each check, and ends it by its process.
PYTHONDONTWRITEBYTECODE=1 "$KEPT/bin/python" "$here/check.py" "$KEYFOB"
