#!/usr/bin/env bash
# `keyfob` alone does what the manuals of Debian's fido2-token, fido2-cred and fido2-assert show, and what the help of
# `ykman fido` shows. Each step is done by both, on the same virtual key of `keyfob run`, and the results are equal.
#
# Needs: Linux, Rust, a C compiler for RS256, Python 3.10 or newer with venv, PyPI once, and Debian's fido2-tools, which this
# script installs if it may. Exit status: 0 if all checks pass, 77 if something that it needs is not available.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
need_debian fido2-token:fido2-tools
need_keyfob
# yubikey-manager brings python-fido2, which reads attestation objects here.
need_packages tools yubikey-manager==5.9.2 fido2==2.2.1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export KEYFOB PYTHONDONTWRITEBYTECODE=1
RSA=$(has_rsa)
export RSA
# Without a terminal of its own, fido2-tools read the PIN from the standard input.
judged() {
    setsid --wait "$KEYFOB" run "${@:2}" -- "$KEPT/bin/python" "$here/$1.py" </dev/null
}
judged ceremonies
judged manage --enterprise example.org --firmware-version 328706
judged yubikey --enterprise example.org
judged u2f --profile u2f_only
