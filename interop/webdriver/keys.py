"""Each command and each parameter of WebAuthn L3 §11, and what python-fido2's client, commands and relying party see of it.
largeBlob is the extension of CTAP 2.3, which python-fido2 does not have: check.py has it, with Chromium.

`keyfob webdriver` runs this below itself, so that python-fido2's own device for Linux finds the keys.
"""

import base64
import contextlib
import hashlib
import json
import os
import sys
import urllib.request

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.client import ClientError, DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.cose import ES256
from fido2.ctap import CtapError
from fido2.ctap1 import Ctap1
from fido2.ctap2 import ClientPin, CredentialManagement, Ctap2
from fido2.hid import CAPABILITY, CtapHidDevice
from fido2.server import Fido2Server
from fido2.webauthn import AttestedCredentialData

ADDRESS = os.environ["KEYFOB_WEBDRIVER"]
RP, ORIGIN = "example.org", "https://example.org"
told = set()


def check(what, holds, shown=""):
    print(f"{'ok' if holds else 'FAILED'}: {what}{'' if holds else f': {shown}'}", flush=True)
    if not holds:
        sys.exit(1)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "==")


def call(method, path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(ADDRESS + path, data, method=method)) as response:
        return json.load(response)["value"]


class Key:
    """A virtual authenticator, and python-fido2 with it."""

    def __init__(self, authenticator, device):
        self.path, self.device = f"{SESSION}/webauthn/authenticator/{authenticator}", device
        self.server, self.accounts = Fido2Server({"id": RP, "name": "Example"}, attestation="direct"), []

    def tell(self, method, path, body=None):
        told.add((method, path.split("/")[1], path.split("/")[-1] if path.endswith("/props") else ""))
        return call(method, self.path + path, body)

    def credentials(self):
        return self.tell("GET", "/credentials")

    def info(self):
        return Ctap2(self.device).info

    def client(self):
        return Fido2Client(self.device, DefaultClientDataCollector(ORIGIN), user_interaction=UserInteraction())

    def register(self, rk="discouraged", uv="preferred", extensions=None):
        user = {"id": b"user-0001", "name": "alice", "displayName": "Alice"}
        options, state = self.server.register_begin(user, resident_key_requirement=rk, user_verification=uv,
                                                    extensions=extensions)
        made = self.client().make_credential(options.public_key)
        data = self.server.register_complete(state, made)
        self.accounts.append(data.credential_data)
        return data, made.client_extension_results

    def sign_in(self, accounts=None, uv="discouraged", extensions=None):
        """The authenticator data and the extensions, when the relying party is content."""
        options, state = self.server.authenticate_begin(accounts, user_verification=uv, extensions=extensions)
        answer = self.client().get_assertion(options.public_key).get_response(0)
        self.server.authenticate_complete(state, self.accounts, answer)
        self.answer = answer
        return answer.response.authenticator_data, answer.client_extension_results

    def add(self, private=None, **members):
        """Adds a credential. The relying party knows its public key."""
        private = private or ec.generate_private_key(ec.SECP256R1())
        pkcs8 = private.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                                      serialization.NoEncryption())
        parameters = {"credentialId": b64(b"an id"), "isResidentCredential": True, "rpId": RP, "privateKey": b64(pkcs8),
                      "userHandle": b64(b"user-0002"), "signCount": 0, **members}
        self.tell("POST", "/credential", {name: value for name, value in parameters.items() if value is not None})
        public_key = ES256.from_cryptography_key(private.public_key())
        self.accounts.append(AttestedCredentialData.create(bytes(16), unb64(parameters["credentialId"]), public_key))
        return self.accounts[-1]


@contextlib.contextmanager
def key(protocol="ctap2_1", transport="usb", **configuration):
    """A key that is plugged in meanwhile, by default one that has and does everything but extensions."""
    if protocol != "ctap1/u2f":
        flags = ("hasResidentKey", "hasUserVerification", "isUserVerified")
        configuration = {**dict.fromkeys(flags, True), **configuration}
    parameters = {"protocol": protocol, "transport": transport, **configuration}
    authenticator = call("POST", f"{SESSION}/webauthn/authenticator", parameters)
    [device] = CtapHidDevice.list_devices()
    made = Key(authenticator, device)
    yield made
    device.close()
    call("DELETE", made.path)
    if devices := list(CtapHidDevice.list_devices()):
        check("a key that is removed is gone", False, devices)


