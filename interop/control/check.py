"""Each verb of the control socket, and what a client that we have not written sees of it: python-fido2's client through
the TCP door of the same key, and its relying party. Every line of the socket fits the published schema.

    python check.py KEYFOB
"""

import contextlib
import hashlib
import json
import pathlib
import sys
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "host/examples/control"), str(ROOT / "interop/python-fido2")]

import jsonschema  # noqa: E402
import keyfob_control  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from fido2 import cbor  # noqa: E402
from fido2.client import ClientError, DefaultClientDataCollector, Fido2Client, UserInteraction  # noqa: E402
from fido2.cose import CoseKey  # noqa: E402
from fido2.ctap import CtapError  # noqa: E402
from fido2.ctap2 import ClientPin, CredentialManagement, Ctap2, LargeBlobs  # noqa: E402
from fido2.server import Fido2Server  # noqa: E402
from fido2.webauthn import AttestedCredentialData  # noqa: E402
from keyfob_control import Refused, decode  # noqa: E402
from tcp_connection import open_device  # noqa: E402

ORIGIN, RP, USER = "https://example.org", "example.org", b"user-0001"
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/control.schema.json").read_text()))
checks, verbs = [], set()


class Key(keyfob_control.Key):
    """Compares every line with the schema."""

    def begin(self, verb, **params):
        verbs.add(verb)
        members = {keyfob_control._camel(name): keyfob_control._json(each) for name, each in params.items()}
        members = {name: each for name, each in members.items() if each is not None}
        SCHEMA.validate({"id": 1, "verb": verb, "params": members})
        result = super().begin(verb, **params)

        def fits():
            try:
                value = result()
            except Refused as error:
                error_members = {"code": error.code, "message": error.message, "where": error.where}
                if error.status is not None:
                    error_members |= {"status": error.status, "statusCode": error.status_code}
                SCHEMA.validate({"id": 1, "error": error_members})
                raise
            schema = SCHEMA.schema["$defs"]["results"]["properties"][verb]
            SCHEMA.evolve(schema={**schema, "$defs": SCHEMA.schema["$defs"]}).validate(value)
            return value

        return fits


keyfob_control.Key = Key


class Browser:
    """python-fido2's client and relying party, with the key behind its door."""

    def __init__(self, key):
        host, port = key.doors[0].split()[1].split(":")
        self._address, self.server = (host, int(port)), Fido2Server({"id": RP, "name": "Example"})
        self.accounts = []

    def client(self):
        device = open_device(*self._address)
        return device, Fido2Client(device, DefaultClientDataCollector(ORIGIN), user_interaction=UserInteraction())

    @contextlib.contextmanager
    def ctap2(self):
        """python-fido2's commands, below its client."""
        device = open_device(*self._address)
        try:
            yield Ctap2(device)
        finally:
            device.close()

    def register(self, uv="preferred"):
        user = {"id": USER, "name": "alice"}
        options, state = self.server.register_begin(
            user, resident_key_requirement="required", user_verification=uv
        )
        device, client = self.client()
        try:
            made = client.make_credential(options.public_key)
        finally:
            device.close()
        data = self.server.register_complete(state, made)
        self.accounts.append(data.credential_data)
        return data

    def sign_in(self, uv="discouraged", accounts=None):
        accounts = accounts or self.accounts
        options, state = self.server.authenticate_begin(accounts, user_verification=uv)
        device, client = self.client()
        try:
            answer = client.get_assertion(options.public_key).get_response(0)
        finally:
            device.close()
        self.server.authenticate_complete(state, accounts, answer)
        return answer.response.authenticator_data

    def know(self, credential):
        """Stores what a server would have of this credential."""
        key = CoseKey.parse(cbor.decode(decode(credential["publicKey"])))
        data = AttestedCredentialData.create(bytes(16), decode(credential["credentialId"]), key)
        self.accounts.append(data)
        return data


def check(*options):
    def add(function):
        checks.append((function, options))
        return function

    return add


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"{actual!r} instead of {expected!r}")


def fails(call, *kinds):
    try:
        call()
    except kinds as error:
        return error
    raise AssertionError(f"it did not fail with {kinds}")


def refuses(call, word):
    """The relying party refuses it for this reason."""
    error = fails(call, ValueError)
    assert word in str(error), error


def ctap(call):
    """The status for which the client fails."""
    error = fails(call, ClientError, CtapError)
    return getattr(error, "cause", error).code


def put_in(key, browser, **members):
    credential = key.add_credential(rp_id=RP, user_handle=USER, **members)["credential"]
    browser.know(credential)
    return credential


