"""The PIN, its retries and its tokens, with both protocols; reset."""

import time

from fido2.ctap import CtapError
from fido2.ctap2 import Ctap2
from fido2.ctap2.pin import ClientPin, PinProtocolV1, PinProtocolV2
from routes import RP
from runner import answers, check, equal

ES256 = [{"type": "public-key", "alg": -7}]
USER = {"id": b"user", "name": "user"}
# How many seconds after plugging in a reset is allowed: CTAP 2.3 §6.6.
RESET_WINDOW = 10

RIGHT, WRONG, NEW = "right-1234", "wrong-1234", "new-🔑-1234"


def with_both_protocols(name):
    """Makes the function below it a check for each protocol; it gets the key and `plug_in() -> ClientPin`."""

    def add(function):
        for protocol in (PinProtocolV1, PinProtocolV2):

            def run(key, protocol=protocol):
                function(lambda: ClientPin(Ctap2(key.plug_in()), protocol()))

            check(f"{name}, protocol {protocol.VERSION}")(run)

    return add


@with_both_protocols("PIN set, changed, and bounded in length")
def _(plug_in):
    pin = plug_in()
    equal(pin.ctap.info.options["clientPin"], False)
    with answers(CtapError.ERR.PIN_NOT_SET):
        pin.get_pin_token(RIGHT)
    with answers(CtapError.ERR.PIN_POLICY_VIOLATION):
        pin.set_pin("x" * 64)  # leaves no zero byte at the end of the 64
    with answers(CtapError.ERR.INVALID_PARAMETER):
        pin.set_pin("x" * 65)  # the library pads it to 80 bytes
    pin.set_pin("x" * 63)
    equal(pin.ctap.get_info().options["clientPin"], True)
    with answers(CtapError.ERR.PIN_AUTH_INVALID):
        pin.set_pin(RIGHT)
    with answers(CtapError.ERR.PIN_INVALID):
        pin.change_pin(WRONG, RIGHT)
    pin.change_pin("x" * 63, RIGHT)
    pin.change_pin(RIGHT, NEW)
    with answers(CtapError.ERR.PIN_INVALID):
        pin.get_pin_token(RIGHT)
    pin.get_pin_token(NEW)


@with_both_protocols("wrong PINs: retries go down, three in a row need a power cycle, eight a reset")
def _(plug_in):
    pin = plug_in()
    pin.set_pin(RIGHT)
    equal(pin.get_pin_retries(), (8, None))
    for left in (7, 6):
        with answers(CtapError.ERR.PIN_INVALID):
            pin.get_pin_token(WRONG)
        equal(pin.get_pin_retries(), (left, None))
    with answers(CtapError.ERR.PIN_AUTH_BLOCKED):
        pin.get_pin_token(WRONG)
    with answers(CtapError.ERR.PIN_AUTH_BLOCKED):
        pin.get_pin_token(RIGHT)
    equal(pin.get_pin_retries(), (5, True))

    pin = plug_in()
    equal(pin.get_pin_retries(), (5, None))
    pin.get_pin_token(RIGHT)
    equal(pin.get_pin_retries(), (8, None))

    wrong = ["PIN_INVALID", "PIN_INVALID", "PIN_AUTH_BLOCKED"] * 2 + ["PIN_INVALID", "PIN_BLOCKED"]
    for attempt, status in enumerate(wrong):
        if attempt % 3 == 0:
            pin = plug_in()
        with answers(CtapError.ERR[status]):
            pin.get_pin_token(WRONG)
    pin = plug_in()
    equal(pin.get_pin_retries()[0], 0)
    with answers(CtapError.ERR.PIN_BLOCKED):
        pin.get_pin_token(RIGHT)
    pin.ctap.reset()
    equal(pin.ctap.get_info().options["clientPin"], False)
    pin.set_pin(NEW)
    pin.get_pin_token(NEW)


@with_both_protocols("a token does what it was given for, and nothing after a power cycle")
def _(plug_in):
    pin = plug_in()
    pin.set_pin(RIGHT)
    make, get = ClientPin.PERMISSION.MAKE_CREDENTIAL, ClientPin.PERMISSION.GET_ASSERTION

    def register(token, rp=RP):
        param = pin.protocol.authenticate(token, bytes(32))
        return pin.ctap.make_credential(bytes(32), rp, USER, ES256, None, None, None, param, pin.protocol.VERSION)

    register(pin.get_pin_token(RIGHT))
    register(pin.get_pin_token(RIGHT, make, RP["id"]))
    for token in (
        pin.get_pin_token(RIGHT, get, RP["id"]),
        pin.get_pin_token(RIGHT, make, "example.org"),
        bytes(32),
    ):
        with answers(CtapError.ERR.PIN_AUTH_INVALID):
            register(token)
    token = pin.get_pin_token(RIGHT, make, RP["id"])
    register(token)
    # One touch uses up a token.
    with answers(CtapError.ERR.PIN_AUTH_INVALID):
        register(token)
    token = pin.get_pin_token(RIGHT, make, RP["id"])
    pin = plug_in()
    with answers(CtapError.ERR.PIN_AUTH_INVALID):
        register(token)
    # Without a token, a discoverable credential is refused.
    with answers(CtapError.ERR.PUAT_REQUIRED):
        pin.ctap.make_credential(bytes(32), RP, USER, ES256, options={"rk": True})


@check("reset erases everything, and only in the first seconds after plugging in")
def _(key):
    ctap = Ctap2(key.plug_in())
    plugged_in = time.monotonic()
    credential = ctap.make_credential(bytes(32), RP, USER, ES256, options={"rk": True}).auth_data.credential_data
    wrapped = ctap.make_credential(bytes(32), RP, USER, ES256).auth_data.credential_data
    ctap.get_assertion(RP["id"], bytes(32)).verify(bytes(32), credential.public_key)
    ClientPin(ctap).set_pin(RIGHT)
    ctap.reset()
    equal(ctap.get_info().options["clientPin"], False)
    for allowed in (None, [{"type": "public-key", "id": wrapped.credential_id}]):
        with answers(CtapError.ERR.NO_CREDENTIALS):
            ctap.get_assertion(RP["id"], bytes(32), allowed)
    time.sleep(plugged_in + RESET_WINDOW + 0.2 - time.monotonic())
    with answers(CtapError.ERR.NOT_ALLOWED):
        ctap.reset()
    Ctap2(key.plug_in()).reset()
