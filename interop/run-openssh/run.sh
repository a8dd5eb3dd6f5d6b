#!/usr/bin/env bash
# OpenSSH as Debian has it, through `keyfob run`: keys of both types, resident ones and their download, verify-required,
# no-touch-required, signed files, and logins at an sshd on loopback, with and without an agent.
#
# Needs: Linux, Rust, and Debian's openssh-client, openssh-server and fido2-tools, which this script installs if it may.
# Exit status: 0 if all checks pass, 77 if something that it needs is not available.
#
#   KEYFOB  a keyfob to test instead of the one that is built here
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
source "$here/../openssh.sh"
need_debian ssh-keygen:openssh-client /usr/sbin/sshd:openssh-server fido2-token:fido2-tools
need_keyfob

work=$(mktemp -d)
cd "$work"
start_sshd
trap 'kill "$sshd" 2>/dev/null || true; rm -rf "$work"' EXIT

setsid --wait "$KEYFOB" run -- bash "$here/ssh.sh" "$port" </dev/null
