#!/usr/bin/env bash
# The control socket of `keyfob serve`: each verb, as python-fido2's client sees it through a TCP door of the same key, and
# as its relying party does; every line by the published JSON Schema; and the example in bash.
#
# Needs: Rust, Python 3.10, PyPI for python-fido2 and jsonschema.
# Exit status: 0 if all checks pass, 77 if something that it needs is not available.
#
#   KEYFOB  a keyfob to test instead of the one that is built here
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
need_keyfob
need_packages control fido2==2.2.1 jsonschema==4.26.0

"$KEPT/bin/python" "$here/check.py" "$KEYFOB"
KEYFOB=$KEYFOB bash "$here/../../host/examples/control/control.sh" >/dev/null
echo "ok     host/examples/control/control.sh"
