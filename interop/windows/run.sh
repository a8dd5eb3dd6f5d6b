#!/usr/bin/env bash
# keyfob-windows, the client over Windows' webauthn.dll, against a library of ours in its place: with each version of the
# API, first on this system, then as a program for Windows under Wine, where the library is in the system's folder. Each
# struct is checked by the library, each response is verified. The layout of structs is compared with that of mingw's
# header, which goes as far as version 3.
#
# Needs: Rust, its target x86_64-pc-windows-gnu, Python 3.10, and Debian's gcc-mingw-w64-x86-64-win32 and wine64 once
# (1.1 GB). Exit status: 0 if all checks pass, 77 if Wine or the target cannot be had; what needs neither has run then.
#
#   KEYFOB_CACHE  where Wine keeps its folder of Windows (700 MB), ~/.cache/keyfob without it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../lib.sh"
cd "$here"
target=$(cargo metadata --locked --no-deps --format-version 1 |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')

cargo build --locked --quiet
"$target/debug/keyfob-windows-check" missing
"$target/debug/keyfob-windows-check" "$target/debug/libwebauthn.so"

windows=x86_64-pc-windows-gnu
rustup target list --installed | grep -qx "$windows" || rustup target add "$windows" >/dev/null 2>&1 ||
    { echo "Rust's target $windows cannot be had"; exit 77; }
need_debian x86_64-w64-mingw32-gcc:gcc-mingw-w64-x86-64-win32
[ -x /usr/lib/wine/wine64 ] || need_debian /usr/lib/wine/wine64:wine64

header=/usr/x86_64-w64-mingw32/include/webauthn.h
python3 layout.py "$header" ../../host/windows/src/abi/layout.rs | x86_64-w64-mingw32-gcc -fsyntax-only -xc -
echo "the layout is that of mingw's header"

cargo build --locked --quiet --target "$windows"
keep wine
export WINEPREFIX=$KEPT WINEDEBUG=-all
system=$WINEPREFIX/drive_c/windows/system32
wine() { /usr/lib/wine/wine64 "$@" </dev/null 2>&1; }
[ -d "$system" ] || wine wineboot --init >/dev/null
x86_64-w64-mingw32-gcc -shared -o "$target/$windows/debug/bcryptprimitives.dll" bcryptprimitives.c -ladvapi32
rm -f "$system/webauthn.dll"
wine "$target/$windows/debug/keyfob-windows-check.exe" missing
cp "$target/$windows/debug/webauthn.dll" "$system"
wine "$target/$windows/debug/keyfob-windows-check.exe" system