@check()
def a_credential_with_a_private_key_of_ours_signs_in_and_counts(key, browser):
    private = ec.generate_private_key(ec.SECP256R1())
    pkcs8 = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    put_in(key, browser, private_key=pkcs8, credential_id=b"an id", sign_count=7, backup_state=True)
    data = browser.sign_in()
    # The client has looked for the credential before, without a touch, which counts too.
    equal((data.counter, bool(data.flags & data.FLAG.BE), bool(data.flags & data.FLAG.BS)), (9, True, True))
    other = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    refused = fails(lambda: key.add_credential(rp_id=RP, user_handle=USER, private_key=other), Refused)
    equal((refused.code, refused.where), ("otherCurve", "/params/privateKey"))
    refused = fails(lambda: key.add_credential(rp_id=RP, user_handle=USER, credential_id=b"an id"), Refused)
    equal(refused.code, "credentialIdTaken")


@check()
def properties_change_and_credentials_go(key, browser):
    held = put_in(key, browser)
    identifier = decode(held["credentialId"])
    key.set_credential_properties(identifier, sign_count=41, backup_eligibility=True)
    data = browser.sign_in()
    equal((data.counter, bool(data.flags & data.FLAG.BE)), (43, True))
    equal(key.credentials()[0]["signCount"], 43)
    key.remove_credential(identifier)
    equal(ctap(browser.sign_in), CtapError.ERR.NO_CREDENTIALS)
    put_in(key, browser)
    key.remove_all_credentials()
    equal(key.credentials(), [])
    equal(ctap(browser.sign_in), CtapError.ERR.NO_CREDENTIALS)


@check()
def registrations_are_backed_up_where_that_is_the_default(key, browser):
    key.set_default_backup(backup_eligibility=True, backup_state=True)
    data = browser.register()
    equal((bool(data.flags & data.FLAG.BE), bool(data.flags & data.FLAG.BS)), (True, True))
    browser.sign_in()


@check()
def the_user_touches_the_key_as_the_test_says(key, browser):
    put_in(key, browser)
    key.set_touch("deny")
    equal(ctap(browser.sign_in), CtapError.ERR.OPERATION_DENIED)
    key.set_touch("after", milliseconds=200)
    start = time.monotonic()
    browser.sign_in()
    assert time.monotonic() - start >= 0.2
    key.set_touch("after", milliseconds=20_000)
    key.jump_at("touch", milliseconds=20_000)
    start = time.monotonic()
    browser.sign_in()
    assert time.monotonic() - start < 15, "the time is the test's"
    key.set_touch("never")
    key.subscribe()
    for consents in (True, False):
        result = []
        signs_in = threading.Thread(target=lambda: result.append(attempt(browser.sign_in)))
        signs_in.start()
        key.wait_for("touchAsked")
        assert key.status()["waitsForUser"]
        key.touch(consents)
        signs_in.join()
        equal(result, [consents])
    key.unsubscribe()
    equal(fails(lambda: key.touch(True), Refused).code, "notAsked")


def attempt(call):
    try:
        call()
    except ClientError:
        return False
    return True


@check()
def the_user_is_verified_or_not(key, browser):
    put_in(key, browser)
    data = browser.sign_in(uv="required")
    assert data.flags & data.FLAG.UV
    key.set_user_verified(False)
    fails(lambda: browser.sign_in(uv="required"), ClientError)
    key.set_user_verified(True)
    browser.sign_in(uv="required")


@check()
def each_lie_reaches_the_relying_party(key, browser):
    put_in(key, browser)
    key.lie("bogusSignature")
    refuses(browser.sign_in, "signature")
    key.tell_the_truth()
    browser.sign_in()
    key.lie("userPresent", on=False)
    refuses(browser.sign_in, "User Present")
    key.tell_the_truth()
    key.lie("userVerified", on=False)
    refuses(lambda: browser.sign_in(uv="required"), "User verification")
    key.tell_the_truth()
    key.lie("rpId", rp_id="example.com")
    refuses(browser.sign_in, "RP ID")
    key.tell_the_truth()
    key.lie("backupEligibility", on=True)
    key.lie("backupState", on=True)
    data = browser.sign_in()
    equal((bool(data.flags & data.FLAG.BE), bool(data.flags & data.FLAG.BS)), (True, True))
    key.tell_the_truth()
    key.set_credential_properties(browser.accounts[0].credential_id, backup_eligibility=True, backup_state=True)
    key.lie("backupEligibility", on=False)
    key.lie("backupState", on=False)
    data = browser.sign_in()
    equal((bool(data.flags & data.FLAG.BE), bool(data.flags & data.FLAG.BS)), (False, False))
    key.set_user_verified(False)
    key.lie("userVerified", on=True)
    assert browser.sign_in().flags & data.FLAG.UV, "nobody was verified"
    key.lie("userPresent", on=True)
    with browser.ctap2() as device:
        allowed = [{"type": "public-key", "id": browser.accounts[0].credential_id}]
        data = device.get_assertion(RP, bytes(32), allowed, options={"up": False}).auth_data
    assert data.flags & data.FLAG.UP, "nobody was asked"
    key.set_user_verified(True)
    key.lie("aaguid", aaguid=bytes(range(16)))
    equal(bytes(browser.register().credential_data.aaguid), bytes(range(16)))


