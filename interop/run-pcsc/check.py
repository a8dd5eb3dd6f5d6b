"""python-fido2 over PC/SC with `keyfob serve --vpcd`."""

import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from hashlib import sha256

from card import Card, Reader, cards, tap, until
from fido2.client import DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.cose import ES256
from fido2.ctap import STATUS, CtapError
from fido2.ctap1 import APDU, ApduError, Ctap1
from fido2.ctap2 import Ctap2
from fido2.ctap2.credman import CredentialManagement
from fido2.ctap2.extensions import HmacSecretExtension
from fido2.ctap2.pin import ClientPin
from fido2.hid import CTAPHID
from fido2.server import Fido2Server
from fido2.webauthn import ResidentKeyRequirement, UserVerificationRequirement
from tcp_connection import open_device

PIN = "135790"
HASH = sha256(b"client data").digest()
RP = {"id": "example.org", "name": "Example"}
USER = {"id": b"user", "name": "user"}
ALGORITHMS = [{"type": "public-key", "alg": ES256.ALGORITHM}]
ERR = CtapError.ERR


def check(what, passed, shown=""):
    print(f"{'ok' if passed else 'FAILED'}: {what}{'' if passed else f': {shown!r}'}", flush=True)
    if not passed:
        sys.exit(1)


@contextmanager
def answers(error, what):
    """The block fails with this error."""
    try:
        yield
    except CtapError as caught:
        check(what, caught.code == error, caught)
    except ApduError as caught:
        check(what, caught.code == error, caught)
    else:
        check(what, False, "no error")


def touched(request):
    """Repeats a request until the user has touched the key, as U2F clients do."""
    while True:
        try:
            return request()
        except ApduError as error:
            if error.code != APDU.USE_NOT_SATISFIED:
                raise
            time.sleep(0.1)


class User(UserInteraction):
    def request_pin(self, permissions, rp_id):
        return PIN


def register(ctap, **more):
    return ctap.make_credential(HASH, RP, USER, ALGORITHMS, **more).auth_data.credential_data


def sign_in(ctap, credential=None):
    allowed = credential and [{"type": "public-key", "id": credential.credential_id}]
    return ctap.get_assertion(RP["id"], HASH, allowed)


def ceremonies(device, touch):
    """The client and the server of python-fido2, with a PIN and hmac-secret."""
    client = Fido2Client(
        device, DefaultClientDataCollector("https://example.org"), User(), extensions=[HmacSecretExtension(True)]
    )
    server = Fido2Server(RP, attestation="direct")
    required = UserVerificationRequirement.REQUIRED
    options, state = server.register_begin(
        USER, resident_key_requirement=ResidentKeyRequirement.REQUIRED, user_verification=required,
        extensions={"hmacCreateSecret": True})
    touch()
    made = client.make_credential(options.public_key)
    check("registered with the PIN, with hmac-secret", made.client_extension_results["hmacCreateSecret"] is True)
    credential = server.register_complete(state, made).credential_data
    secrets = []
    for salt in (1, 1, 2):
        options, state = server.authenticate_begin(
            user_verification=required, extensions={"hmacGetSecret": {"salt1": bytes([salt]) * 32}})
        touch()
        assertion = client.get_assertion(options.public_key).get_response(0)
        server.authenticate_complete(state, [credential], assertion)
        secrets.append(assertion.client_extension_results["hmacGetSecret"]["output1"])
    check("signed in without a name; the secret is the salt's", secrets[0] == secrets[1] != secrets[2], secrets)


