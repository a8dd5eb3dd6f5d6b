"""Where ours sends something else than python-fido2, on purpose. The numbers are those of python-fido2's defects in the
survey of clients; what has none is what browsers do.

A deviation rewrites what python-fido2 sent to what ours has to send, so that every byte of ours is accounted for. Where
ours insists on user verification, python-fido2 is told to.
"""

from fido2.utils import websafe_decode
from trace import GET, GET_AGREEMENT, GET_INFO, GET_RETRIES, MAKE, PIN, PUAT_REQUIRED, SELECTION, Exchange

INSTEAD, DEVIATIONS = {}, {}


def instead(number, reason):
    """Adds a function that says whether python-fido2 has to be told to require user verification."""

    def add(function):
        INSTEAD[number] = (reason, function)
        return function

    return add


def deviation(number, reason):
    """Adds a function from a list of exchanges, the case and its options to a list, the same one where it does not
    apply."""

    def add(function):
        DEVIATIONS[number] = (reason, function)
        return function

    return add


@instead("discoverable", "a sign-in with any account verifies the user where it can")
def _(case, options):
    return case.ceremony == "get" and "allowCredentials" not in options and case.pin


@instead("prf", "secrets are evaluated with user verification only (w3c/webauthn#2337)")
def _(case, options):
    prf = options.get("extensions", {}).get("prf", {})
    return "eval" in prf or "evalByCredential" in prf


@deviation("14", "one getInfo a ceremony")
def _(said, case, options):
    return said[:1] + [each for each in said[1:] if each.command != GET_INFO]


@deviation("6", "the user is told how many attempts are left before a PIN is asked for")
def _(said, case, options):
    rewritten = []
    for each, after in zip(said, [*said[1:], None]):
        if each.is_pin(GET_AGREEMENT) and after and after.is_pin(0x05, 0x09):
            rewritten.append(Exchange(PIN, {1: each.parameters[1], 2: GET_RETRIES}))
        rewritten.append(each)
    return rewritten


@deviation("7", "a command that must be refused without user verification is not tried without")
def _(said, case, options):
    refused = [place for place, each in enumerate(said) if each.command == MAKE and each.status == PUAT_REQUIRED]
    return said[:1] + said[refused[-1] + 1 :] if refused and refused[-1] + 1 < len(said) else said


def listed(case, options):
    """The descriptors of the options, as they go out."""
    members = options.get("excludeCredentials" if case.ceremony == "create" else "allowCredentials", [])
    return [{"id": websafe_decode(each["id"]), "type": each["type"]} for each in members]


@deviation("probes", "a list that fits into one request is not asked about beforehand")
def _(said, case, options):
    descriptors = listed(case, options)
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
    if case.ceremony == "get" and said[-1].status == 0x2E:
        rewritten.append(Exchange(SELECTION, {}))
    return rewritten


def required(case, options):
    """The options that python-fido2 is to be given, and the deviations that were used."""
    used = {number for number, (_, applies) in INSTEAD.items() if applies(case, options)}
    if not used:
        return options, used
    if case.ceremony == "get":
        return {**options, "userVerification": "required"}, used
    selection = {**options["authenticatorSelection"], "userVerification": "required"}
    return {**options, "authenticatorSelection": selection}, used


def expected(said, case, options):
    """What ours has to send, and the deviations that were used."""
    used = set()
    for number, (_, rewrite) in DEVIATIONS.items():
        rewritten = rewrite(said, case, options)
        if rewritten != said:
            used.add(number)
        said = rewritten
    return said, used
