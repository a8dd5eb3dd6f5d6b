#!/usr/bin/env bash
# python-fido2 over PC/SC: pcscd with vpcd's virtual reader, and `keyfob serve --vpcd` as the card in it. getInfo,
# registrations and sign-ins, PIN, hmac-secret, requests in chains of short APDUs and in extended ones, credential
# management, U2F; touches, cancels, a card that is taken out, a key that is killed, a pcscd that is started again; a key
# that is open elsewhere; and a card as small as the Arculus, which takes a tap for each touch.
#
# pcscd runs in network, mount and process namespaces of its own, in which only these programs reach its reader and its socket:
# a pcscd of the machine is neither used nor disturbed, and real readers are not opened.
#
# Needs: Linux, Rust, root or unprivileged user namespaces, Python 3.10 or newer with venv, Debian's vsmartcard-vpcd, pcscd,
# libpcsclite-dev and swig, which this script installs if it may, and PyPI once. Exit status: 0 if all checks pass, 77 if
# something that it needs is not available.
#
# Debian's libfido2 is built without PC/SC. `fido2-token` is run only if it is one that has it.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
PATH=$PATH:/usr/sbin:/sbin
[ "$(uname)" = Linux ] || { echo "namespaces are for Linux"; exit 77; }
own=(unshare --net --mount --pid --fork --kill-child) # what is left when the script ends is ended too
[ "$(id -u)" = 0 ] || own+=(--map-root-user)
"${own[@]}" true 2>/dev/null || { echo "namespaces are not allowed here: ${own[*]}"; exit 77; }
reader=/usr/lib/pcsc/drivers/serial/libifdvpcd.so
[ -e "$reader" ] || need_debian vpcd-is-a-driver:vsmartcard-vpcd
need_debian pcscd:pcscd
# pyscard has no wheels for Linux.
[ -e /usr/include/PCSC/winscard.h ] || need_debian winscard-is-a-header:libpcsclite-dev
need_debian swig:swig
need_packages python-fido2-pcsc 'fido2[pcsc]==2.2.1'
need_keyfob

export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here/../python-fido2 KEYFOB
setsid --wait "${own[@]}" bash "$here/reader.sh" "$reader" "$KEPT/bin/python" "$here/check.py" </dev/null
