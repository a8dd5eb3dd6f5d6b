#!/usr/bin/env bash
# Selenium, not changed, drives the virtual authenticators of `keyfob webdriver`: Chromium through chromedriver, Firefox
# through geckodriver, from Python and, where npm is reachable, from JavaScript. python-fido2 verifies what the pages get.
# Before that python-fido2 is the client: it sees the effect of each command and each parameter.
#
# At last the lines of docs/testing.md about Selenium, as they stand there.
#
# Needs: Linux, Rust, Python 3.10 or newer with venv, PyPI and crates.io once, and Debian's chromium, chromium-driver,
# firefox-esr, fido2-tools and curl, which this script installs if it may; Node 20 and the npm registry once for JavaScript.
# Exit status: 0 if all checks pass, 77 if something that it needs is not available.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_CACHE  where geckodriver and the environments are kept, ~/.cache/keyfob without it
set -euo pipefail
selenium=4.49.0

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
need_debian chromium:chromium chromedriver:chromium-driver firefox-esr:firefox-esr fido2-token:fido2-tools curl:curl
need_keyfob
need_geckodriver

keep selenium-js
node=
if [ "$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')" -ge 20 ] 2>/dev/null; then
    [ "$(cat "$KEPT/installed" 2>/dev/null)" = "$selenium" ] ||
        if npm install --prefix "$KEPT" --ignore-scripts --no-audit --no-fund --silent "selenium-webdriver@$selenium"; then
            echo "$selenium" >"$KEPT/installed"
        fi
    [ ! -e "$KEPT/installed" ] || node=$KEPT/node_modules
fi

need_packages relying-party requests==2.34.2 flask==3.1.3 fido2==2.2.1 selenium==4.51.0
export PYTHONDONTWRITEBYTECODE=1
"$KEYFOB" webdriver --listen 127.0.0.1:0 -- "$KEPT/bin/python" "$here/keys.py"
NODE_MODULES=$node "$KEPT/bin/python" "$here/check.py" "$KEYFOB" "$GECKODRIVER"

work=$(mktemp -d)
started=
trap 'kill $started 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir "$work/bin"
ln -s "$KEYFOB" "$work/bin/keyfob"
PATH=$work/bin:$PATH
first=$(free_port) second=$(free_port) page=$(free_port)
# A block of the page, with ports that are free.
lines() { block testing.md "$@" | sed "s/^\$ //; s/:4444/:$first/; s/:4445/:$second/; s/:8080/:$page/"; }

lines console 2 >"$work/drivers"
while read -r line; do
    bash -c "exec $line" </dev/null >>"$work/said" 2>>"$work/log" &
    started+=" $!"
done <"$work/drivers"
python3 -m http.server --bind 127.0.0.1 --directory "$here" "$page" </dev/null >"$work/log" 2>&1 &
started+=" $!"
for _ in $(seq 300); do
    [ "$(grep -c '^WebDriver listens at' "$work/said")" != 2 ] || break
    sleep 0.1
done
lines python 2 >"$work/page.py"
[ "$("$KEPT/bin/python" "$work/page.py")" = "[]" ]
echo "ok: the lines of Selenium"
lines console 3 | bash -e | grep -q '/dev/hidraw.*vendor='
echo "ok: the lines of a command below keyfob webdriver"
[ -n "$node" ] || { echo "Selenium for JavaScript: no Node 20, or npm does not give selenium-webdriver; all else passed"; exit 77; }
