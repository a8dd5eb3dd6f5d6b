"""Registrations and sign-ins with a virtual key for the verifiers, and the bits to flip in them."""

import json
import pathlib
import re
import secrets
import subprocess
import time

from fido2 import cbor
from fido2.cose import CoseKey
from fido2.ctap1 import APDU, ApduError, Ctap1
from fido2.ctap2 import AssertionResponse, Config, Ctap2
from fido2.ctap2.pin import ClientPin
from fido2.server import Fido2Server
from fido2.utils import sha256, websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject, CollectedClientData, PublicKeyCredentialParameters
from routes import ORIGIN, RP, ThroughClient, authentication, registration
from virtual_key import VirtualKey

PIN = "a1b2c3d4"
CERTIFICATES = pathlib.Path(__file__).parents[2] / "soft-authenticator/src/devices/attestation"
ROOT = CERTIFICATES / "root.der"
# Bytes. Divisible by 3, so that base64url has no unused bit, which could be flipped without changing the challenge.
CHALLENGE = 33
# Algorithms whose signatures are DER, a sequence of two integers: ES256, ES384, ES512, ES256K, ESP256, ESP384, ESP512.
ECDSA = {-7, -35, -36, -47, -9, -51, -52}
IN_DER_HEADS = ", DER heads"
# In values of more than LONG bytes, keys and signatures of ML-DSA, a bit is flipped only in every STEP-th byte. STEP is
# odd, so that each of the eight bits is used.
LONG, STEP = 1024, 13


