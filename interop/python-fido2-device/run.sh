#!/usr/bin/env bash
# The device tests of python-fido2 2.2.1, from its source distribution, against `keyfob serve`.
#
# A report, not a gate: exit status 0 means that the suite ran to its end. Most of its tests are about features that
# the key does not have yet, and are skipped. `test_set_and_reset` fails: after a reset it wants PIN_NOT_SET as the
# answer to getPINRetries, where this key says 8, and each test behind it that needs the PIN fails with it; see
# `--repair` in plugin.py.
#
# Needs: Rust, Python 3.10 or newer with venv, and PyPI once. Nothing else: no device, no privileges.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
#
# Arguments go to pytest: `--repair`, `-k NAME`.
set -euo pipefail

fido2=2.2.1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
need_keyfob
keep python-fido2-device

suite=$KEPT/fido2-$fido2
if ! [ -d "$suite/tests/device" ] || [ -d "$suite/fido2" ]; then
    python3 -m venv --clear "$KEPT"
    pip() { "$KEPT/bin/pip" "$@" --quiet --disable-pip-version-check; }
    pip install "fido2==$fido2" 'pytest>=9,<10'
    pip download --no-deps --no-binary :all: --dest "$KEPT" "fido2==$fido2"
    tar -xzf "$KEPT/fido2-$fido2.tar.gz" -C "$KEPT"
    # The tests are to use the installed library.
    rm -r "$suite/fido2"
fi

cd "$suite"
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here:$here/../python-fido2
status=0
"$KEPT/bin/python" -m pytest -p plugin -p no:cacheprovider tests/device \
    --keyfob "$KEYFOB" --tb=line -q -rfE "$@" || status=$?
# 1: some tests failed.
[ "$status" -le 1 ]
