# Sourced by the scripts that run OpenSSH: an sshd on loopback, logins at it, and checks. In the working folder they
# keep sshd's files, and the output of the last command.

# start_sshd: an sshd that takes the keys of ./authorized_keys. Sets port, and sshd to its process.
start_sshd() {
    local work=$PWD
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    ssh-keygen -q -t ed25519 -N '' -f host_key
    cat >sshd_config <<END
ListenAddress 127.0.0.1:$port
HostKey $work/host_key
PidFile $work/sshd.pid
AuthorizedKeysFile $work/authorized_keys
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
END
    touch authorized_keys
    [ "$(id -u)" != 0 ] || mkdir -p /run/sshd
    # A daemon keeps the pipes that it inherits, and their reader would wait for it.
    /usr/sbin/sshd -D -f "$work/sshd_config" -E "$work/sshd.log" </dev/null >/dev/null 2>&1 &
    sshd=$!
}

check() {
    local what=$1
    shift
    if "$@" >output 2>&1 </dev/null; then echo "ok: $what"; else echo "FAILED: $what: $*"; cat output sshd.log; exit 1; fi
}
refused() {
    local what=$1
    shift
    if ! "$@" >output 2>&1 </dev/null; then echo "ok: $what"; else echo "FAILED: $what: $*"; cat output; exit 1; fi
}
# says LINE COMMAND...: the command is refused, and says this (a pattern).
says() {
    local line=$1
    shift
    refused "$line" "$@"
    grep -q "$line" output || { echo "FAILED: it does not say: $line"; cat output; exit 1; }
}
# make TYPE NAME OPTIONS...: a key in the files NAME and NAME.pub.
make() { ssh-keygen -q -N '' -t "$1" -f "$2" "${@:3}"; }
# login OPTIONS...: ssh itself does not look at SSH_SK_PROVIDER, unless its configuration says so.
login() {
    ssh -F none ${SSH_SK_PROVIDER:+-o 'SecurityKeyProvider=$SSH_SK_PROVIDER'} -p "$port" -o BatchMode=no \
        -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
        -o PreferredAuthentications=publickey "$@" "$(id -un)@127.0.0.1" true
}
# authorize NAME [OPTIONS]: sshd takes this key and no other.
authorize() { echo "${2:+$2 }$(cat "$1.pub")" >authorized_keys; }
# sign NAME: signs ./file.
sign() {
    rm -f file.sig
    ssh-keygen -q -Y sign -f "$1" -n file file
}
# verify NAME [FILE]: verifies the signature of ./file, or of another file.
verify() {
    echo "me $(cat "$1.pub")" >signers
    ssh-keygen -q -Y verify -f signers -I me -n file -s file.sig <"${2:-file}"
}
# askpass PIN: the PIN that OpenSSH gets when it asks for one, without a terminal.
askpass() {
    printf '#!/bin/sh\necho %s\n' "$1" >askpass
    chmod +x askpass
    export SSH_ASKPASS=$PWD/askpass SSH_ASKPASS_REQUIRE=force
}