def status(ceremony):
    """The status for which python-fido2 fails."""
    try:
        ceremony()
    except (ClientError, CtapError) as error:
        return getattr(error, "cause", error).code if isinstance(getattr(error, "cause", error), CtapError) else error.code
    return None


def flags(data):
    return {name for name in ("UP", "UV", "BE", "BS") if data.flags & data.FLAG[name]}


def manage(device):
    pin = ClientPin(Ctap2(device))
    return CredentialManagement(Ctap2(device), pin.protocol, pin.get_uv_token(ClientPin.PERMISSION.CREDENTIAL_MGMT))


def configurations():
    with key("ctap1/u2f") as u2f:
        check("protocol ctap1/u2f: U2F_V2, and no CTAP2", Ctap1(u2f.device).get_version() == "U2F_V2"
              and not u2f.device.capabilities & CAPABILITY.CBOR)
        u2f.register()
        check("and it registers and signs in", flags(u2f.sign_in(u2f.accounts)[0]) == {"UP"})
    with key("ctap2") as made:
        info = made.info()
        check("protocol ctap2", info.versions == ["FIDO_2_0"] and not info.options.get("credMgmt"), info)
    with key("ctap2_1", extensions=["credProtect", "prf"]) as made:
        info = made.info()
        check("protocol ctap2_1", "FIDO_2_1" in info.versions and info.options["credMgmt"], info)
    for transport in ("usb", "nfc", "ble", "smart-card", "hybrid", "internal"):
        with key(transport=transport) as made:
            check(f"transport {transport}: a USB key", made.info().transports == ["usb"])
    for flag in (True, False):
        with key(hasResidentKey=flag) as made:
            refused = status(lambda: made.register(rk="required"))
            check(f"hasResidentKey {flag}", made.info().options.get("rk", False) == flag and (refused is None) == flag, refused)
        with key(hasUserVerification=flag) as made:
            refused = status(lambda: made.register(uv="required"))
            check(f"hasUserVerification {flag}",
                  made.info().options.get("uv", False) == flag and (refused is None) == flag, refused)
        with key(isUserConsenting=flag, hasUserVerification=False) as made:
            refused = status(made.register)
            check(f"isUserConsenting {flag}", refused == (None if flag else CtapError.ERR.OPERATION_DENIED), refused)
        with key(isUserVerified=flag) as made:
            refused = status(lambda: made.register(uv="required"))
            check(f"isUserVerified {flag}", (refused is None) == flag, refused)
            made.tell("POST", "/uv", {"isUserVerified": not flag})
            refused = status(lambda: made.register(uv="required"))
            check(f"Set User Verified {not flag}", (refused is None) != flag, refused)
        for state in (True, False):
            with key(defaultBackupEligibility=flag, defaultBackupState=state) as made:
                expected = {name for name, is_set in (("UP", True), ("UV", True), ("BE", flag), ("BS", state)) if is_set}
                seen = flags(made.register(rk="required")[0]), flags(made.sign_in(uv="required")[0])
                check(f"defaultBackupEligibility {flag}, defaultBackupState {state}", seen == (expected, expected), seen)


def extensions():
    salt = {"prf": {"eval": {"first": b64(bytes(32))}}}
    for name in ("prf", "hmac-secret"):
        with key(extensions=[name]) as made:
            check(f"extensions {name}", made.info().extensions == ["hmac-secret"])
            made.register(extensions={"prf": {}})
            first, second = (made.sign_in(made.accounts, extensions=salt)[1]["prf"]["results"]["first"] for _ in "12")
            check("the same secret twice", first == second and len(first) >= 32, first)
    with key(extensions=["largeBlob"]) as made:
        check("extensions largeBlob", made.info().extensions == ["largeBlob"], made.info().extensions)
    with key(extensions=["credBlob"]) as made:
        check("extensions credBlob", made.info().extensions == ["credBlob", "credProtect"], made.info().extensions)
        made.register(rk="required", extensions={"credBlob": b"a small blob"})
        data = made.sign_in(made.accounts, extensions={"getCredBlob": True})[0]
        check("a small blob is kept", data.extensions["credBlob"] == b"a small blob", data.extensions)
    with key(extensions=["credProtect"]) as made:
        check("extensions credProtect", made.info().extensions == ["credProtect"])
        made.register(rk="required", extensions={"credentialProtectionPolicy": "userVerificationRequired"})
        made.tell("POST", "/uv", {"isUserVerified": False})
        refused = status(lambda: made.sign_in(made.accounts))
        check("a protected credential does not sign in without verification", refused is not None)
    with key() as made:
        check("without extensions there is none", not made.info().extensions, made.info().extensions)


