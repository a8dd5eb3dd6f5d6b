"""Registering and signing in: every combination, verified by the library's own relying party."""

import pathlib
import warnings
from itertools import product

from fido2.attestation import Attestation, AttestationType, InvalidData, verify_x509_chain
from fido2.client import ClientError, PinRequiredError
from fido2.cose import ES256, EdDSA
from fido2.ctap import CtapError
from fido2.ctap2 import Ctap2
from fido2.ctap2.pin import ClientPin, PinProtocolV1, PinProtocolV2
from fido2.server import Fido2Server
from fido2.webauthn import PublicKeyCredentialParameters
from routes import RP, ThroughClient, ThroughCtap, User, authentication, client, registration
from runner import answers, check, client_fails, equal

PIN = "слон🔑1234"
ROOT = pathlib.Path(__file__).parents[2] / "soft-authenticator/src/devices/attestation/root.der"
ATTESTATIONS = {
    "own": ("packed", AttestationType.SELF),
    "certified": ("packed", AttestationType.BASIC),
    "none": ("none", AttestationType.NONE),
}


def account(number):
    return {"id": b"user %d" % number, "name": f"user{number}@example.com", "displayName": f"User {number}"}


def descriptor(credential_id):
    return {"type": "public-key", "id": credential_id}


def relying_party(attestation, *algorithms):
    """The library's relying party, which requires this kind of attestation."""

    def verify_attestation(attestation_object, client_data_hash):
        fmt, kind = ATTESTATIONS[attestation]
        if attestation_object.fmt != fmt:
            raise InvalidData(f"format {attestation_object.fmt}")
        verifier = Attestation.for_type(fmt)()
        result = verifier.verify(attestation_object.att_stmt, attestation_object.auth_data, client_data_hash)
        equal(result.attestation_type, kind)
        if kind == AttestationType.BASIC:
            verify_x509_chain([*result.trust_path, ROOT.read_bytes()])

    server = Fido2Server(RP, attestation="direct", verify_attestation=verify_attestation)
    server.allowed_algorithms = [PublicKeyCredentialParameters(type="public-key", alg=each) for each in algorithms]
    return server


def flips(data):
    """One bit flipped in every byte, one after another."""
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        yield bytes(flipped)


def refused(verify, *parts):
    """Fails unless the relying party refuses these parts, for any reason."""
    try:
        verify(*parts)
    except Exception:  # noqa: BLE001 - the same parts were accepted without the flipped bit a moment ago
        return
    raise AssertionError(f"accepted with a flipped bit: {parts}")


def refuses_flipped_registrations(server, state, response):
    client_data, made = response.response.client_data, response.response.attestation_object
    fmt, auth_data, statement = made.fmt, made.auth_data, made.att_stmt

    def verify(client_data, auth_data, statement):
        client_data = type(response.response.client_data)(client_data)
        server.register_complete(state, registration(client_data, fmt, auth_data, statement))

    verify(client_data, auth_data, statement)
    if fmt == "none":
        # Nothing is signed. The relying party compares the RP ID's hash and the flags UP and UV in authData; type,
        # challenge and origin in the client data; and the empty statement.
        for flipped in flips(auth_data[:32]):
            refused(verify, client_data, flipped + auth_data[32:], statement)
        flags = [1] + [4] * (state["user_verification"] == "required")
        for flag in flags:
            flipped = bytes([auth_data[32] ^ flag])
            refused(verify, client_data, auth_data[:32] + flipped + auth_data[33:], statement)
        for member in (b'"type":"', b'"challenge":"', b'"origin":"'):
            at = client_data.index(member) + len(member)
            flipped = client_data[:at] + bytes([client_data[at] ^ 1]) + client_data[at + 1 :]
            refused(verify, flipped, auth_data, statement)
        refused(verify, client_data, auth_data, {"sig": b""})
        return
    for flipped in flips(client_data):
        refused(verify, flipped, auth_data, statement)
    for flipped in flips(auth_data):
        refused(verify, client_data, flipped, statement)
    for flipped in flips(statement["sig"]):
        refused(verify, client_data, auth_data, {**statement, "sig": flipped})


@check("the virtual key's root signed the certificate, and any flipped bit is refused", "--attestation", "certified")
def _(key):
    server = relying_party("certified", ES256.ALGORITHM)
    made, state, response = register(server, ThroughClient(key.plug_in(), None), account(1))
    client_data, statement = response.response.client_data, response.response.attestation_object.att_stmt

    def verify(chain):
        server.register_complete(state, registration(client_data, "packed", made, {**statement, "x5c": chain}))

    [certificate] = statement["x5c"]
    verify([certificate])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some flips make a number that only the certificate parser minds
        for flipped in flips(certificate):
            refused(verify, [flipped])


