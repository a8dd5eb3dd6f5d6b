# Run by `keyfob run`, in an empty folder where an sshd has its files, with the port of that sshd.
set -uo pipefail
port=$1

source "$(dirname "${BASH_SOURCE[0]}")/../openssh.sh"
askpass 246810
unset SSH_AUTH_SOCK

check "$(ssh -V 2>&1): a key of type ecdsa-sk" make ecdsa-sk ecdsa
check "a key of type ed25519-sk" make ed25519-sk ed25519
for name in ecdsa ed25519; do
    authorize "$name"
    check "a login with $name" login -i "$name"
    date >file
    check "a file is signed with $name" sign "$name"
    check "and verified" verify "$name"
    refused "not when the file is changed" verify "$name" output
done
authorize ecdsa
refused "no login with the other key" login -i ed25519 -o IdentitiesOnly=yes

check "a key that needs no touch" make ed25519-sk untouched -O no-touch-required
authorize untouched
refused "which the server does not accept by itself" login -i untouched
authorize untouched no-touch-required
check "and accepts where it may" login -i untouched
check "a key with the attestation" make ecdsa-sk attested -O write-attestation=attestation
check "which is written" grep -q ssh-sk-attest attestation

check "a PIN is set" bash -c 'printf "246810\n246810\n" | fido2-token -S "$(fido2-token -L | cut -d: -f1)"'
check "a key that verifies its user" make ed25519-sk verified -O verify-required
authorize verified verify-required
check "a login with it, where the server asks for it" login -i verified
authorize ecdsa verify-required
refused "no login without that" login -i ecdsa -o IdentitiesOnly=yes

check "a resident key" make ed25519-sk resident -O resident -O application=ssh:keyfob -O user=alice
mkdir downloaded
cd downloaded
check "is downloaded" ssh-keygen -q -K -N ''
cd ..
check "and is the same" cmp <(cut -d' ' -f2 resident.pub) <(cut -d' ' -f2 downloaded/id_ed25519_sk_rk_keyfob_alice.pub)
authorize resident
check "a login with the one that was downloaded" login -i downloaded/id_ed25519_sk_rk_keyfob_alice

# ssh-agent is setgid, so that it does not load the library. A copy is not.
cp "$(command -v ssh-agent)" agent
SSH_ASKPASS_REQUIRE=never ./agent -D -a "$PWD/socket" </dev/null >agent.log 2>&1 &
agent=$!
trap 'kill "$agent"' EXIT
export SSH_AUTH_SOCK=$PWD/socket
until [ -S socket ]; do sleep 0.05; done
check "an agent takes a key" ssh-add -q ecdsa
authorize ecdsa
check "a login through it" login -o IdentityFile=none
check "an agent takes what is resident" ssh-add -q -K
check "and has it" bash -c 'ssh-add -L | grep -q "$(cut -d" " -f2 resident.pub)"'
