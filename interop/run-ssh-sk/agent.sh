# Sourced by run.sh: Debian's ssh-agent, which is setgid. It has the variable from where it is started, and takes the
# library because -P allows it.

start_agent() {
    "$(command -v ssh-agent)" -D -a "$work/socket" "$@" </dev/null >agent.log 2>&1 &
    agent=$!
    until [ -S socket ]; do sleep 0.05; done
    export SSH_AUTH_SOCK=$work/socket
}
stop_agent() {
    kill "$agent"
    wait "$agent" || true
    agent=
    rm -f socket
    unset SSH_AUTH_SOCK
}

start_agent
refused "an agent takes no library that it was not told of" ssh-add -q ecdsa
stop_agent

askpass 246810
start_agent -P "$SSH_SK"
check "an agent takes a key" ssh-add -q ecdsa
authorize ecdsa
check "a login through it" login -o IdentityFile=none
check "a file is signed through it" sign ecdsa.pub
check "and verified" verify ecdsa
check "an agent takes a key that verifies its user" ssh-add -q verified
authorize verified verify-required
check "and asks for the PIN at a login" login -o IdentityFile=none
check "an agent takes what is resident" ssh-add -q -K
check "and has it" bash -c 'ssh-add -L | grep -q "$(cut -d" " -f2 strict.pub)"'
authorize resident-bob
check "a login with it" login -o IdentityFile=none
stop_agent
export SSH_ASKPASS_REQUIRE=never