def refuses_flipped_assertions(server, state, credential, response):
    parts = response.response.client_data, response.response.authenticator_data, response.response.signature

    def verify(client_data, auth_data, signature):
        client_data = type(response.response.client_data)(client_data)
        server.authenticate_complete(
            state, [credential], authentication(response.raw_id, client_data, auth_data, signature)
        )

    verify(*parts)
    for index, part in enumerate(parts):
        for flipped in flips(part):
            refused(verify, *parts[:index], flipped, *parts[index + 1 :])


def register(server, route, user, resident_key="required", verification="discouraged"):
    options, state = server.register_begin(
        user, resident_key_requirement=resident_key, user_verification=verification
    )
    response = route.register(options)
    return server.register_complete(state, response), state, response


def ceremony(attestation, algorithm, discoverable, pin, protocol):
    def run(key):
        device = key.plug_in()
        if pin:
            ClientPin(Ctap2(device), protocol).set_pin(pin)
        # "preferred" is not checked, because the library refuses it on a key without a PIN.
        verification = "required" if pin else "discouraged"
        # Without a PIN the protocol does not matter, and with protocol two the library's client negotiates it itself.
        v1 = protocol and protocol.VERSION == 1
        route = ThroughCtap(device, pin, protocol) if v1 else ThroughClient(device, pin)
        server = relying_party(attestation, algorithm)

        resident_key = "required" if discoverable else "discouraged"
        auth_data, state, response = register(server, route, account(1), resident_key, verification)
        equal(auth_data.is_user_verified(), pin is not None)
        equal(auth_data.credential_data.aaguid, Ctap2(device).info.aaguid)
        equal(auth_data.credential_data.public_key[3], algorithm)
        refuses_flipped_registrations(server, state, response)

        # A discoverable credential is found with and without a list of credentials.
        credential = auth_data.credential_data
        count = auth_data.counter
        for allowed in [[credential], None] if discoverable else [[credential]]:
            options, state = server.authenticate_begin(allowed, verification)
            [response] = route.sign_in(options)
            server.authenticate_complete(state, [credential], response)
            assertion = response.response
            equal(assertion.authenticator_data.is_user_verified(), pin is not None)
            equal(assertion.user_handle, account(1)["id"] if discoverable else None)
            if assertion.authenticator_data.counter <= count:
                raise AssertionError(f"counter {assertion.authenticator_data.counter} after {count}")
            count = assertion.authenticator_data.counter
        refuses_flipped_assertions(server, state, credential, response)

    return run


for _attestation, _algorithm, _discoverable, (_pin, _protocol) in product(
    ATTESTATIONS, (ES256, EdDSA), (True, False), ((None, None), (PIN, PinProtocolV1()), (PIN, PinProtocolV2()))
):
    check(
        f"register, sign in, refuse flipped bits: {_algorithm.__name__}, attestation {_attestation}, "
        f"{'' if _discoverable else 'not '}discoverable, "
        + (f"PIN with protocol {_protocol.VERSION}" if _pin else "no PIN"),
        "--attestation",
        _attestation,
    )(ceremony(_attestation, _algorithm.ALGORITHM, _discoverable, _pin, _protocol))


@check("an excluded credential makes the key ineligible, also in a list that takes two requests")
def _(key):
    device = key.plug_in()
    server = relying_party("own", ES256.ALGORITHM)
    foreign = [descriptor(bytes([number]) * 32) for number in range(70)]
    for pin in (None, PIN):
        if pin:
            ClientPin(Ctap2(device)).set_pin(pin)
        for resident_key in ("required", "discouraged"):
            route = ThroughClient(device, pin)
            made, _, _ = register(server, route, account(1), resident_key)
            own = descriptor(made.credential_data.credential_id)
            for excluded in ([own], [*foreign, own]):
                options, _ = server.register_begin(account(2), excluded, user_verification="discouraged")
                with client_fails(ClientError.ERR.DEVICE_INELIGIBLE, CtapError.ERR.CREDENTIAL_EXCLUDED):
                    route.register(options)
            options, _ = server.register_begin(account(2), foreign, user_verification="discouraged")
            route.register(options)


