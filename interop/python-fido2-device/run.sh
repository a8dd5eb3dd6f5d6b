#!/usr/bin/env bash
# The device tests of python-fido2 2.2.1, from its source distribution, against `keyfob serve`.
#
# No test may fail, and at least as many must pass as the file `passes` says. The skipped tests are counted at the end
# with their reasons; the tests skip features that are not in getInfo.
#
# The key answers as YubiKeys do (`--policy yubikey`), because these tests are written for them: before a PIN is set,
# `test_set_and_reset` expects PIN_NOT_SET as the answer to getPINRetries, while the strict key returns their number.
# With `--policy strict` that test fails for each protocol and leaves the key without the PIN that later tests need; see
# `--repair` in plugin.py. The key attests with a certificate, for the tests that compare it with enterprise
# attestation. It has a fingerprint sensor that always sees an enrolled finger.
#
# Needs: Rust, a C compiler for RS256 and PS256 (8 of the tests), Python 3.10 or newer with venv, and PyPI once. It
# needs no device and no privileges.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
#
# Arguments are passed to pytest: `--repair`, `-k NAME`. With arguments, the number of passes is not checked.
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
[ "$#" -gt 0 ] || set -- --passes "$(cat "$here/passes")"
"$KEPT/bin/python" -m pytest -p plugin -p no:cacheprovider tests/device \
    --keyfob "$KEYFOB" --serve=--policy=yubikey --serve=--attestation=certified --serve=--uv=auto \
    --serve=--enterprise=example.com --ep-rp-id example.com --tb=line -q -rfE "$@"
