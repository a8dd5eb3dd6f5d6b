#!/usr/bin/env bash
# The lines of docs/virtual-key.md, as they stand there: a client developer's, an SSH user's, a web tester's.
#
# Needs: Linux, Rust, Python 3.10 or newer with venv, PyPI once, and Debian's fido2-tools, openssh-client, chromium and
# chromium-driver, which this script installs if it may. Exit status: 0 if all of them run, 77 if something that it needs
# is not available.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_RP     the same for keyfob-rp
#   SSH_SK        the same for the library for OpenSSH
#   KEYFOB_CACHE  where the Python environments are kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
need_debian fido2-token:fido2-tools ssh-keygen:openssh-client chromium:chromium chromedriver:chromium-driver
need_keyfob
need_keyfob_rp
need_ssh_sk
need_packages relying-party requests==2.34.2 flask==3.1.3 fido2==2.2.1 selenium==4.51.0

work=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
# block LANGUAGE NUMBER: the lines of that block of code.
block() {
    awk -v begin="\`\`\`$1" -v wanted="$2" '$0 == "```" { inside = 0 } inside { print } $0 == begin && ++number == wanted { inside = 1 }' \
        "$here/../../docs/virtual-key.md"
}
mkdir bin
ln -s "$KEYFOB" bin/keyfob
export PATH=$PWD/bin:$KEPT/bin:$PATH

[ "$(block sh 1 | wc -l)" -lt 10 ]
block sh 1 | bash -e
echo "ok: the lines of a client developer"
[ "$(block sh 2 | wc -l)" -lt 10 ]
mkdir -p target/debug
cp "$SSH_SK" target/debug
{ echo 'trap "ssh-agent -k >/dev/null || true" EXIT'; block sh 2; } | bash -e
echo "ok: the lines of an SSH user"
[ "$(block python 1 | wc -l)" -lt 10 ]
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
block python 1 | sed "s/:8080/:$port/" >test.py
block js 1 >register.js
"$KEYFOB_RP" serve --listen "127.0.0.1:$port" </dev/null >server.log 2>&1 &
server=$!
until grep -q "$port" server.log; do sleep 0.05; done
block sh 3 | bash -e | tee registered
grep -Eq '^[A-Za-z0-9_-]{40,}$' registered
echo "ok: the lines of a web tester"
