#!/usr/bin/env bash
# Tests app.js with a key of `keyfob serve`, which the tests control. Needs Node 20 or newer with npm, and the npm
# registry once. Exit status: 0 if all tests pass, 77 if the packages are not available.
#
#   KEYFOB        a keyfob to test with instead of the one that is built here
#   KEYFOB_CACHE  where the packages are kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../../interop/lib.sh"

need_keyfob
keep express
need_npm "$here" "$KEPT"
cp "$here"/*.js "$here/package.json" "$KEPT" # beside node_modules
cd "$KEPT"
KEYFOB=$KEYFOB node --test