def manage(device):
    """python-fido2's credential management, with a token that this key has given because it has verified its user."""
    pin = ClientPin(device)
    token = pin.get_uv_token(ClientPin.PERMISSION.CREDENTIAL_MGMT)
    return CredentialManagement(device, pin.protocol, token)


@check()
def what_is_put_in_is_what_credential_management_lists(key, browser):
    put_in(key, browser, user_name="alice", user_display_name="Alice", cred_protect=3)
    not_listed = put_in(key, browser, is_resident_credential=False)
    with browser.ctap2() as device:
        (held,) = manage(device).enumerate_creds(hashlib.sha256(RP.encode()).digest())
    equal(held[CredentialManagement.RESULT.USER], {"id": USER, "name": "alice", "displayName": "Alice"})
    equal(held[CredentialManagement.RESULT.CRED_PROTECT], 3)
    browser.sign_in(accounts=browser.accounts[1:])
    key.remove_credential(decode(not_listed["credentialId"]))
    equal(ctap(lambda: browser.sign_in(accounts=browser.accounts[1:])), CtapError.ERR.NO_CREDENTIALS)


@check()
def a_large_blob_is_where_a_client_looks_for_it(key, browser):
    account = put_in(key, browser, large_blob=b"a certificate")
    other = put_in(key, browser)
    equal(decode(key.credentials()[0]["largeBlob"]), b"a certificate")
    assert "largeBlob" not in key.credentials()[1], "it has none"
    allowed = [{"type": "public-key", "id": decode(account["credentialId"])}]
    with browser.ctap2() as device:
        pin = ClientPin(device)
        token = pin.get_uv_token(ClientPin.PERMISSION.GET_ASSERTION | ClientPin.PERMISSION.LARGE_BLOB_WRITE, RP)
        hashed = bytes(32)
        assertion = device.get_assertion(
            RP, hashed, allowed, extensions={"largeBlobKey": True},
            pin_uv_param=pin.protocol.authenticate(token, hashed), pin_uv_protocol=pin.protocol.VERSION,
        )
        blobs = LargeBlobs(device, pin.protocol, token)
        equal(blobs.get_blob(assertion.large_blob_key), b"a certificate")
        blobs.put_blob(assertion.large_blob_key, b"another")
    equal(decode(key.credentials()[0]["largeBlob"]), b"another")
    key.remove_credential(decode(other["credentialId"]))


@check()
def a_token_ends_with_the_time_of_the_test(key, browser):
    put_in(key, browser)
    with browser.ctap2() as device:
        credentials = manage(device)
        credentials.get_metadata()
        key.advance(700_000)
        equal(ctap(credentials.get_metadata), CtapError.ERR.PIN_AUTH_INVALID)
        for step in ("request", "response"):
            credentials = manage(device)
            key.jump_at(step, "GET_INFO", milliseconds=700_000)
            device.get_info()
            equal(ctap(credentials.get_metadata), CtapError.ERR.PIN_AUTH_INVALID)


@check()
def answers_are_forced(key, browser):
    put_in(key, browser)
    key.answer("GET_ASSERTION", status="KEY_STORE_FULL", times=1)
    equal(ctap(browser.sign_in), CtapError.ERR.KEY_STORE_FULL)
    browser.sign_in()
    key.answer(2, body=b"\x00\xa0")
    fails(browser.sign_in, Exception)
    key.clear_answers()
    browser.sign_in()


@check()
def a_slow_key_is_slow_and_silent_if_it_is_told(key, browser):
    put_in(key, browser)
    key.set_delay(300)
    key.clear_history()
    start = time.monotonic()
    browser.sign_in()
    assert time.monotonic() - start >= 0.3 * len(key.history())
    device, _ = browser.client()
    told = []
    device.call(0x10, b"\x04", on_keepalive=told.append)
    assert told, "no keep-alive"
    told.clear()
    key.set_keep_alives(False)
    device.call(0x10, b"\x04", on_keepalive=told.append)
    equal(told, [])
    device.close()


