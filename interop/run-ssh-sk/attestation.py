"""Verifies what ssh-keygen has written with -O write-attestation (OpenSSH's PROTOCOL.u2f, "ssh-sk-attest-v01").

usage: attestation.py ATTESTATION CHALLENGE PUBLIC_KEY APPLICATION REPOSITORY
"""

import base64
import hashlib
import pathlib
import struct
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.webauthn import AuthenticatorData


def strings(data):
    """The strings that SSH's encoding puts one after the other, and what is left behind `count` of them."""
    while data:
        (length,) = struct.unpack_from(">I", data)
        if len(data) < 4 + length:
            return
        yield data[4 : 4 + length]
        data = data[4 + length :]


def main(attestation, challenge, public_key, application, repository):
    magic, certificate, signature, authdata, *rest = strings(pathlib.Path(attestation).read_bytes())
    assert magic == b"ssh-sk-attest-v01", magic
    assert not b"".join(rest), "reserved"
    raw = cbor.decode(authdata)
    hashed = hashlib.sha256(pathlib.Path(challenge).read_bytes()).digest()
    leaf = x509.load_der_x509_certificate(certificate)
    leaf.public_key().verify(signature, raw + hashed, ec.ECDSA(hashes.SHA256()))

    folder = pathlib.Path(repository) / "soft-authenticator/src/devices/attestation"
    root = x509.load_der_x509_certificate((folder / "root.der").read_bytes())
    leaf.verify_directly_issued_by(root)

    data = AuthenticatorData(raw)
    assert data.rp_id_hash == hashlib.sha256(application.encode()).digest()
    key = data.credential_data.public_key
    kind, *parts = strings(base64.b64decode(pathlib.Path(public_key).read_text().split()[1]))
    if kind == b"sk-ecdsa-sha2-nistp256@openssh.com":
        assert parts == [b"nistp256", b"\4" + key[-2] + key[-3], application.encode()]
    else:
        assert (kind, parts) == (b"sk-ssh-ed25519@openssh.com", [key[-2], application.encode()])


main(*sys.argv[1:])
