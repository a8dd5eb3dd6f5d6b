"""U2F with the library's Ctap1: registration, sign-in, and key handles that also work with CTAP2."""

import time
from hashlib import sha256

from fido2.attestation import Attestation
from fido2.cose import ES256
from fido2.ctap1 import APDU, ApduError, Ctap1
from fido2.ctap2 import Ctap2
from fido2.hid import CAPABILITY
from fido2.webauthn import AttestationObject
from routes import RP
from runner import check, equal

CHALLENGE = sha256(b"challenge").digest()
APPLICATION = sha256(RP["id"].encode()).digest()


def polled(request):
    """Repeats a request until the user has touched the key, as U2F clients do."""
    for _ in range(20):
        try:
            return request()
        except ApduError as error:
            equal(error.code, APDU.USE_NOT_SATISFIED)
            time.sleep(0.05)
    raise AssertionError("no touch was taken")


def refused(request, status):
    try:
        request()
    except ApduError as error:
        equal(error.code, status)
    else:
        raise AssertionError(f"no error instead of {status!r}")


@check("U2F: register and sign in, with the touch between two requests")
def _(key):
    device = key.plug_in()
    equal(device.capabilities & CAPABILITY.NMSG, 0)
    ctap1 = Ctap1(device)
    equal(ctap1.get_version(), "U2F_V2")
    equal("U2F_V2" in Ctap2(device).info.versions, True)
    refused(lambda: ctap1.register(CHALLENGE, APPLICATION), APDU.USE_NOT_SATISFIED)
    made = polled(lambda: ctap1.register(CHALLENGE, APPLICATION))
    made.verify(APPLICATION, CHALLENGE)
    refused(
        lambda: ctap1.authenticate(CHALLENGE, APPLICATION, made.key_handle, check_only=True), APDU.USE_NOT_SATISFIED
    )
    refused(lambda: ctap1.authenticate(CHALLENGE, bytes(32), made.key_handle), APDU.WRONG_DATA)
    counters = []
    for _ in range(2):
        signed = polled(lambda: ctap1.authenticate(CHALLENGE, APPLICATION, made.key_handle))
        signed.verify(APPLICATION, CHALLENGE, made.public_key)
        equal(signed.user_presence, 1)
        counters.append(signed.counter)
    equal(counters, sorted(set(counters)))


@check("U2F: the virtual key's certificate signs registrations", "--attestation", "certified")
def _(key):
    ctap1 = Ctap1(key.plug_in())
    made = polled(lambda: ctap1.register(CHALLENGE, APPLICATION))
    made.verify(APPLICATION, CHALLENGE)
    equal(b"keyfob" in made.certificate.lower(), True)


@check("U2F and CTAP2 sign in with each other's credentials")
def _(key):
    device = key.plug_in()
    ctap1, ctap2 = Ctap1(device), Ctap2(device)
    made = polled(lambda: ctap1.register(CHALLENGE, APPLICATION))
    assertion = ctap2.get_assertion(RP["id"], CHALLENGE, [{"type": "public-key", "id": made.key_handle}])
    equal(assertion.auth_data.rp_id_hash, APPLICATION)
    assertion.verify(CHALLENGE, ES256.from_ctap1(made.public_key))

    made = ctap2.make_credential(
        CHALLENGE, RP, {"id": b"user", "name": "user"}, [{"type": "public-key", "alg": ES256.ALGORITHM}]
    )
    credential = made.auth_data.credential_data
    signed = polled(lambda: ctap1.authenticate(CHALLENGE, APPLICATION, credential.credential_id))
    point = b"\4" + credential.public_key[-2] + credential.public_key[-3]
    signed.verify(APPLICATION, CHALLENGE, point)


@check("U2F: a self-signed certificate is a statement in the format fido-u2f")
def _(key):
    ctap1 = Ctap1(key.plug_in())
    made = polled(lambda: ctap1.register(CHALLENGE, APPLICATION))
    wrapped = AttestationObject.from_ctap1(APPLICATION, made)
    Attestation.for_type(wrapped.fmt)().verify(wrapped.att_stmt, wrapped.auth_data, CHALLENGE)
