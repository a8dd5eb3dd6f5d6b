#!/usr/bin/env bash
# The lines of docs/virtual-key.md, as they stand there: a client developer's, an SSH user's, a web tester's; those of
# docs/desk.md; and those of docs/testing.md that have neither Rust nor a browser.
#
# Needs: Linux, Rust, Python 3.10 or newer with venv, PyPI once, and Debian's fido2-tools, openssh-client, cryptsetup-bin,
# openssl, chromium and chromium-driver, which this script installs if it may. Exit status: 0 if all of them run, 77 if
# something that it needs is not available.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_RP     the same for keyfob-rp
#   SSH_SK        the same for the library for OpenSSH
#   KEYFOB_CACHE  where the Python environments are kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
PATH=$PATH:/usr/sbin:/sbin
need_debian fido2-token:fido2-tools ssh-keygen:openssh-client cryptsetup:cryptsetup-bin openssl:openssl chromium:chromium chromedriver:chromium-driver
need_keyfob
need_keyfob_rp
need_ssh_sk
need_packages relying-party requests==2.34.2 flask==3.1.3 fido2==2.2.1 selenium==4.51.0

work=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
mkdir bin
ln -s "$KEYFOB" bin/keyfob
export PATH=$PWD/bin:$KEPT/bin:$PATH

for number in 1 2 3; do
    block desk.md sh "$number" >recipe
    [ "$(wc -l <recipe)" -lt 10 ]
    # The key is the same in all of them.
    setsid --wait keyfob run --store desk-key -- bash -eo pipefail recipe </dev/null
done >recipes
grep -qx "alice is here" recipes
grep -q '"verified":"registration"' verified.json
echo "ok: the lines of docs/desk.md"

[ "$(block virtual-key.md sh 1 | wc -l)" -lt 10 ]
block virtual-key.md sh 1 | bash -e
echo "ok: the lines of a client developer"
[ "$(block virtual-key.md sh 2 | wc -l)" -lt 10 ]
mkdir -p target/debug
cp "$SSH_SK" target/debug
{ echo 'trap "ssh-agent -k >/dev/null || true" EXIT'; block virtual-key.md sh 2; } | bash -e
echo "ok: the lines of an SSH user"
[ "$(block virtual-key.md python 1 | wc -l)" -lt 10 ]
port=$(free_port)
block virtual-key.md python 1 | sed "s/:8080/:$port/" >test.py
block virtual-key.md js 1 >register.js
"$KEYFOB_RP" serve --listen "127.0.0.1:$port" </dev/null >server.log 2>&1 &
server=$!
until grep -q "$port" server.log; do sleep 0.05; done
block virtual-key.md sh 3 | bash -e | tee registered
grep -Eq '^[A-Za-z0-9_-]{40,}$' registered
echo "ok: the lines of a web tester"

# With fewer clients, and for a shorter time.
block testing.md console 1 | sed "s/^\$ //; s/:8080/:$port/; s/ 10000 / 20 /; s/--ramp 20/--ramp 1/; s/--duration 60/--duration 2/; s/ 100 / 10 /; s/ 100\$/ 10/" >load.sh
[ "$(grep -c "^keyfob load .*:$port" load.sh)" = 3 ]
bash -e load.sh >loaded 2>&1 || { cat loaded; false; }
echo "ok: the lines of keyfob load"
block testing.md python 1 >control.py
PYTHONPATH=$here/../../host/examples/control python3 control.py | grep -Eq '^[A-Za-z0-9_-]{40,}$'
echo "ok: the lines of the control socket in Python"
block testing.md text 1 >spoken
PYTHONPATH=$here/../../host/examples/control python3 "$here/testing.py" spoken
