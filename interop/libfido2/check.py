"""Checks that libfido2's tools verify our client's results, and refuse them with one bit flipped. Usage: check.py
KEYFOB CLIENT"""

import base64
import json
import subprocess
import sys
import tempfile
from hashlib import sha256

from fido2 import cbor
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject, AuthenticatorData
from routes import ORIGIN, RP
from virtual_key import VirtualKey

# The algorithms of libfido2, by the name of the type.
ALGORITHMS = {"es256": -7, "es384": -35, "eddsa": -8, "rs256": -257}
ATTESTATIONS = ("own", "certified")
# The lines of a registration in which a bit is flipped.
CLIENT_DATA_HASH, RP_ID, AUTH_DATA, SIGNATURE = 0, 1, 3, 5


def tool(name, type, lines, *files):
    """Whether a tool verifies these lines, and its output."""
    text = "".join(f"{line}\n" for line in lines)
    done = subprocess.run([name, "-V", *files, type], input=text, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout, done.stderr


def encoded(data):
    return base64.b64encode(data).decode()


def flipped(line):
    """A line of base64 with a flipped bit in the fourth byte from its end."""
    data = bytearray(base64.b64decode(line))
    data[-4] ^= 1
    return encoded(bytes(data))


def client(program, key, ceremony, options):
    command = [program, "{}:{}".format(*key.address), ceremony, ORIGIN]
    done = subprocess.run(command, input=json.dumps(options), capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def register(program, key, alg):
    options = {
        "rp": RP,
        "user": {"id": websafe_encode(b"user"), "name": "alice", "displayName": "Alice"},
        "challenge": websafe_encode(b"register" * 4),
        "pubKeyCredParams": [{"type": "public-key", "alg": alg}],
        "attestation": "direct",
        "authenticatorSelection": {"userVerification": "discouraged"},
    }
    response = client(program, key, "create", options)
    made = AttestationObject(websafe_decode(response["response"]["attestationObject"]))
    lines = [
        encoded(sha256(websafe_decode(response["response"]["clientDataJSON"])).digest()),
        RP["id"],
        made.fmt,
        encoded(cbor.encode(bytes(made.auth_data))),
        encoded(websafe_decode(response["rawId"])),
        encoded(made.att_stmt["sig"]),
        *map(encoded, made.att_stmt.get("x5c", [])),
    ]
    return response["id"], lines


def sign_in(program, key, id):
    options = {
        "challenge": websafe_encode(b"sign in!" * 4),
        "rpId": RP["id"],
        "allowCredentials": [{"type": "public-key", "id": id}],
        "userVerification": "discouraged",
    }
    response = client(program, key, "get", options)["response"]
    return [
        encoded(sha256(websafe_decode(response["clientDataJSON"])).digest()),
        RP["id"],
        encoded(cbor.encode(bytes(AuthenticatorData(websafe_decode(response["authenticatorData"]))))),
        encoded(websafe_decode(response["signature"])),
    ]


def judge(what, name, type, lines, places, *files):
    """Verifies the lines, and each of them with a bit flipped. Returns what the tool printed, and what went wrong."""
    verified, printed, error = tool(name, type, lines, *files)
    wrong = [] if verified else [f"{what} is not verified: {error.strip()}"]
    for place in places:
        other = [*lines]
        other[place] = "example.org" if place == RP_ID else flipped(lines[place])
        if tool(name, type, other, *files)[0]:
            wrong.append(f"{what} is verified with line {place + 1} changed")
    return printed, wrong


def main(keyfob, program):
    failed = 0
    for type, alg in ALGORITHMS.items():
        for attestation in ATTESTATIONS:
            with VirtualKey(keyfob, "--attestation", attestation) as key:
                try:
                    id, lines = register(program, key, alg)
                except subprocess.CalledProcessError as error:
                    if "NoCommonAlgorithm" not in error.stderr:
                        raise
                    print(f"skipped {type}: the key does not have it")
                    continue
                places = (CLIENT_DATA_HASH, RP_ID, AUTH_DATA, SIGNATURE)
                printed, wrong = judge("a registration", "fido2-cred", type, lines, places)
                with tempfile.NamedTemporaryFile("w", suffix=".pem") as public_key:
                    public_key.write(printed.split("\n", 1)[1] if printed else "")
                    public_key.flush()
                    signed = sign_in(program, key, id)
                    wrong += judge("a sign-in", "fido2-assert", type, signed, range(4), public_key.name)[1]
            failed += bool(wrong)
            print(f"{'FAILED' if wrong else 'ok':<7} {type}, attestation {attestation}", *wrong, sep="\n    ")
    return failed


sys.exit(1 if main(*sys.argv[1:]) else 0)