def pins_and_management(ctap, touch):
    pin = ClientPin(ctap)
    with answers(ERR.PIN_INVALID, "a wrong PIN"):
        pin.get_pin_token("9" * 8)
    check("retries go down", pin.get_pin_retries()[0] == 7)
    token = pin.get_pin_token(PIN, ClientPin.PERMISSION.CREDENTIAL_MGMT)
    management = CredentialManagement(ctap, pin.protocol, token)
    [party] = management.enumerate_rps()
    check("credential management lists the party", party[CredentialManagement.RESULT.RP]["id"] == RP["id"])
    [credential] = management.enumerate_creds(party[CredentialManagement.RESULT.RP_ID_HASH])
    management.delete_cred(credential[CredentialManagement.RESULT.CREDENTIAL_ID])
    check("and deletes", management.get_metadata()[CredentialManagement.RESULT.EXISTING_CRED_COUNT] == 0)
    touch()
    with answers(ERR.NO_CREDENTIALS, "what was deleted does not sign"):
        sign_in(ctap)


def u2f(device, touch):
    ctap1, application = Ctap1(device), sha256(RP["id"].encode()).digest()
    check("U2F: version", ctap1.get_version() == "U2F_V2")
    touch()
    made = touched(lambda: ctap1.register(HASH, application))
    made.verify(application, HASH)
    with answers(APDU.USE_NOT_SATISFIED, "U2F: the handle is known"):
        ctap1.authenticate(HASH, application, made.key_handle, check_only=True)
    touch()
    signed = touched(lambda: ctap1.authenticate(HASH, application, made.key_handle))
    signed.verify(application, HASH, made.public_key)
    with answers(APDU.WRONG_DATA, "U2F: another application's handle"):
        ctap1.authenticate(HASH, bytes(32), made.key_handle)


def lengths(device, ctap):
    """Requests and responses of every length, in both encodings, with polling and without."""
    credential = register(ctap)
    for extended in (False, True):
        for polling in (True, False):
            device.use_ext_apdu, device.use_nfcctap_getresponse = extended, polling
            others = [{"type": "public-key", "id": bytes([number]) * 96} for number in range(60)]
            with answers(ERR.CREDENTIAL_EXCLUDED, f"a request of 7 kB, extended {extended}, polling {polling}"):
                register(ctap, exclude_list=[*others, {"type": "public-key", "id": credential.credential_id}])
            check("getInfo, a long response", "FIDO_2_1" in ctap.get_info().versions)
            with answers(ERR.OTHER, "a request that is longer than maxMsgSize"):
                device.call(CTAPHID.CBOR, b"\1" + bytes(ctap.info.max_msg_size))
            sign_in(ctap, credential).verify(HASH, credential.public_key)
    device.use_ext_apdu, device.use_nfcctap_getresponse = False, True


def whole_key():
    with Card() as card:
        device = card.device()
        check("the card is found", device.get_atr() == bytes.fromhex("3b80800101"), device.get_atr())
        ctap = Ctap2(device)
        check("getInfo names NFC", "nfc" in ctap.info.transports, ctap.info.transports)
        lengths(device, ctap)
        credential = register(ctap)
        ClientPin(ctap).set_pin(PIN)
        ceremonies(device, lambda: None)
        pins_and_management(Ctap2(device), lambda: None)
        u2f(device, lambda: None)
        sign_in(ctap, credential).verify(HASH, credential.public_key)
        card.send(signal.SIGUSR1)
        until("the card was not taken out", lambda: not cards())
        ctap = Ctap2(card.device())
        sign_in(ctap, credential).verify(HASH, credential.public_key)
        check("taken out and put back, the card knows its credential", True)
    check("the key tells of the field and of commands", "authenticatorMakeCredential: OK" in card.told(), card.told())


