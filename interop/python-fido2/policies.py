"""The answers of the policies where versions 2.0 and 2.3 differ, as listed in docs/policies.md."""

from fido2.ctap import CtapError
from fido2.ctap2 import Ctap2, CredentialManagement
from fido2.ctap2.pin import ClientPin, PinProtocolV1
from fido2.utils import sha256
from runner import answers, check, equal

PIN = "1234"
CLIENT_DATA_HASH = bytes(32)
USER = {"id": b"user", "name": "user"}
ES256 = [{"type": "public-key", "alg": -7}]
ERR = CtapError.ERR
GET_PIN_RETRIES, GET_PIN_TOKEN = 1, 5


def answered(status, call):
    """The call must end with this status; with None it must succeed."""
    if status is None:
        call()
    else:
        with answers(status):
            call()


def of_each_policy(name):
    """Makes the function below it a check for each policy; it gets the key and `pick(strict, version_2_0)`."""

    def add(function):
        for index, policy in enumerate(("strict", "ctap2_0")):

            def run(key, index=index):
                function(Ctap2(key.plug_in()), lambda *statuses: statuses[index])

            check(f"{name}, policy {policy}", "--policy", policy)(run)

    return add


def register(ctap, rp_id="example.com", **members):
    return ctap.make_credential(CLIENT_DATA_HASH, {"id": rp_id, "name": "x"}, USER, ES256, **members)


def sign_in(ctap, **members):
    return ctap.get_assertion("example.com", CLIENT_DATA_HASH, **members)


def legacy_token(pin):
    """getPinToken, which the library sends only to keys without token permissions."""
    key_agreement, shared = pin._get_shared_secret()
    pin_hash_enc = pin.protocol.encrypt(shared, sha256(PIN.encode())[:16])
    response = pin.ctap.client_pin(1, GET_PIN_TOKEN, key_agreement=key_agreement, pin_hash_enc=pin_hash_enc)
    return pin.protocol.decrypt(shared, response[2])


@of_each_policy("an empty pinAuth, a pinAuth without a PIN, and options")
def _(ctap, pick):
    for call in (register, sign_in):
        answered(ERR.PIN_NOT_SET, lambda: call(ctap, pin_uv_param=b""))
    answered(pick(None, ERR.INVALID_OPTION), lambda: register(ctap, options={"up": True}))
    answered(pick(None, ERR.PIN_NOT_SET), lambda: register(ctap, pin_uv_param=bytes(16), pin_uv_protocol=1))
    pin = ClientPin(ctap, PinProtocolV1())
    pin.set_pin(PIN)
    answered(pick(ERR.PIN_AUTH_INVALID, ERR.NOT_ALLOWED), lambda: pin.set_pin(PIN))
    for call in (register, sign_in):
        answered(pick(ERR.PIN_INVALID, ERR.PIN_AUTH_INVALID), lambda: call(ctap, pin_uv_param=b""))
        param = {"pin_uv_param": bytes(16), "pin_uv_protocol": 9}
        answered(pick(ERR.INVALID_PARAMETER, ERR.PIN_AUTH_INVALID), lambda: call(ctap, **param))
    answered(pick(None, ERR.PUAT_REQUIRED), lambda: register(ctap))
    answered(pick(None, ERR.MISSING_PARAMETER), lambda: ctap.client_pin(None, GET_PIN_RETRIES))
    newest = ctap.get_info().versions[-1]
    equal(newest, pick("FIDO_2_3", "FIDO_2_0"))


@of_each_policy("the life of a token")
def _(ctap, pick):
    pin = ClientPin(ctap, PinProtocolV1())
    pin.set_pin(PIN)
    token = legacy_token(pin)
    proof = {"pin_uv_param": pin.protocol.authenticate(token, CLIENT_DATA_HASH), "pin_uv_protocol": 1}
    register(ctap, options={"rk": True}, **proof)
    again = pick(ERR.PIN_AUTH_INVALID, None)
    answered(again, lambda: register(ctap, rp_id="example.org", **proof))
    answered(again, lambda: sign_in(ctap, **proof))
    answered(again, lambda: CredentialManagement(ctap, pin.protocol, token).get_metadata())
    pin.get_pin_token(PIN, ClientPin.PERMISSION.GET_ASSERTION, "example.com")
    answered(ERR.PIN_AUTH_INVALID, lambda: sign_in(ctap, **proof))


@of_each_policy("salts of hmac-secret")
def _(ctap, pick):
    register(ctap, options={"rk": True})
    pin = ClientPin(ctap, PinProtocolV1())
    key_agreement, shared = pin._get_shared_secret()

    def ask(length, damage=0):
        salt_enc = pin.protocol.encrypt(shared, bytes(length))
        salt_auth = bytearray(pin.protocol.authenticate(shared, salt_enc))
        salt_auth[0] ^= damage
        return sign_in(ctap, extensions={"hmac-secret": {1: key_agreement, 2: salt_enc, 3: bytes(salt_auth)}})

    for length in (32, 64):
        ask(length)
    for length in (16, 80):
        answered(pick(ERR.INVALID_PARAMETER, ERR.INVALID_LENGTH), lambda: ask(length))
    answered(pick(ERR.PIN_AUTH_INVALID, ERR.EXTENSION_FIRST), lambda: ask(32, damage=1))
