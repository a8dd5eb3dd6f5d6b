"""The messages of a ceremony without their random parts.

The clients' keys are known, so everything that they encrypt is decrypted here, and every pinUvAuthParam is verified.
The rest does not depend on the key's randomness, which differs as soon as one client sends one message more than the
other.
"""

from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.cose import CoseKey
from fido2.ctap2.pin import PinProtocolV1, PinProtocolV2
from fido2.utils import sha256
from randomness import PLATFORM_KEY

MAKE, GET, GET_INFO, PIN, NEXT, SELECTION, LARGE_BLOBS = 0x01, 0x02, 0x04, 0x06, 0x08, 0x0B, 0x0C
GET_RETRIES, GET_AGREEMENT = 0x01, 0x02
TOKEN_SUBCOMMANDS = (0x05, 0x06, 0x09)
NO_CREDENTIALS = 0x2E
CTAPHID_CBOR = 0x10
U2F = "U2F"  # in place of a command, with an APDU in place of the parameters
PROVEN = b"proven"
PROTOCOLS = {1: PinProtocolV1(), 2: PinProtocolV2()}
# The members of pinUvAuthParam and pinUvAuthProtocol.
PROOF = {MAKE: (8, 9), GET: (6, 7), LARGE_BLOBS: (5, 6)}


class Exchange:
    """A command, its parameters without secrets, and the status of the answer."""

    def __init__(self, command, parameters, status=0, answer=None):
        self.command, self.parameters, self.status, self.answer = command, parameters, status, answer

    def with_parameters(self, changed):
        """This exchange with these parameters. Parameters that are None are removed."""
        parameters = {key: value for key, value in {**self.parameters, **changed}.items() if value is not None}
        return Exchange(self.command, parameters, self.status, self.answer)

    def __eq__(self, other):
        return self.bytes() == other.bytes()

    def bytes(self):
        if self.command == U2F:
            return self.parameters
        return bytes([self.command]) + (cbor.encode(self.parameters) if self.parameters else b"")

    def __repr__(self):
        if self.command == U2F:
            return f"U2F {self.parameters.hex()} -> {(self.answer or bytes())[-2:].hex()}"
        return f"{self.command:02x} {self.parameters}" + (f" -> {self.status:02x}" if self.status else "")

    def is_pin(self, *subcommands):
        return self.command == PIN and self.parameters[2] in subcommands

    def is_probe(self):
        return self.command == GET and self.parameters.get(5, {}).get("up") is False


class Reader:
    """Reads the recorded messages in order and derives the secrets that they establish."""

    def __init__(self, ids):
        self._ids = ids
        self._agreed, self._token = None, None

    def read(self, command, request, response):
        if command != CTAPHID_CBOR:
            return Exchange(U2F, self._without_ids(request), answer=response)
        command, parameters = request[0], cbor.decode(request[1:]) if request[1:] else {}
        if request != Exchange(command, parameters).bytes():
            raise AssertionError(f"{request.hex()} is not canonical")
        answer = cbor.decode(response[1:]) if response[1:] else {}
        if command == PIN:
            self._pin(parameters, answer)
        if command in (MAKE, GET):
            inputs = parameters.get(6 if command == MAKE else 4, {})
            for name in ("hmac-secret", "hmac-secret-mc"):
                if isinstance(inputs.get(name), dict):
                    self._salts(inputs[name])
        if command in PROOF:
            self._proof(command, parameters)
        return Exchange(command, parameters, response[0] if response else 0, answer)

    def _without_ids(self, request):
        """A key handle contains a private key, which is always random if AWS-LC makes it."""
        for number, id in enumerate(self._ids):
            request = request.replace(id, bytes([number]) * len(id))
        return request

    def _pin(self, parameters, response):
        protocol = PROTOCOLS[parameters[1]]
        if parameters[2] == GET_AGREEMENT:
            self._agreed = response[1]
        if 6 in parameters:
            parameters[6] = self._decrypted(protocol, parameters[3], parameters[6])
        if parameters[2] in TOKEN_SUBCOMMANDS and 2 in response:
            self._token = protocol.decrypt(self._shared(protocol, parameters[3]), response[2])

    def _salts(self, inputs):
        protocol = PROTOCOLS[inputs.get(4, 1)]
        shared = self._shared(protocol, inputs[1])
        if protocol.authenticate(shared, inputs[2]) != inputs[3]:
            raise AssertionError("the salts are not authenticated")
        inputs[2], inputs[3] = self._decrypted(protocol, inputs[1], inputs[2]), PROVEN

    def _proof(self, command, parameters):
        place, version = PROOF[command]
        if not parameters.get(place):  # an empty pinUvAuthParam asks for a touch
            return
        message = parameters[1 if command == MAKE else 2]
        if command == LARGE_BLOBS:
            offset = parameters[3].to_bytes(4, "little")
            message = b"\xff" * 32 + b"\x0c\x00" + offset + sha256(message)
        if PROTOCOLS[parameters[version]].authenticate(self._token, message) != parameters[place]:
            raise AssertionError("a command is not authenticated")
        parameters[place] = PROVEN

    def _decrypted(self, protocol, platform, data):
        iv = data[:16] if protocol.VERSION == 2 else b""
        return iv + protocol.decrypt(self._shared(protocol, platform), data)

    def _shared(self, protocol, platform):
        theirs = ec.EllipticCurvePublicNumbers(
            int.from_bytes(self._agreed[-2], "big"), int.from_bytes(self._agreed[-3], "big"), ec.SECP256R1()
        ).public_key()
        expected = CoseKey.for_alg(-7).from_cryptography_key(PLATFORM_KEY.public_key())
        if (platform[-2], platform[-3]) != (expected[-2], expected[-3]):
            raise AssertionError("another key than the one that is fixed")
        return protocol.kdf(PLATFORM_KEY.exchange(ec.ECDH(), theirs))


def read(exchanges, ids):
    """The messages to a key that has credentials with these ids."""
    reader = Reader(ids)
    return [reader.read(*exchange) for exchange in exchanges]
