"""Registrations and sign-ins, made by keyfob or by fido2-cred and fido2-assert, and verified by both."""

import base64
import json

from fido2 import cbor

from steps import KEYFOB, RP, Token, b64, bytes_of, check, equal, keyfob, output, sha256, url

PIN = "123456"
token = Token()
COSE = {"es256": "ES256", "eddsa": "EdDSA", "rs256": "RS256"}


def write(name, *lines):
    with open(name, "w") as file:
        file.write("".join(f"{line}\n" for line in lines))
    return name


def sign_in_lines(document):
    response = document["response"]["response"]
    return [b64(sha256(bytes_of(response["clientDataJSON"]))), document["options"]["rpId"],
            b64(cbor.encode(bytes_of(response["authenticatorData"]))), b64(bytes_of(response["signature"]))]


def pins(switches):
    return (PIN,) if "-v" in switches else ()


class Made:
    """A credential: its id and its public key in PEM, as both verifiers tell them."""

    def __init__(self, name, id, pem):
        self.name, self.id, self.pem = name, id, pem
        self.key_file = write(f"{name}.pem", pem.rstrip())


def register(name, kind, *wanted, judge=()):
    """Registers with keyfob; `keyfob verify` and fido2-cred -V verify the same."""
    document = keyfob("register", "--rp", RP, "--user", name, "--algorithms", COSE[kind], "--attestation", "direct", *wanted,
                      pins=pins(judge))
    path = write(f"{name}.json", json.dumps(document))
    response = document["response"]["response"]
    attestation = cbor.decode(bytes_of(response["attestationObject"]))
    statement = attestation["attStmt"]
    lines = [b64(sha256(bytes_of(response["clientDataJSON"]))), RP, attestation["fmt"],
             b64(cbor.encode(attestation["authData"])), b64(bytes_of(document["response"]["id"])), b64(statement["sig"])]
    lines += [b64(statement["x5c"][0])] if "x5c" in statement else []
    write(f"{name}.cred", *lines)
    told = output(["fido2-cred", "-V", *judge, "-i", f"{name}.cred", kind])
    verified = keyfob("verify", path)
    check(f"keyfob register {' '.join(wanted)}: {kind}, which fido2-cred -V {' '.join(judge)} verifies",
          b64(bytes_of(verified["credentialId"])) == told.splitlines()[0], told)
    equal("  with the public key of keyfob verify --pem", output([KEYFOB, "verify", "--pem", path]), told.split("\n", 1)[1])
    return Made(name, document["response"]["id"], verified["publicKeyPem"]), path, verified


def make(name, kind, *switches):
    """Registers with fido2-cred."""
    write(f"{name}.in", b64(sha256(name.encode())), RP, name, b64(name.encode()))
    output(["fido2-cred", "-M", *switches, "-i", f"{name}.in", "-o", f"{name}.cred", token.path, kind], pins(switches))
    lines = open(f"{name}.cred").read().splitlines()
    if "-b" in switches:
        lines.pop()
    write(f"{name}.judged", *lines)
    judge = [switch for switch in switches if switch in ("-h", "-v")]
    told = output(["fido2-cred", "-V", *judge, "-i", f"{name}.judged", kind])
    id, pem = told.split("\n", 1)
    return Made(name, url(base64.b64decode(id)), pem)


def both_sign_in(made, kind, *wanted, judge=("-p",), get=(), ids=True):
    """Signs in with a credential by both, and fido2-assert -V verifies both."""
    allowed = ("--credential", made.id) if ids else ()
    document = keyfob("sign-in", "--rp", RP, *allowed, *wanted, pins=pins(judge))
    write(f"{made.name}.ours", *sign_in_lines(document))
    output(["fido2-assert", "-V", *judge, "-i", f"{made.name}.ours", made.key_file, kind])
    lines = [b64(sha256(b"sign in")), RP] + ([b64(bytes_of(made.id))] if ids else [])
    write(f"{made.name}.get", *lines)
    theirs = output(["fido2-assert", "-G", *get, "-i", f"{made.name}.get", token.path], pins(get)).splitlines()[:4]
    write(f"{made.name}.theirs", *theirs)
    output(["fido2-assert", "-V", *judge, "-i", f"{made.name}.theirs", made.key_file, kind])
    # The relying party's hash and the flags; the counter has counted on.
    data = [cbor.decode(base64.b64decode(lines[2])) for lines in (sign_in_lines(document), theirs)]
    equal(f"keyfob sign-in {' '.join(wanted)} and fido2-assert -G {' '.join(get)}", data[0][:33], data[1][:33])
    return document
