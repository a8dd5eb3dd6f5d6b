"""The intended differences between our client and python-fido2. A number refers to a defect of python-fido2 in the
survey of clients; a difference without a number follows browsers.

A deviation rewrites python-fido2's messages to the messages that our client must send, so that every byte of ours is
checked. If our client requires user verification, python-fido2 gets options that require it.
"""

from fido2.client import ClientError
from fido2.rpid import verify_rp_id
from fido2.utils import websafe_decode
from routes import RP
from trace import GET, GET_AGREEMENT, GET_INFO, GET_RETRIES, MAKE, NO_CREDENTIALS, PIN, SELECTION, U2F, Exchange

U2F_VERSION = bytes.fromhex("000300000000000000")
U2F_TOUCH = bytes.fromhex("00010000000040") + bytes(64) + bytes(2)
U2F_AUTHENTICATE = 0x02
U2F_WRONG_DATA = bytes.fromhex("6a80")

INSTEAD, DEVIATIONS = {}, {}

# Statuses of a key that our client maps to another error code than python-fido2, which maps each to OTHER_ERROR. The
# reasons are in docs/fido2-client.md.
CODES = {
    0x05: ClientError.ERR.TIMEOUT,  # TIMEOUT
    0x16: ClientError.ERR.CONFIGURATION_UNSUPPORTED,  # UNSUPPORTED_EXTENSION
    0x3C: ClientError.ERR.BAD_REQUEST,  # UV_BLOCKED
    0x3F: ClientError.ERR.BAD_REQUEST,  # UV_INVALID
}


def instead(number, reason):
    """Registers a function that takes a case and its options and returns the options for python-fido2. If it does not
    apply, it returns the same options."""

    def add(function):
        INSTEAD[number] = (reason, function)
        return function

    return add


def requiring(case, options):
    """The same options, with user verification required."""
    if case.ceremony == "get":
        return {**options, "userVerification": "required"}
    selection = {**options["authenticatorSelection"], "userVerification": "required"}
    return {**options, "authenticatorSelection": selection}


def deviation(number, reason):
    """Registers a function that takes a list of exchanges, the case and its options, and returns a list of exchanges.
    If it does not apply, it returns the same list."""

    def add(function):
        DEVIATIONS[number] = (reason, function)
        return function

    return add


@instead("1", "the RP ID is also sent if it follows from the origin")
def _(case, options):
    return options if case.ceremony == "create" or "rpId" in options else {**options, "rpId": RP["id"]}


@instead("uv: accounts", "discoverable sign-ins and registrations verify the user if possible")
def _(case, options):
    discoverable = (
        "allowCredentials" not in options
        if case.ceremony == "get"
        else options["authenticatorSelection"].get("residentKey") in ("required", "preferred")
    )
    return requiring(case, options) if discoverable and case.pin else options


@instead("uv: prf", "secrets are evaluated only with user verification (w3c/webauthn#2337)")
def _(case, options):
    prf = options.get("extensions", {}).get("prf", {})
    evaluated = ("eval" in prf or "evalByCredential" in prf) and (case.ceremony == "get" or case.is_full())
    return requiring(case, options) if evaluated else options


@deviation("U2F", "getInfo is requested for any capabilities, and the U2F version before other U2F requests")
def _(said, case, options):
    return [Exchange(GET_INFO, {}), Exchange(U2F, U2F_VERSION), *said] if case.is_u2f() else said


@deviation("18", "U2F: ids are checked before a touch is requested; a touch is also requested if none is found")
def _(said, case, options):
    if not case.is_u2f() or case.ceremony == "create":
        return said
    rewritten, asked = [], set()
    for each in said:
        apdu = each.parameters
        if each.command != U2F or apdu[1] != U2F_AUTHENTICATE:
            rewritten.append(each)
            continue
        looked_for = apdu[:2] + b"\x07" + apdu[3:7] + bytes(32) + apdu[39:]
        if looked_for not in asked:
            asked.add(looked_for)
            rewritten.append(Exchange(U2F, looked_for))
        if each.answer != U2F_WRONG_DATA:
            rewritten.append(each)
    if asked and all(each.answer == U2F_WRONG_DATA for each in said if each.command == U2F and each.answer):
        rewritten += [Exchange(U2F, U2F_TOUCH)] * 2  # first without the touch, then with it
    return rewritten


@deviation("14", "one getInfo per ceremony")
def _(said, case, options):
    return said[:1] + [each for each in said[1:] if each.command != GET_INFO]


@deviation("agreement", "one key agreement per ceremony, for secrets and for the token")
def _(said, case, options):
    places = [place for place, each in enumerate(said) if each.is_pin(GET_AGREEMENT)]
    return [each for place, each in enumerate(said) if place not in places[:-1]]


@deviation("6", "the user sees the remaining attempts before a PIN is requested")
def _(said, case, options):
    rewritten = []
    for each, after in zip(said, [*said[1:], None]):
        if each.is_pin(GET_AGREEMENT) and after and after.is_pin(0x05, 0x09):
            rewritten.append(Exchange(PIN, {1: each.parameters[1], 2: GET_RETRIES}))
        rewritten.append(each)
    return rewritten


@deviation("7", "requests that cannot succeed are refused before they are sent")
def _(said, case, options):
    if any(each.command in (MAKE, GET, U2F) for each in said):
        return said
    return said[:1] if verify_rp_id(RP["id"], case.origin) else []


@deviation("13", "transports are not sent")
def _(said, case, options):
    rewritten = []
    for each in said:
        key = {MAKE: 5, GET: 3}.get(each.command)
        if key and key in each.parameters:
            each = each.with_parameters({key: list(map(bare, each.parameters[key]))})
        rewritten.append(each)
    return rewritten


def bare(descriptor):
    return {"id": descriptor["id"], "type": descriptor["type"]}


def listed(case, options):
    """The descriptors in the options as they are sent."""
    members = options.get("excludeCredentials" if case.ceremony == "create" else "allowCredentials", [])
    return [{"id": websafe_decode(each["id"]), "type": each["type"]} for each in members]


@deviation("probes", "a list that fits into one request is not probed; the touch comes before the answer that none matches")
def _(said, case, options):
    descriptors = listed(case, options)
    if case.is_u2f():
        return said
    if "evalByCredential" in options.get("extensions", {}).get("prf", {}):
        return said  # the input to evaluate depends on the credential
    if not descriptors or len(descriptors) > said[0].answer.get(7, 1):
        return said
    rewritten = []
    for each in said:
        if each.is_probe():
            continue
        if each.command == MAKE:
            each = each.with_parameters({5: descriptors})
        if each.command == GET:
            each = each.with_parameters({3: descriptors})
        rewritten.append(each)
    # This key answers without a touch. A key of version 2.0 asks for a touch itself.
    if rewritten[-1].status == NO_CREDENTIALS and "FIDO_2_1" in said[0].answer[1]:
        rewritten.append(Exchange(SELECTION, {}))
    return rewritten


def changed(case, options):
    """The options for python-fido2, and the deviations that were applied."""
    used = set()
    for number, (_, change) in INSTEAD.items():
        after = change(case, options)
        if after != options:
            used.add(number)
        options = after
    return options, used


def expected(said, case, options):
    """The messages that our client must send, and the deviations that were applied."""
    used = set()
    for number, (_, rewrite) in DEVIATIONS.items():
        rewritten = rewrite(said, case, options)
        if rewritten != said:
            used.add(number)
        said = rewritten
    return said, used