@check()
def a_write_fails_once(key, browser):
    key.fail_write(1)
    fails(browser.register, ClientError)
    equal(key.credentials(), [])
    browser.register()
    browser.sign_in()


@check("--unplugged")
def a_key_is_there_when_it_is_plugged_in(key, browser):
    fails(browser.client, Exception)
    equal(fails(lambda: key.get(ORIGIN, {"challenge": "AAAA"}), Refused).code, "unplugged")
    key.plug_in()
    put_in(key, browser)
    browser.sign_in()
    key.unplug()
    fails(browser.client, Exception)
    key.plug_in()
    key.unplug_at("response", "GET_ASSERTION")
    fails(browser.sign_in, Exception)
    key.plug_in()
    equal(browser.sign_in().counter, 5)  # a response was signed, and never came
    for at in (("request", "GET_ASSERTION"), ("touch",)):
        key.unplug_at(*at)
        fails(browser.sign_in, Exception)
        assert not key.status()["isPluggedIn"]
        key.plug_in()
        key.plug_in()  # it is in
    browser.sign_in()


@check()
def the_clock_jumps(key, browser):
    put_in(key, browser)
    key.set_touch("never")
    start, before = time.monotonic(), key.status()["milliseconds"]
    key.jump_at("touch", milliseconds=40_000)
    equal(ctap(browser.sign_in), CtapError.ERR.USER_ACTION_TIMEOUT)
    assert time.monotonic() - start < 10
    key.advance(5_000)
    assert key.status()["milliseconds"] >= before + 45_000


@check()
def the_history_tells_what_the_client_has_asked(key, browser):
    account = put_in(key, browser)
    browser.sign_in()
    key.clear_history()
    browser.sign_in()
    asked = [asked for asked in key.history() if asked["command"] == "GET_ASSERTION"]
    equal((asked[-1]["rpId"], asked[-1]["allowList"]), (RP, [account["credentialId"]]))


@check()
def a_page_of_the_socket_satisfies_the_relying_party(key, browser):
    server = browser.server
    options, state = server.register_begin({"id": USER, "name": "alice", "displayName": "Alice"})
    made = server.register_complete(state, key.create(ORIGIN, dict(options)["publicKey"]))
    options, state = server.authenticate_begin([made.credential_data])
    server.authenticate_complete(state, [made.credential_data], key.get(ORIGIN, dict(options)["publicKey"]))
    key.lie("userPresent", on=False)
    options, state = server.authenticate_begin([made.credential_data])
    refused = fails(lambda: key.get(ORIGIN, dict(options)["publicKey"]), Refused)
    equal((refused.code, refused.status), ("ceremony", None))
    key.answer("GET_ASSERTION", status="KEY_STORE_FULL")
    refused = fails(lambda: key.get(ORIGIN, dict(options)["publicKey"]), Refused)
    equal((refused.status, refused.status_code), ("KEY_STORE_FULL", CtapError.ERR.KEY_STORE_FULL))
    key.clear_answers()
    lie = key.get(ORIGIN, dict(options)["publicKey"], credulous=True)
    refuses(lambda: server.authenticate_complete(state, [made.credential_data], lie), "User Present")


@check()
def events_fit_the_schema(key, browser):
    key.subscribe()
    put_in(key, browser)
    browser.sign_in()
    told = []
    while not told or told[-1]["event"] != "closed":
        told.append(key.events.get(timeout=10))
        SCHEMA.validate(told[-1])
    names = {each["event"] for each in told}
    assert names >= {"pluggedIn", "opened", "command", "answered", "closed"}, names


@check()
def the_schema_is_the_published_one(key, _):
    equal(key.get_schema()["schema"], SCHEMA.schema)


def main(keyfob):
    jsonschema.Draft202012Validator.check_schema(SCHEMA.schema)
    failed = 0
    for function, options in checks:
        name = function.__name__.replace("_", " ")
        start = time.monotonic()
        try:
            with keyfob_control.serve(
                "--tcp", "127.0.0.1:0", "--profile", "workstation", *options, keyfob=keyfob
            ) as key:
                function(key, Browser(key))
        except Exception:
            failed += 1
            print(f"FAILED {name}")
            traceback.print_exc(limit=-6, file=sys.stdout)
        else:
            print(f"ok     {name} ({time.monotonic() - start:.2f} s)")
    missing = {verb["properties"]["verb"]["const"] for verb in SCHEMA.schema["$defs"]["request"]["oneOf"]} - verbs
    if missing:
        failed += 1
        print(f"FAILED no check has {', '.join(sorted(missing))}")
    print(f"{len(checks)} checks, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1])))
