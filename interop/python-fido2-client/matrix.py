"""All ceremonies that both clients perform: options, and the state of the key."""

import itertools
import json

from clients import for_python
from fido2.client import DefaultClientDataCollector, Fido2Client
from fido2.ctap2 import Config, Ctap2
from fido2.ctap2.pin import ClientPin
from fido2.utils import websafe_encode
from routes import ORIGIN, RP, User
from tcp_connection import open_device

PIN = "1234"
ES256 = {"type": "public-key", "alg": -7}
CHALLENGE = websafe_encode(bytes(range(32)))
FOREIGN = bytes(range(64))
REQUIREMENTS = ("discouraged", "preferred", "required")
SALT = websafe_encode(bytes([0x22]) * 32)
U2F = "u2f_only"
PROFILES = ("fido2_3_full", "yubikey5_like", "minimal_2_0")


class Case:
    """`serve` are options of the key, `pin` is its PIN or None, `lists` how many credentials of the key and how many
    others the options name."""

    def __init__(self, name, ceremony, options, pin=None, serve=(), lists=(0, 0), extras=None):
        self.name, self.ceremony, self.options, self.pin = name, ceremony, options, pin
        self.serve, self.lists, self.extras = serve, lists, extras or {}
        self.origin = self.extras.get("origin", ORIGIN)
        self.enterprise = self.extras.get("enterprise")

    def is_full(self):
        """Whether the key evaluates secrets in a registration, for one thing."""
        return "fido2_3_full" in self.serve

    def is_u2f(self):
        return U2F in self.serve

    def prepare(self, address):
        """Gives a fresh key its PIN and its credentials, and returns the options that name them, and the ids."""
        device = open_device(*address)
        try:
            if self.pin:
                ClientPin(Ctap2(device)).set_pin(self.pin)
            if "--enterprise" in self.serve:
                enable_enterprise_attestation(Ctap2(device), self.pin)
            owned, foreign = self.lists
            ids = [self._register(device, index) for index in range(max(owned, self.ceremony == "get"))][:owned]
        finally:
            device.close()
        others = [bytes([index]) + FOREIGN for index in range(foreign)]
        # The key's credentials are not the first in the list.
        listed = [{"type": "public-key", "id": websafe_encode(id), **self.extras.get("descriptor", {})}
                  for id in others + ids]
        options = json.loads(json.dumps(self.options).replace("FIRST_ID", websafe_encode(ids[0]) if ids else ""))
        if listed:
            options["excludeCredentials" if self.ceremony == "create" else "allowCredentials"] = listed
        return options, ids

    def _register(self, device, index):
        client = Fido2Client(
            device, DefaultClientDataCollector(ORIGIN), user_interaction=User(self.pin), extensions=self.extras["with"]
        )
        discoverable = "discouraged" if U2F in self.serve else "required"
        selection = {"residentKey": discoverable, "userVerification": "required" if self.pin else "discouraged"}
        options = creation(selection, self.extras.get("registered", {}))
        options["user"]["id"] = websafe_encode(b"user %d" % index)
        return client.make_credential(for_python(options)).raw_id


def enable_enterprise_attestation(ctap, pin):
    permission, client_pin = ClientPin.PERMISSION.AUTHENTICATOR_CFG, ClientPin(ctap)
    token = client_pin.get_pin_token(pin, permission)
    Config(ctap, client_pin.protocol, token).enable_enterprise_attestation()


def creation(selection, extensions=None):
    options = {
        "rp": RP,
        "user": {"id": websafe_encode(b"user"), "name": "alice", "displayName": "Alice"},
        "challenge": CHALLENGE,
        "pubKeyCredParams": [ES256],
        "authenticatorSelection": selection,
    }
    return {**options, "extensions": extensions} if extensions else options


def request(verification, extensions=None):
    options = {"challenge": CHALLENGE, "rpId": RP["id"], "userVerification": verification}
    return {**options, "extensions": extensions} if extensions else options


# The extension inputs of a registration, as JSON values.
MAKE = {
    "credProps": {"credProps": True},
    "prf": {"prf": {}},
    "prf, evaluated": {"prf": {"eval": {"first": "AQ", "second": "Ag"}}},
    "hmacCreateSecret": {"hmacCreateSecret": True},
    "hmacGetSecret": {"hmacCreateSecret": True, "hmacGetSecret": {"salt1": SALT}},
    "credProtect 2": {"credentialProtectionPolicy": "userVerificationOptionalWithCredentialIDList"},
    "credProtect 3, enforced": {
        "credentialProtectionPolicy": "userVerificationRequired",
        "enforceCredentialProtectionPolicy": True,
    },
    "credBlob": {"credBlob": "AQID"},
    "credBlob, too long": {"credBlob": "A" * 200},
    "largeBlob, preferred": {"largeBlob": {"support": "preferred"}},
    "largeBlob, required": {"largeBlob": {"support": "required"}},
    "minPinLength": {"minPinLength": True},
    "pinComplexityPolicy": {"pinComplexityPolicy": True},
    "payment": {"payment": {"isPayment": True}},
    "all": {
        "credProps": True,
        "prf": {},
        "credentialProtectionPolicy": "userVerificationOptional",
        "credBlob": "AQID",
        "minPinLength": True,
    },
}
# The extension inputs of a sign-in with one credential of the key.
GET = {
    "prf": {"prf": {"eval": {"first": "AQ"}}},
    "prf, two": {"prf": {"eval": {"first": "AQ", "second": "Ag"}}},
    "prf, by credential": {"prf": {"eval": {"first": "AQ"}, "evalByCredential": {"FIRST_ID": {"first": "Ag"}}}},
    "hmacGetSecret": {"hmacGetSecret": {"salt1": SALT, "salt2": SALT}},
    "getCredBlob": {"getCredBlob": True},
    "largeBlob, read": {"largeBlob": {"read": True}},
    "largeBlob, write": {"largeBlob": {"write": "AQID"}},
    "payment": {"payment": {"isPayment": True}},
}
REGISTERED = {"prf": {}, "largeBlob": {"support": "required"}, "credBlob": "AQID"}