def attestations(keyfob):
    """The values of `keyfob serve --attestation`."""
    usage = subprocess.run([keyfob, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    _, _, usage = usage.partition("--attestation")
    # A value's words may go on in a second line.
    listed = re.search(r"Possible values:\n((?: +\S.*\n)+)", usage)
    values = re.findall(r"^ +- ([\w-]+):", listed[1], re.MULTILINE) if listed else []
    if not {"own", "certified", "none"} <= set(values):
        raise RuntimeError(f"cannot read from --help what attestations there are: {values}")
    return values


def cases(keyfob, every_bit, serve):
    """One case for each attestation and algorithm, one for enterprise attestation, and one for U2F if the key supports
    it."""
    options = {attestation: ["--attestation", attestation] for attestation in attestations(keyfob)}
    if not any(option.startswith("--profile") for option in serve):
        options["enterprise"] = ["--enterprise", RP["id"]]
    for attestation, chosen in options.items():
        with VirtualKey(keyfob, *chosen, *serve) as key:
            device = key.plug_in()
            info = Ctap2(device).info
            if "U2F_V2" in info.versions and attestation == "certified":
                yield case("ES256", "U2F", every_bit, False, ThroughU2f(device), -7)
            verified = "clientPin" in info.options
            if verified:
                ClientPin(Ctap2(device)).set_pin(PIN)
            if attestation == "enterprise":
                enable_enterprise_attestation(Ctap2(device))
            route = ThroughClient(device, PIN if verified else None)
            for entry in info.algorithms:
                # U2F has only ES256; for enterprise attestation, one algorithm is enough.
                if attestation in ("fido-u2f", "enterprise") and entry["alg"] != -7:
                    continue
                name = CoseKey.for_alg(entry["alg"]).__name__
                name = f"COSE {entry['alg']}" if name == "UnsupportedKey" else name
                yield case(name, attestation, every_bit, verified, route, entry["alg"])


def enable_enterprise_attestation(ctap):
    pin = ClientPin(ctap)
    token = pin.get_pin_token(PIN, ClientPin.PERMISSION.AUTHENTICATOR_CFG)
    Config(ctap, pin.protocol, token).enable_enterprise_attestation()


def case(name, attestation, every_bit, verified, route, algorithm):
    enterprise = attestation == "enterprise"
    server = Fido2Server(RP, attestation="enterprise" if enterprise else "direct")
    server.allowed_algorithms = [PublicKeyCredentialParameters(type="public-key", alg=algorithm)]
    verification = "required" if verified else "discouraged"

    challenge = secrets.token_bytes(CHALLENGE)
    options, _ = server.register_begin(
        {"id": b"user", "name": "user@example.com"}, user_verification=verification, challenge=challenge
    )
    made = route.register(options)
    attestation_object = made.response.attestation_object
    credential = attestation_object.auth_data.credential_data
    if credential.public_key[3] != algorithm:
        raise RuntimeError(f"a key of algorithm {credential.public_key[3]} instead of {algorithm}")
    certificates = attestation_object.att_stmt.get("x5c", [])
    if enterprise != ((CERTIFICATES / "enterprise.der").read_bytes() in certificates):
        raise RuntimeError(f"the enterprise's certificate is {'not ' * enterprise}there")

    sign_in_challenge = secrets.token_bytes(CHALLENGE)
    options, _ = server.authenticate_begin([credential], verification, sign_in_challenge)
    [got] = route.sign_in(options)

    made, got = json.loads(json.dumps(dict(made), default=dict)), json.loads(json.dumps(dict(got), default=dict))
    return {
        "name": name,
        "algorithm": algorithm,
        "attestation": attestation,
        "format": attestation_object.fmt,
        "userVerified": verified,
        "registration": {"challenge": websafe_encode(challenge), "credential": made},
        "authentication": {"challenge": websafe_encode(sign_in_challenge), "credential": got},
        "flips": [*flips(algorithm, made["response"], got["response"], every_bit, verified)],
    }


def flips(algorithm, made, got, every_bit, verified):
    """The bits to flip: [ceremony, member of the response, byte, mask, part]."""

    def bits(ceremony, member, data, value, part, heads=(), allowed=0xFF):
        """The bits in the bytes of `value`, a part of `data`, which are the bytes of this member."""
        if data.count(value) != 1:
            raise RuntimeError(f"{part} is {data.count(value)} times in {member}")
        start = data.index(value)
        for place in range(0, len(value), 1 if every_bit or len(value) <= LONG else STEP):
            for bit in range(8) if every_bit else [place % 8]:
                mask = 1 << bit if allowed & 1 << bit else 1
                yield [ceremony, member, start + place, mask, part + IN_DER_HEADS * (place in heads)]

    client_data, attestation_object = (websafe_decode(made[each]) for each in ("clientDataJSON", "attestationObject"))
    decoded = cbor.decode(attestation_object)
    auth_data, statement = decoded["authData"], decoded["attStmt"]

    def in_client_data(value, allowed=0xFF):
        return bits("registration", "clientDataJSON", client_data, value, "clientDataJSON", allowed=allowed)

    def in_object(part, value, heads=()):
        return bits("registration", "attestationObject", attestation_object, value, part, heads)

    def flags(*flags):
        place = attestation_object.index(auth_data) + 32
        return [["registration", "attestationObject", place, flag, "authData"] for flag in flags]

    if decoded["fmt"] == "none":
        # Nothing is signed. A relying party compares type, challenge and origin, where upper and lower case are equal;
        # the RP ID's hash, UP and UV.
        parsed = json.loads(client_data)
        yield from in_client_data(parsed["type"].encode())
        yield from in_client_data(parsed["challenge"].encode())
        yield from in_client_data(parsed["origin"].encode(), allowed=0xDF)
        yield from in_object("authData", auth_data[:32])
        yield from flags(0x01, 0x04) if verified else flags(0x01)
    else:
        yield from in_client_data(client_data)
        if decoded["fmt"] == "fido-u2f":
            # Signed: the RP ID's hash, the credential id and the point. Compared: UP.
            length = int.from_bytes(auth_data[53:55], "big")
            key = cbor.decode(auth_data[55 + length :])
            for value in (auth_data[:32], auth_data[55 : 55 + length], key[-2], key[-3]):
                yield from in_object("authData", value)
            yield from flags(0x01)
        else:
            yield from in_object("authData", auth_data)
        signature = statement["sig"]
        der = statement.get("alg", -7) in ECDSA
        yield from in_object("attStmt.sig", signature, {*der_heads(signature)} if der else ())
        for certificate in statement.get("x5c", []):
            yield from in_object("attStmt.x5c", certificate, {*der_heads(certificate)})

    for member in ("clientDataJSON", "authenticatorData", "signature"):
        data = websafe_decode(got[member])
        der = member == "signature" and algorithm in ECDSA
        yield from bits("authentication", member, data, data, member, {*der_heads(data)} if der else ())


def der_heads(der, start=0, end=None):
    """The places of DER tags and lengths, and of the number of unused bits in a bit string."""
    end = len(der) if end is None else end
    while start < end:
        tag, length = der[start], der[start + 1]
        content = start + 2
        if length & 0x80:
            content += length & 0x7F
            length = int.from_bytes(der[start + 2 : content], "big")
        next_start = content + length
        bit_string = tag == 0x03
        content += bit_string
        yield from range(start, content)
        if tag & 0x20 or bit_string and der[content] == 0x30:
            yield from der_heads(der, content, next_start)
        start = next_start


class ThroughU2f:
    """Registers and signs in as a client does with a U2F-only key."""

    def __init__(self, device):
        self._ctap = Ctap1(device)
        self._app = sha256(RP["id"].encode())

    def register(self, options):
        challenge = options.public_key.challenge
        client_data = CollectedClientData.create(CollectedClientData.TYPE.CREATE, challenge, ORIGIN)
        made = self._touched(self._ctap.register, client_data.hash, self._app)
        made = AttestationObject.from_ctap1(self._app, made)
        return registration(client_data, made.fmt, made.auth_data, made.att_stmt)

    def sign_in(self, options):
        options = options.public_key
        client_data = CollectedClientData.create(CollectedClientData.TYPE.GET, options.challenge, ORIGIN)
        [allowed] = options.allow_credentials
        signed = self._touched(self._ctap.authenticate, client_data.hash, self._app, allowed.id)
        got = AssertionResponse.from_ctap1(self._app, {"type": "public-key", "id": allowed.id}, signed)
        return [authentication(allowed.id, client_data, got.auth_data, got.signature)]

    @staticmethod
    def _touched(command, *arguments):
        """Repeats a request for a few seconds until the key was touched."""
        for _ in range(50):
            try:
                return command(*arguments)
            except ApduError as error:
                if error.code != APDU.USE_NOT_SATISFIED:
                    raise
                time.sleep(0.1)
        raise RuntimeError("the key was not touched")
