#!/usr/bin/env bash
# Tests app.js with a key of `keyfob serve`, which the tests control. Needs Node 20 or newer with npm, and the npm
# registry once. Exit status: 0 if all tests pass, 77 if the packages are not available.
#
#   KEYFOB        a keyfob to test with instead of the one that is built here
#   KEYFOB_CACHE  where the packages are kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../../interop/lib.sh"

# Prints the reason as the last line.
unavailable() { echo "$1"; exit 77; }
major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')
[ "${major:-0}" -ge 20 ] || unavailable "there is no Node 20 or newer"
command -v npm >/dev/null || unavailable "there is no npm"

need_keyfob
keep express
mkdir -p "$KEPT"
if ! cmp --quiet "$here/package-lock.json" "$KEPT/installed"; then
    cp "$here/package.json" "$here/package-lock.json" "$KEPT"
    npm ci --prefix "$KEPT" --ignore-scripts --no-audit --no-fund --silent ||
        unavailable "the npm registry does not give what package-lock.json names"
    cp "$here/package-lock.json" "$KEPT/installed"
fi
cp "$here"/*.js "$here/package.json" "$KEPT" # beside node_modules
cd "$KEPT"
KEYFOB=$KEYFOB node --test