def credentials():
    with key() as made:
        account = made.add(signCount=41, backupEligibility=True, userName="bob", userDisplayName="Bob")
        data = made.sign_in([account])[0]
        check("Add Credential: credentialId, privateKey, backupEligibility", (made.answer.raw_id, "BE" in flags(data))
              == (b"an id", True), data)
        # The client has looked for the credential before, without a touch, which counts too.
        check("signCount", data.counter == 43, data.counter)
        made.sign_in(uv="required")
        check("userHandle, isResidentCredential", made.answer.response.user_handle == b"user-0002")
        [held] = manage(made.device).enumerate_creds(hashlib.sha256(RP.encode()).digest())
        user = held[CredentialManagement.RESULT.USER]
        check("rpId, userName, userDisplayName", (user["name"], user["displayName"]) == ("bob", "Bob"), user)
        [held] = made.credentials()
        check("Get Credentials counts", held["signCount"] == 44, held)
        properties = "/credentials/" + b64(b"an id") + "/props"
        for change, seen in (({"backupState": True}, {"BE", "BS"}), ({"backupState": False}, {"BE"}),
                             ({"backupEligibility": False}, set())):
            made.tell("POST", properties, change)
            data = made.sign_in(uv="required")[0]
            check(f"Set Credential Properties {change}", flags(data) - {"UP", "UV"} == seen, flags(data))
        made.tell("POST", properties, {"signCount": 7})
        check("signCount of Set Credential Properties", made.sign_in(uv="required")[0].counter == 8)
        hidden = made.add(credentialId=b64(b"hidden"), isResidentCredential=False, userHandle=None, backupEligibility=True,
                          backupState=True)
        data = made.sign_in([hidden])[0]
        check("isResidentCredential false, backupState", {"BE", "BS"} <= flags(data)
              and made.answer.response.user_handle is None, flags(data))
        [listed] = manage(made.device).enumerate_creds(hashlib.sha256(RP.encode()).digest())
        check("which is not listed by the key", listed[CredentialManagement.RESULT.CREDENTIAL_ID]["id"] == b"an id")
        made.tell("DELETE", "/credentials/" + b64(b"hidden"))
        check("Remove Credential", status(lambda: made.sign_in([hidden])) == CtapError.ERR.NO_CREDENTIALS)
        made.tell("DELETE", "/credentials")
        check("Remove All Credentials", status(lambda: made.sign_in([account])) == CtapError.ERR.NO_CREDENTIALS)
    with key() as first:
        [account] = [first.register(rk="required")[0].credential_data]
        [held] = first.credentials()
    with key() as second:
        second.accounts.append(account)
        second.tell("POST", "/credential", held)
        data = second.sign_in(uv="required")[0]
        check("what Get Credentials returned goes into another key, and signs in", data.counter == 1, data.counter)


check("no key is there", not list(CtapHidDevice.list_devices()))
SESSION = "/session/" + call("POST", "/session", {"capabilities": {}})["sessionId"]
configurations()
extensions()
credentials()
kept = call("POST", f"{SESSION}/webauthn/authenticator", {"protocol": "ctap2", "transport": "usb"})
check("Add Virtual Authenticator: a key", len(list(CtapHidDevice.list_devices())) == 1, kept)
call("DELETE", SESSION)
check("the end of a session unplugs its keys", not list(CtapHidDevice.list_devices()))
check("every command was sent", told == {
    ("POST", "credential", ""), ("GET", "credentials", ""), ("DELETE", "credentials", ""), ("POST", "uv", ""),
    ("POST", "credentials", "props")}, told)
