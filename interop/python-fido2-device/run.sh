#!/usr/bin/env bash
# The device tests of python-fido2 2.2.1, from its source distribution, against `keyfob serve`.
#
# A gate: no test may fail, and at least as many have to pass as the file `passes` says. What is skipped, and why, is
# counted at the end; the tests skip what getInfo does not name.
#
# The key answers as YubiKeys do (`--policy yubikey`), for these tests are made for them: before there is a PIN,
# `test_set_and_reset` wants PIN_NOT_SET as the answer to getPINRetries, where the strict key tells their number. With
# `--policy strict` that test fails for each protocol, and leaves the key without the PIN that the tests behind it need;
# see `--repair` in plugin.py. The attestation has a certificate, for the tests that compare it with an enterprise's.
# The key has a fingerprint sensor that sees the right finger at once.
#
# Needs: Rust, a C compiler for RS256 and PS256 (8 of the tests), Python 3.10 or newer with venv, and PyPI once. Nothing else: no device, no privileges.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
#
# Arguments go to pytest: `--repair`, `-k NAME`. With any, the number of passes does not matter.
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
