# Sourced by run.sh: what OpenSSH can do with keys, on a virtual key in a file.

check "OpenSSH $release: a key of type ecdsa-sk" make ecdsa-sk ecdsa
check "a key of type ed25519-sk" make ed25519-sk ed25519
for name in ecdsa ed25519; do
    authorize "$name"
    check "a login with $name" login -i "$name"
    check "a file is signed with $name" sign "$name"
    check "and verified" verify "$name"
    refused "not when the file is changed" verify "$name" output
done
authorize ecdsa
refused "no login with the other key" login -i ed25519 -o IdentitiesOnly=yes
check "keyfob run has the same key on the same file" \
    "$KEYFOB" run --store key -- ssh-keygen -q -w internal -Y sign -f ecdsa -n other file

check "a key that needs no touch" make ed25519-sk untouched -O no-touch-required
authorize untouched
refused "which the server does not accept by itself" login -i untouched
authorize untouched no-touch-required
check "and accepts where it may" login -i untouched

head -c 64 /dev/urandom >challenge
for type in ecdsa-sk ed25519-sk; do
    check "a key of type $type with a challenge and its attestation" \
        make "$type" "attested-$type" -O challenge=challenge -O write-attestation="attestation-$type"
    check "which the certificate of the virtual key verifies" \
        "$KEPT/bin/python" "$here/attestation.py" "attestation-$type" challenge "attested-$type.pub" ssh: "$here/../.."
    refused "not with another challenge" \
        "$KEPT/bin/python" "$here/attestation.py" "attestation-$type" file "attested-$type.pub" ssh: "$here/../.."
done

check "without a PIN, a finger verifies the user" make ed25519-sk by-finger -O verify-required
authorize by-finger verify-required
check "also at a login" login -i by-finger
authorize ecdsa verify-required
refused "and not with a key that was made without" login -i ecdsa -o IdentitiesOnly=yes

check "a resident key" make ed25519-sk resident -O resident -O application=ssh:keyfob -O user=alice
refused "is not overwritten unasked" make ed25519-sk again -O resident -O application=ssh:keyfob -O user=alice
overwrite() { make ecdsa-sk again -O resident -O application=ssh:keyfob -O user=alice <<<y; }
check "but when the user says so" overwrite
check "another user has another" make ed25519-sk resident-bob -O resident -O application=ssh:keyfob -O user=bob
check "a resident key that verifies its user" make ed25519-sk strict -O resident -O verify-required -O application=ssh:strict
mkdir downloaded
cd downloaded
check "they are downloaded" ssh-keygen -q -K -N ''
cd ..
for pair in again:id_ecdsa_sk_rk_keyfob_alice resident-bob:id_ed25519_sk_rk_keyfob_bob strict:id_ed25519_sk_rk_strict; do
    check "and ${pair#*:} is the same" cmp <(cut -d' ' -f2 "${pair%:*}.pub") <(cut -d' ' -f2 "downloaded/${pair#*:}.pub")
    authorize "${pair%:*}"
    check "a login with the one that was downloaded" login -i "downloaded/${pair#*:}"
done
authorize strict verify-required
check "it verifies its user as before" login -i downloaded/id_ed25519_sk_rk_strict

check "a PIN is set" "$KEYFOB" run --store key --pin 246810 -- true
askpass 135791
says 'keyfob: the PIN is wrong; [5-7] attempts are left' make ed25519-sk verified -O verify-required
askpass 246810
check "a key that verifies its user, with the right PIN" make ed25519-sk verified -O verify-required
authorize verified verify-required
check "a login with it" login -i verified
authorize by-finger verify-required
check "a login with a key that was made before there was a PIN" login -i by-finger
mkdir again-downloaded
cd again-downloaded
check "resident keys are downloaded with the PIN" ssh-keygen -q -K -N ''
cd ..
check "all of them" test -e again-downloaded/id_ed25519_sk_rk_strict
export SSH_ASKPASS_REQUIRE=never
authorize verified verify-required
refused "no user is verified where none can be asked" login -i verified -o IdentitiesOnly=yes
authorize ecdsa
check "a key that does not verify its user needs no PIN" login -i ecdsa
