#!/usr/bin/env bash
# Three relying parties from other projects verify the virtual key's responses: python-fido2's server and webauthn, both
# from PyPI, and @simplewebauthn/server from npm. Each must verify every algorithm of the key with every attestation,
# and must refuse each registration and each sign-in in which one bit is flipped.
#
# Needs: Rust, a C compiler for RS256 and PS256, Python 3.10 or newer with venv, Node 20 or newer with npm, and PyPI and
# the npm registry once. No device, no privileges. Exit status: 0 if all checks pass, 77 if the libraries are not
# available.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_CACHE  where the libraries are kept, ~/.cache/keyfob without it
#
# In every byte one bit is flipped, a different one from byte to byte; in values of more than 1,024 bytes, keys and
# signatures of ML-DSA, only in one of 13 bytes. With --every-bit all eight bits of all bytes are flipped, which takes
# twenty times as long. Other arguments are passed to `keyfob serve`.
set -euo pipefail

fido2=2.2.1
webauthn=3.0.1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"

need_keyfob
keep verifiers

libraries=("fido2==$fido2" "webauthn==$webauthn")
if [ "$(cat "$KEPT/python/installed" 2>/dev/null)" != "${libraries[*]}" ]; then
    python3 -m venv --clear "$KEPT/python"
    "$KEPT/python/bin/pip" install --quiet --disable-pip-version-check "${libraries[@]}" ||
        { echo "PyPI does not give ${libraries[*]}"; exit 77; }
    echo "${libraries[*]}" >"$KEPT/python/installed"
fi
need_npm "$here" "$KEPT/node"

PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here:$here/../python-fido2 NODE_MODULES=$KEPT/node/node_modules \
    "$KEPT/python/bin/python" "$here/check.py" "$KEYFOB" "$@"
