#!/usr/bin/env bash
# Our client with authenticators from other projects, each in its own process: registration, sign-in, PIN, management
# and extensions, if the authenticator supports them. python-fido2's relying party verifies the results. Our own
# authenticator runs first, to detect errors in the checks themselves.
#
# Needs: Rust, crates.io once, Python 3.10 or newer with venv, and PyPI once; for fido-authenticator also a C compiler
# and Debian's libclang-dev, which this script installs if it may; without them it skips fido-authenticator. No device,
# no privileges. The first build of the peers takes minutes. Exit status: 0 if all checks pass, 77 if something that it
# needs is not available.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
need_keyfob
need_fido2
need_example webauthn
manifest=$here/Cargo.toml
cargo fetch --locked --quiet --manifest-path "$manifest" || { echo "crates.io does not give the peers"; exit 77; }
packages=(keyfob-peer-opensk)
libclang() { ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* 2>/dev/null | head -n 1; }
[ -n "$(libclang)" ] || want_debian libclang:libclang-dev
if [ -n "$(libclang)" ] && command -v cc >/dev/null; then
    packages+=(keyfob-peer-trussed)
else
    echo "skipped: fido-authenticator: no libclang and C compiler to build it with"
fi
cargo build --locked --quiet --manifest-path "$manifest" "${packages[@]/#/--package=}"
target=$(cargo metadata --locked --no-deps --format-version 1 --manifest-path "$manifest" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')

PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here/../python-fido2 "$KEPT/bin/python" "$here/check.py" "$EXAMPLE" \
    "$KEYFOB serve --tcp 127.0.0.1:0" "${packages[@]/#/$target/debug/}"
