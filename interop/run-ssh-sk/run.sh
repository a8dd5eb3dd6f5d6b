#!/usr/bin/env bash
# OpenSSH as Debian has it, with our library as SSH_SK_PROVIDER: keys of both types, resident ones and their download,
# verify-required, no-touch-required, attestations, signed files, logins at an sshd on loopback, with and without
# Debian's ssh-agent; a key in a file, behind sockets, and as a HID device; several programs at once, one that is killed
# in the middle, and one under valgrind.
#
# Needs: Linux, Rust, Python 3.10 or newer with venv, PyPI once, and Debian's openssh-client (9.1 or newer),
# openssh-server and valgrind, which this script installs if it may. Exit status: 0 if all checks pass, 77 if something
# that it needs is not available.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   SSH_SK        the same for the library
#   KEYFOB_CACHE  where the Python environment is kept, ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
source "$here/../openssh.sh"
need_debian ssh-keygen:openssh-client /usr/sbin/sshd:openssh-server valgrind:valgrind
release=$(ssh -V 2>&1 | sed 's/^OpenSSH_\([0-9.]*\).*/\1/')
[ "$(printf '9.1\n%s\n' "$release" | sort -V | head -n 1)" = 9.1 ] || { echo "OpenSSH $release is older than 9.1"; exit 77; }
for helper in /usr/lib/openssh/ssh-sk-helper /usr/libexec/ssh-sk-helper /usr/lib/ssh/ssh-sk-helper ''; do
    [ ! -x "$helper" ] || break
done
[ -n "$helper" ] || { echo "this OpenSSH has no ssh-sk-helper"; exit 77; }
need_fido2
need_keyfob
need_ssh_sk

work=$(mktemp -d)
cd "$work"
start_sshd
served=
agent=
trap 'kill "$sshd" $served $agent 2>/dev/null || true; rm -rf "$work"' EXIT
unset SSH_AUTH_SOCK KEYFOB_ADDRESS
export SSH_SK_PROVIDER=$SSH_SK KEYFOB_STORE=$work/key
date >file
# No terminal, so that nothing waits for an answer.
export SSH_ASKPASS_REQUIRE=never

source "$here/keys.sh"
source "$here/agent.sh"
source "$here/places.sh"
source "$here/faults.sh"
