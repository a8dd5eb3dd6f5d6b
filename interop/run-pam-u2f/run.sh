#!/usr/bin/env bash
# Debian's pamu2fcfg and pam_u2f, through `keyfob run` and pamtester: a user logs in with a touch, with a cue, with the PIN,
# by the finger, with a resident key, and not otherwise.
#
# Needs: Linux, Rust, the rights of root for a file in /etc/pam.d, and Debian's libpam-u2f, pamu2fcfg and pamtester, which
# this script installs if it may. Exit status: 0 if all checks pass, 77 if something that it needs is not available.
#
#   KEYFOB  a keyfob to test instead of the one that is built here
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
[ -w /etc/pam.d ] || { echo "a service of PAM needs a file in /etc/pam.d"; exit 77; }
need_debian pamu2fcfg:pamu2fcfg pamtester:pamtester
[ -n "$(find /lib/*/security /usr/lib/*/security -name pam_u2f.so -print -quit 2>/dev/null)" ] || need_debian none:libpam-u2f
need_keyfob

work=$(mktemp -d)
export SERVICE=keyfob-test-$$
trap 'rm -rf "$work" "/etc/pam.d/$SERVICE"' EXIT
cd "$work"
setsid --wait "$KEYFOB" run --store "$work/key" --pin 975310 -- bash "$here/login.sh" </dev/null
setsid --wait "$KEYFOB" run --store "$work/key" --touch deny -- bash "$here/refused.sh" </dev/null
setsid --wait "$KEYFOB" run -- bash "$here/refused.sh" </dev/null
