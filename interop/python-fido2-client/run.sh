#!/usr/bin/env bash
# The unmodified `Fido2Client` of python-fido2 2.2.1 and our client perform the same ceremonies with the same virtual
# key and the same randomness. Their messages must be equal byte for byte, except for the deviations in deviations.py.
#
# Needs: Rust, Python 3.10 or newer with venv, and PyPI once. Nothing else: no device, no privileges. Takes about two
# minutes. Exit status: 0 if all checks pass, 77 if the library is not available.
#
#   KEYFOB        a keyfob to ask instead of the one that is built here
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
#
# With an argument, only the ceremonies whose names contain it are compared.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
need_keyfob
need_fido2
need_example webauthn

PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here:$here/../python-fido2 \
    "$KEPT/bin/python" "$here/check.py" "$KEYFOB" "$EXAMPLE" "$@"
