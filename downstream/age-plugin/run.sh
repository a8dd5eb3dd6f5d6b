#!/usr/bin/env bash
# Debian's age with `age-plugin-keyfob`, through `keyfob run`: files are encrypted for a key and opened with it, with a
# touch, a finger or a PIN, and with nothing else.
#
# Needs: Linux, Rust, Python 3.10 or newer, and Debian's age, which this script installs if it may. Exit status: 0 if all
# checks pass, 77 if something that it needs is not available.
#
#   KEYFOB      a keyfob to test instead of the one that is built here
#   AGE_PLUGIN  the same for age-plugin-keyfob, which has to have this name
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../../interop/lib.sh"
need_debian age:age
need_keyfob
need_age_plugin

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
PATH=$(dirname "$AGE_PLUGIN"):$PATH PYTHONDONTWRITEBYTECODE=1 python3 "$here/check.py" "$KEYFOB"