@check("without a credential for the relying party the key is ineligible")
def _(key):
    device = key.plug_in()
    server = relying_party("own", ES256.ALGORITHM)
    route = ThroughClient(device, None)
    for allowed in (None, [descriptor(bytes(32))]):
        options, _ = server.authenticate_begin(allowed, "discouraged")
        with client_fails(ClientError.ERR.DEVICE_INELIGIBLE, CtapError.ERR.NO_CREDENTIALS):
            route.sign_in(options)


@check("a list longer than the key's limit is refused")
def _(key):
    ctap = Ctap2(key.plug_in())
    too_many = [descriptor(bytes([number]) * 16) for number in range(ctap.info.max_creds_in_list + 1)]
    with answers(CtapError.ERR.LIMIT_EXCEEDED):
        ctap.get_assertion(RP["id"], bytes(32), too_many)


@check("several accounts give several assertions, the newest first, through getNextAssertion")
def _(key):
    device = key.plug_in()
    server = relying_party("own", ES256.ALGORITHM, EdDSA.ALGORITHM)
    route = ThroughClient(device, None)
    credentials = [register(server, route, account(each))[0].credential_data for each in (1, 2, 3)]

    def sign_in(pin):
        options, state = server.authenticate_begin(None, "required" if pin else "discouraged")
        selection = client(device, User(pin)).get_assertion(options.public_key)
        responses = [selection.get_response(index) for index in range(3)]
        verified = [server.authenticate_complete(state, credentials, response) for response in responses]
        equal(verified, credentials[::-1])
        return selection.get_assertions()

    assertions = sign_in(None)
    equal([entry.number_of_credentials for entry in assertions], [3, None, None])
    # Names are returned only to verified users.
    equal([dict(entry.user) for entry in assertions], [{"id": account(each)["id"]} for each in (3, 2, 1)])
    ClientPin(Ctap2(device)).set_pin(PIN)
    equal([dict(entry.user) for entry in sign_in(PIN)], [account(each) for each in (3, 2, 1)])

    with answers(CtapError.ERR.NOT_ALLOWED):
        Ctap2(device).get_next_assertion()


@check("registering an account again replaces its discoverable credential")
def _(key):
    device = key.plug_in()
    server = relying_party("own", ES256.ALGORITHM)
    route = ThroughClient(device, None)
    old, new = (register(server, route, account(1))[0].credential_data for _ in range(2))
    options, state = server.authenticate_begin(None, "discouraged")
    [response] = route.sign_in(options)
    equal(server.authenticate_complete(state, [old, new], response), new)


@check("an algorithm that the key does not have is unsupported, an unknown one in the list is skipped")
def _(key):
    device = key.plug_in()
    route = ThroughClient(device, None)
    unknown = -65000
    options, _ = relying_party("own", unknown).register_begin(account(1), user_verification="discouraged")
    with client_fails(ClientError.ERR.CONFIGURATION_UNSUPPORTED, CtapError.ERR.UNSUPPORTED_ALGORITHM):
        route.register(options)
    made, _, _ = register(relying_party("own", unknown, EdDSA.ALGORITHM, ES256.ALGORITHM), route, account(1))
    equal(made.credential_data.public_key[3], EdDSA.ALGORITHM)


@check("with a PIN set, only a non-discoverable credential can be registered without it")
def _(key):
    device = key.plug_in()
    server = relying_party("own", ES256.ALGORITHM)
    ClientPin(Ctap2(device)).set_pin(PIN)
    no_pin = ThroughClient(device, None)
    made, _, _ = register(server, no_pin, account(1), "discouraged", "discouraged")
    equal(made.is_user_verified(), False)
    for resident_key, verification in (("required", "discouraged"), ("discouraged", "required")):
        try:
            register(server, no_pin, account(1), resident_key, verification)
        except PinRequiredError:
            continue
        raise AssertionError(f"registered without the PIN: {resident_key}, {verification}")


@check("a wrong PIN reaches the client as such, and the third in a row as a block")
def _(key):
    device = key.plug_in()
    ClientPin(Ctap2(device)).set_pin(PIN)
    options, _ = relying_party("own", ES256.ALGORITHM).register_begin(account(1), user_verification="required")
    for status in ("PIN_INVALID", "PIN_INVALID", "PIN_AUTH_BLOCKED"):
        with client_fails(ClientError.ERR.BAD_REQUEST, CtapError.ERR[status]):
            ThroughClient(device, "wrong-1234").register(options)
    ThroughClient(key.plug_in(), PIN).register(options)
