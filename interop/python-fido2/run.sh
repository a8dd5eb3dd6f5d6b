#!/usr/bin/env bash
# python-fido2 2.2.1, as it comes from PyPI, against `keyfob serve`.
#
# Needs: Rust, Python 3.10 or newer with venv, and PyPI once. Nothing else: no device, no privileges.
# Takes half a minute, and the first time a build of keyfob.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
#
# One line a check; exit status 0 if all passed.
set -euo pipefail

fido2=2.2.1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ -z "${KEYFOB:-}" ]; then
    cd "$here/../.."
    # The dev profile, because it checks for overflow.
    cargo build --locked --quiet --package keyfob
    target=$(cargo metadata --locked --no-deps --format-version 1 |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
    KEYFOB=$target/debug/keyfob
fi

cache=${KEYFOB_CACHE:-${HOME:-/nonexistent}/.cache/keyfob}
if mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ]; then
    environment=$cache/python-fido2
else
    environment=$(mktemp -d)
    trap 'rm -rf "$environment"' EXIT
fi
installed=$("$environment/bin/python" -c 'from importlib.metadata import version; print(version("fido2"))' 2>/dev/null || true)
if [ "$installed" != "$fido2" ]; then
    python3 -m venv --clear "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check "fido2==$fido2"
fi

export PYTHONDONTWRITEBYTECODE=1
# check.py starts a server for each check and stops it by its process.
"$environment/bin/python" "$here/check.py" "$KEYFOB"
