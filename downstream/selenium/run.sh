#!/usr/bin/env bash
# Tests a page in Debian's Firefox with Selenium's virtual authenticators, which `keyfob webdriver` has.
#
# Needs: Linux, Rust, Python 3.11 or newer with venv, PyPI and geckodriver of crates.io once, and Debian's firefox-esr,
# which this script installs if it may. Exit status: 0 if all tests pass, 77 if something that it needs is not available.
#
#   KEYFOB        a keyfob to test with instead of the one that is built here
#   KEYFOB_RP     the same for keyfob-rp
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../../interop/lib.sh"
need_debian firefox-esr:firefox-esr
need_keyfob
need_keyfob_rp
need_geckodriver
need_packages relying-party requests==2.34.2 flask==3.1.3 fido2==2.2.1 selenium==4.51.0

cd "$here"
KEYFOB=$KEYFOB KEYFOB_RP=$KEYFOB_RP PYTHONDONTWRITEBYTECODE=1 "$KEPT/bin/python" -m unittest --quiet
