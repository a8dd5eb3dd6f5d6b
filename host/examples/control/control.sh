#!/usr/bin/env bash
# A test of a client, from a shell: the key is told to be full, and is asked what it was asked. Needs bash and keyfob.
#
#     KEYFOB=target/debug/keyfob host/examples/control/control.sh
set -euo pipefail

# A key that any program opens over TCP, and its control socket. The first line says where they are.
coproc key { exec "${KEYFOB:-keyfob}" serve --json --tcp 127.0.0.1:0 --control tcp:127.0.0.1:0; }
trap 'kill "$key_PID" 2>/dev/null' EXIT
read -r serving <&"${key[0]}"
[[ $serving =~ \"control\":\"tcp:([0-9.]+):([0-9]+)\" ]]
exec 3<>"/dev/tcp/${BASH_REMATCH[1]}/${BASH_REMATCH[2]}"

# tell VERB [PARAMS]: prints the answer, and fails if it is an error. With a Unix socket: socat - UNIX-CONNECT:PATH.
tell() {
    local answer
    printf '{"id": 1, "verb": "%s", "params": %s}\n' "$1" "${2:-{\}}" >&3
    read -r answer <&3
    printf '%s\n' "$answer"
    [[ $answer != *'"error":'* ]]
}

# The same for what has to be an error.
refused() { if tell "$@"; then exit 1; fi; }

page='{"origin": "https://example.org", "options": {"challenge": "YSBjaGFsbGVuZ2U", "userVerification": "discouraged"}}'

tell addCredential '{"rpId": "example.org", "userHandle": "dXNlci0wMDAx", "signCount": 7}'
tell get "$page"
tell answer '{"command": "GET_ASSERTION", "status": "OPERATION_DENIED"}'
refused get "$page"
tell clearAnswers
tell unplug
refused get "$page"
tell getHistory
