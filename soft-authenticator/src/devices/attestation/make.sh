#!/usr/bin/env bash
# Makes the attestation certificates of the virtual key: a root, a certificate with the key's aaguid, and the
# certificate's private key as 32 bytes. Needs openssl. The private key is public by being here: it attests nothing but
# "this is the virtual key".
set -euo pipefail
cd "$(dirname "$0")"
aaguid=6b6579666f624d008a5e3c1f9d27b604
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
openssl ecparam -name prime256v1 -genkey -noout -out "$work/root.key"
openssl req -x509 -new -key "$work/root.key" -sha256 -days 36500 -out "$work/root.pem" \
    -subj "/C=DE/O=keyfob/CN=keyfob virtual key root" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
openssl ecparam -name prime256v1 -genkey -noout -out "$work/leaf.key"
openssl req -new -key "$work/leaf.key" -out "$work/leaf.csr" \
    -subj "/C=DE/O=keyfob/OU=Authenticator Attestation/CN=keyfob virtual key"
cat > "$work/extensions" <<EOF
basicConstraints=critical,CA:FALSE
1.3.6.1.4.1.45724.1.1.4=DER:0410$aaguid
EOF
openssl x509 -req -in "$work/leaf.csr" -CA "$work/root.pem" -CAkey "$work/root.key" -set_serial 1 -sha256 \
    -days 36499 -extfile "$work/extensions" -out "$work/leaf.pem"
openssl x509 -in "$work/root.pem" -outform DER -out root.der
openssl x509 -in "$work/leaf.pem" -outform DER -out leaf.der
openssl ec -in "$work/leaf.key" -outform DER 2>/dev/null | openssl asn1parse -inform DER | sed -n 's/.*OCTET STRING.*HEX DUMP]:\([0-9A-F]\{64\}\)$/\1/p' |
    head -1 | xxd -r -p > leaf.key
test "$(wc -c < leaf.key)" = 32
