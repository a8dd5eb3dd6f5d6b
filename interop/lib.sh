# Functions for the run.sh of every folder, which sources this file.
#
#   KEYFOB        a keyfob to test instead of the one that is built here
#   KEYFOB_CACHE  where downloads are kept; ~/.cache/keyfob by default

# built FILE PACKAGE [SWITCH...]: builds a package of this workspace, and prints the absolute path of what it makes, which
# cargo puts at FILE. The dev profile, because it checks for overflow. WORKSPACE is the folder of another workspace.
built() {
    local file=$1 manifest target
    shift
    manifest=$(dirname "${BASH_SOURCE[0]}")/../${WORKSPACE:-.}/Cargo.toml
    cargo build --locked --quiet --manifest-path "$manifest" --package "$@" >&2 || return
    target=$(cargo metadata --locked --no-deps --format-version 1 --manifest-path "$manifest" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])') || return
    realpath "$target/debug/$file"
}

# Sets KEYFOB to the absolute path of the keyfob under test. With a C compiler it is built with AWS-LC, and so with
# RS256 and PS256.
need_keyfob() {
    local features=
    ! command -v "${CC:-cc}" >/dev/null || features=aws-lc
    [ -n "${KEYFOB:-}" ] || KEYFOB=$(built keyfob keyfob --features "$features")
    KEYFOB=$(realpath "$KEYFOB")
}

# Sets KEYFOB_RP to the absolute path of the keyfob-rp under test.
need_keyfob_rp() {
    [ -n "${KEYFOB_RP:-}" ] || KEYFOB_RP=$(built keyfob-rp keyfob-relying-party)
    KEYFOB_RP=$(realpath "$KEYFOB_RP")
}

# Sets SSH_SK to the absolute path of the library for OpenSSH under test.
need_ssh_sk() {
    [ -n "${SSH_SK:-}" ] || SSH_SK=$(built libkeyfob_ssh_sk.so keyfob-ssh-sk)
    SSH_SK=$(realpath "$SSH_SK")
}

# Sets AGE_PLUGIN to the absolute path of the plugin for age under test.
need_age_plugin() {
    [ -n "${AGE_PLUGIN:-}" ] || AGE_PLUGIN=$(WORKSPACE=downstream built age-plugin-keyfob downstream-age-plugin)
    AGE_PLUGIN=$(realpath "$AGE_PLUGIN")
}

# Sets EXAMPLE to the absolute path of this example of the keyfob package.
need_example() { EXAMPLE=$(built "examples/$1" keyfob --example "$1"); }

# Sets KEPT to a folder of this name that stays for the next run, or to a temporary one if the cache is not writable.
keep() {
    local cache=${KEYFOB_CACHE:-${HOME:-/nonexistent}/.cache/keyfob}
    if mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ]; then
        KEPT=$(realpath "$cache")/$1
    else
        KEPT=$(mktemp -d)
        trap 'rm -rf "$KEPT"' EXIT
    fi
}

# alone COMMAND...: no other script installs something meanwhile.
alone() {
    local lock code=0
    command -v flock >/dev/null || { "$@"; return; }
    exec {lock}>"${TMPDIR:-/tmp}/keyfob-install-$(id -u)"
    flock "$lock"
    "$@" || code=$?
    exec {lock}>&-
    return "$code"
}

# need_packages NAME PACKAGE...: sets KEPT to a Python environment of this name with these packages. Exits with 77 if they
# cannot be installed from PyPI.
need_packages() {
    keep "$1"
    shift
    alone install_packages "$@"
}

install_packages() {
    [ "$(cat "$KEPT/packages" 2>/dev/null)" != "$*" ] || return 0
    python3 -c 'import ensurepip, venv' || { echo "python3 cannot make an environment: Debian's package is python3-venv"; exit 77; }
    # `alone` switches off that a command that fails ends the script.
    python3 -m venv --clear "$KEPT" || exit
    "$KEPT/bin/pip" install --quiet --disable-pip-version-check "$@" || { echo "PyPI does not give $*"; exit 77; }
    echo "$*" >"$KEPT/packages"
}

# Sets KEPT to a Python environment with python-fido2 2.2.1. Exits with 77 if it cannot be installed from PyPI.
need_fido2() { need_packages python-fido2 fido2==2.2.1; }

# block FILE LANGUAGE NUMBER: the lines of that block of code, the NUMBERth of its language in a page of docs/.
block() {
    awk -v begin="\`\`\`$2" -v wanted="$3" \
        '$0 == "```" { inside = 0 } inside { print } $0 == begin && ++number == wanted { inside = 1 }' \
        "$(dirname "${BASH_SOURCE[0]}")/../docs/$1" | grep .
}

# Prints a port that is free.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# need_npm FOLDER TARGET: installs what FOLDER/package-lock.json names into TARGET/node_modules. Exits with 77 if there is
# no Node 20 or newer, or if the packages cannot be installed from the npm registry.
need_npm() {
    local major
    major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')
    [ "${major:-0}" -ge 20 ] && command -v npm >/dev/null || { echo "there is no Node 20 or newer with npm"; exit 77; }
    ! cmp --quiet "$1/package-lock.json" "$2/installed" || return 0
    mkdir -p "$2"
    cp "$1/package.json" "$1/package-lock.json" "$2"
    npm ci --prefix "$2" --ignore-scripts --no-audit --no-fund --silent ||
        { echo "the npm registry does not give what package-lock.json names"; exit 77; }
    cp "$1/package-lock.json" "$2/installed"
}

# need_debian COMMAND:PACKAGE...: installs what is missing. Exits with 77 if it cannot.
need_debian() { alone install_debian "$@" || { echo "cannot install Debian's ${*#*:}"; exit 77; }; }

# The same, but goes on if it cannot.
want_debian() { alone install_debian "$@" || true; }

install_debian() {
    local pair missing=()
    for pair; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    [ "${#missing[@]}" != 0 ] || return 0
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } \
        </dev/null >/dev/null 2>&1
}

# Sets GECKODRIVER to geckodriver's path, built from crates.io once, and puts its folder on the PATH. Exits with 77 if it
# cannot be had; Debian has none.
need_geckodriver() {
    keep geckodriver
    GECKODRIVER=$KEPT/bin/geckodriver
    alone install_geckodriver 0.37.1
    PATH=$KEPT/bin:$PATH
}

install_geckodriver() {
    [ "$("$GECKODRIVER" --version 2>/dev/null | sed -n '1s/geckodriver \([0-9.]*\).*/\1/p')" != "$1" ] || return 0
    CARGO_TARGET_DIR=$KEPT/build cargo install --locked --quiet --force --root "$KEPT" --version "$1" geckodriver </dev/null ||
        { echo "crates.io does not give geckodriver $1"; exit 77; }
    rm -rf "$KEPT/build"
}

# Prints `rsa` if the keyfob under test has RS256.
has_rsa() {
    # It fails at the address only when it has the algorithms.
    case $("$KEYFOB" serve --tcp 127.0.0.1:x --algorithms ES256,RS256 2>&1) in
        *"cannot listen"*) echo rsa ;;
        *) echo none ;;
    esac
}