def cases(extensions):
    """All ceremonies. `extensions` are the extension objects for python-fido2."""
    plain = {"with": extensions}
    for serve, pin in itertools.product(PROFILES, (None, PIN)):
        on = ("--profile", serve)
        state = f"{serve}, {'PIN' if pin else 'no PIN'}"
        for rk, uv in itertools.product(REQUIREMENTS, REQUIREMENTS):
            selection = {"residentKey": rk, "userVerification": uv}
            yield Case(f"create: {state}, rk {rk}, uv {uv}", "create", creation(selection), pin, on, extras=plain)
        for uv, lists in itertools.product(REQUIREMENTS, ((0, 0), (1, 0), (0, 1), (1, 2))):
            name = f"get: {state}, uv {uv}, allow {lists}"
            yield Case(name, "get", request(uv), pin, on, lists, extras=plain)
        for lists in ((0, 1), (1, 0), (1, 2)):
            selection = {"residentKey": "discouraged", "userVerification": "discouraged"}
            name = f"create: {state}, exclude {lists}"
            yield Case(name, "create", creation(selection), pin, on, lists, extras=plain)
    for serve, pin in itertools.product(("fido2_3_full", "yubikey5_like"), (None, PIN)):
        on = ("--profile", serve)
        state = f"{serve}, {'PIN' if pin else 'no PIN'}"
        for name, inputs in MAKE.items():
            selection = {"residentKey": "required", "userVerification": "required" if pin else "discouraged"}
            options = creation(selection, inputs)
            yield Case(f"create: {state}, {name}", "create", options, pin, on, extras=plain)
        registered = REGISTERED if serve == "fido2_3_full" else {"prf": {}}
        for name, inputs in GET.items():
            options = request("required" if pin else "discouraged", inputs)
            extras = {**plain, "registered": registered}
            yield Case(f"get: {state}, {name}", "get", options, pin, on, (1, 0), extras)
    on = ("--profile", U2F)
    for rk, uv in itertools.product(REQUIREMENTS, REQUIREMENTS):
        selection = {"residentKey": rk, "userVerification": uv}
        yield Case(f"create: {U2F}, rk {rk}, uv {uv}", "create", creation(selection), None, on, extras=plain)
    for lists in ((0, 1), (1, 0), (1, 2)):
        selection = {"residentKey": "discouraged", "userVerification": "discouraged"}
        yield Case(f"create: {U2F}, exclude {lists}", "create", creation(selection), None, on, lists, extras=plain)
        yield Case(f"get: {U2F}, allow {lists}", "get", request("preferred"), None, on, lists, extras=plain)
    yield Case(f"get: {U2F}, any", "get", request("preferred"), None, on, extras=plain)
    transports = {**plain, "descriptor": {"transports": ["usb", "nfc"]}}
    on = ("--profile", "fido2_3_full")
    yield Case("get: transports", "get", request("discouraged"), None, on, (1, 0), transports)
    derived = request("discouraged")
    del derived["rpId"]
    yield Case("get: no RP ID", "get", derived, None, on, extras=plain)
    derived = creation({"residentKey": "required", "userVerification": "discouraged"})
    derived["rp"] = {"name": RP["name"]}
    yield Case("create: no RP ID", "create", derived, None, on, extras=plain)
    yield Case("create: many excluded", "create", creation({}), PIN, on, (2, 20), extras=plain)
    yield Case("get: many allowed", "get", request("required"), PIN, on, (2, 20), extras=plain)
    for uv, pin in itertools.product(("auto", "mismatch"), (None, PIN)):
        on = ("--profile", "fido2_3_full", "--uv", uv)
        state = f"a sensor, {uv}, {'PIN' if pin else 'no PIN'}"
        for requirement in REQUIREMENTS:
            selection = {"residentKey": "required", "userVerification": requirement}
            yield Case(f"create: {state}, uv {requirement}", "create", creation(selection), pin, on, extras=plain)
            yield Case(f"get: {state}, uv {requirement}", "get", request(requirement), pin, on, extras=plain)
    attested = {**creation({"userVerification": "discouraged"}), "attestation": "enterprise"}
    for ids in (None, [RP["id"]], ["example.org"]):
        on = ("--profile", "fido2_3_full", "--enterprise", RP["id"])
        extras = {**plain, "enterprise": ids}
        yield Case(f"create: enterprise, for {ids or 'all'}", "create", attested, PIN, on, extras=extras)
    on = ("--profile", "fido2_3_full")
    yield Case("create: enterprise, not capable", "create", attested, None, on, extras=plain)
    for origin in ("https://example.com:8443", "https://login.example.com", "https://example.org", "http://example.com",
                   "https://badexample.com", "http://localhost"):
        extras = {**plain, "origin": origin}
        selection = {"userVerification": "discouraged"}
        yield Case(f"create: from {origin}", "create", creation(selection), None, on, extras=extras)
        yield Case(f"get: from {origin}", "get", request("discouraged"), None, on, extras=extras)
    on = ("--profile", "fido2_3_full", "--touch", "deny")
    yield Case("create: no touch", "create", creation({"userVerification": "discouraged"}), None, on, extras=plain)
