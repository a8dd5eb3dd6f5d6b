#!/usr/bin/env bash
# Makes the attestation certificates of the virtual key: a root, a certificate for the model with its aaguid, one with a
# serial number as well for enterprise attestation, and the certificates' private keys of 32 bytes. Needs openssl and
# xxd. The private keys are published here, so they prove nothing but "this is the virtual key".
set -euo pipefail
cd "$(dirname "$0")"
aaguid=6b6579666f624d008a5e3c1f9d27b604
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
openssl ecparam -name prime256v1 -genkey -noout -out "$work/root.key"
openssl req -x509 -new -key "$work/root.key" -sha256 -days 36500 -out "$work/root.pem" \
    -subj "/C=DE/O=keyfob/CN=keyfob virtual key root" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
openssl x509 -in "$work/root.pem" -outform DER -out root.der
cat > "$work/extensions" <<EOF
basicConstraints=critical,CA:FALSE
1.3.6.1.4.1.45724.1.1.4=DER:0410$aaguid
EOF

# certificate NAME NUMBER SUBJECT: makes NAME.der and NAME.key.
certificate() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$work/key"
    openssl req -new -key "$work/key" -out "$work/csr" -subj "/C=DE/O=keyfob/OU=Authenticator Attestation/$3"
    openssl x509 -req -in "$work/csr" -CA "$work/root.pem" -CAkey "$work/root.key" -set_serial "$2" -sha256 \
        -days 36499 -extfile "$work/extensions" -outform DER -out "$1.der"
    openssl ec -in "$work/key" -outform DER 2>/dev/null | openssl asn1parse -inform DER |
        sed -n 's/.*OCTET STRING.*HEX DUMP]:\([0-9A-F]\{64\}\)$/\1/p' | head -1 | xxd -r -p > "$1.key"
    test "$(wc -c < "$1.key")" = 32
}
certificate leaf 1 "CN=keyfob virtual key"
certificate enterprise 2 "CN=keyfob virtual key/serialNumber=1"
