#!/usr/bin/env bash
# python-fido2 2.2.1's `Fido2Client`, as it comes from PyPI, and ours are asked for the same ceremonies of the same virtual
# key, with the same randomness. What they send has to be the same byte for byte, but for what deviations.py lists.
#
# Needs: Rust, Python 3.10 or newer with venv, and PyPI once. Nothing else: no device, no privileges. Takes about two
# minutes. Exit status: 0 if all is well, 77 where the library cannot be had.
#
#   KEYFOB        a keyfob to ask instead of the one that is built here
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
#
# An argument is a part of the names of the ceremonies to compare.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
need_keyfob
need_fido2
need_example webauthn

PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here:$here/../python-fido2 \
    "$KEPT/bin/python" "$here/check.py" "$KEYFOB" "$EXAMPLE" "$@"