def small_card():
    """A card like the Arculus has no button: each touch is a tap."""
    with Card("--profile", "arculus_like") as card:
        device = card.device()
        ctap = Ctap2(device)
        check("messages of 1,024 bytes, ES256 only", (ctap.info.max_msg_size, len(ctap.info.algorithms)) == (1024, 1))
        tap(device)
        credential = register(ctap)
        with answers(ERR.OPERATION_DENIED, "one tap is one touch"):
            sign_in(ctap, credential)
        tap(device)
        sign_in(ctap, credential).verify(HASH, credential.public_key)
        for extended in (False, True):
            device.use_ext_apdu = extended
            with answers(ERR.OTHER, f"1,025 bytes are too many, extended {extended}"):
                device.call(CTAPHID.CBOR, b"\1" + bytes(1024))
            tap(device)
            # Nine ids are 900 bytes where keys are made with AWS-LC, whose ids are longer, and 800 otherwise.
            others = [{"type": "public-key", "id": bytes([number]) * 64} for number in range(8)]
            with answers(ERR.CREDENTIAL_EXCLUDED, f"a request in several blocks, extended {extended}"):
                register(ctap, exclude_list=[*others, {"type": "public-key", "id": credential.credential_id}])
        device.use_ext_apdu = False
        ClientPin(ctap).set_pin(PIN)
        ceremonies(device, lambda: tap(device))
        pins_and_management(Ctap2(device), lambda: tap(device))
        u2f(device, lambda: tap(device))


def touches():
    with Card("--touch", "after=600") as card:
        ctap, statuses = Ctap2(card.device()), []
        register(ctap, on_keepalive=statuses.append)
        check("the client is told that a touch is awaited", statuses[-1:] == [STATUS.UPNEEDED], statuses)
    with Card("--touch", "never") as card:
        ctap, cancel = Ctap2(card.device()), threading.Event()
        threading.Timer(0.5, cancel.set).start()
        start = time.monotonic()
        with answers(ERR.KEEPALIVE_CANCEL, "a cancelled registration"):
            register(ctap, event=cancel)
        check("is over soon", time.monotonic() - start < 2)
    with Card("--touch", "deny") as card:
        with answers(ERR.OPERATION_DENIED, "a declined registration"):
            register(Ctap2(card.device()))


def elsewhere():
    """The key is in one place at a time."""
    with Card("--tcp", "127.0.0.1:7311") as card:
        credential = register(Ctap2(card.device()))
        plugged = open_device("127.0.0.1", 7311)
        until("the card is still there", lambda: not cards())
        sign_in(Ctap2(plugged), credential).verify(HASH, credential.public_key)
        plugged.close()
        sign_in(Ctap2(card.device()), credential).verify(HASH, credential.public_key)
        check("over PC/SC, over TCP, over PC/SC", True)


def killed():
    with tempfile.TemporaryDirectory() as folder:
        with Card("--store", f"{folder}/key") as card:
            credential = register(Ctap2(card.device()), options={"rk": True})
            card.send(signal.SIGKILL)
        with Card("--store", f"{folder}/key") as card:
            sign_in(Ctap2(card.device())).verify(HASH, credential.public_key)
            check("a key that was killed goes on from its store", True)


def restarted():
    with Card() as card:
        with Reader():
            credential = register(Ctap2(card.device()))
            card.close()
        time.sleep(1)
        with Reader():
            sign_in(Ctap2(card.device()), credential).verify(HASH, credential.public_key)
            card.close()
        check("pcscd was started after the key, and again", "there is none" in card.told(), card.told())


def libfido2():
    """libfido2's tool, where it is built with PC/SC."""
    with Card() as card:
        card.device()
        try:
            listed = subprocess.run(["fido2-token", "-L"], capture_output=True, text=True).stdout
        except FileNotFoundError:
            listed = ""
        if "pcsc://" not in listed:
            print("not run: fido2-token, which is not here or is built without PC/SC")
            return
        path = listed[listed.index("pcsc://"):].split(": ")[0]
        info = subprocess.run(["fido2-token", "-I", path], capture_output=True, text=True)
        check(f"fido2-token -I {path}", info.returncode == 0 and "FIDO_2_1" in info.stdout, info)


with Reader():
    for run in (whole_key, small_card, touches, elsewhere, killed, libfido2):
        print(f"-- {run.__name__.replace('_', ' ')}", flush=True)
        run()
print("-- restarted", flush=True)
restarted()
