#!/usr/bin/env bash
# Clients from other projects against `keyfob-rp serve`: the document's Python sample, python-fido2's client, our own
# client with a card like the document's, a Flask application in front of the server, and headless Chromium with its own
# virtual authenticator on the page.
#
# Needs: Rust, Python 3.10 or newer with venv, PyPI once, and for the browser Debian's chromium and chromium-driver,
# which this script installs if it may. Prints one line per check. Exit status: 0 if all checks pass.
#
#   KEYFOB_RP     a keyfob-rp to test instead of the one that is built here
#   KEYFOB        the same for keyfob
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
set -euo pipefail

packages=(requests==2.34.2 flask==3.1.3 fido2==2.2.1 selenium==4.51.0)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
need_keyfob
need_keyfob_rp
need_packages relying-party "${packages[@]}"
want_debian chromium:chromium chromedriver:chromium-driver

export PYTHONDONTWRITEBYTECODE=1
for check in sample client card flask_application browser; do
    "$KEPT/bin/python" "$here/check_$check.py" "$KEYFOB_RP" "$KEYFOB"
done
