"""Fingerprints: enrolled with the library's FPBioEnrollment, and used by its client in place of a PIN."""

from fido2.ctap2 import Ctap2
from fido2.ctap2.bio import CaptureError, FPBioEnrollment
from fido2.ctap2.pin import ClientPin
from ceremonies import account, register, relying_party
from routes import ThroughClient
from runner import check, equal

PIN = "1234"
ES256 = -7


def enrolment(ctap2, protocol=None):
    pin = ClientPin(ctap2, protocol)
    return FPBioEnrollment(ctap2, pin.protocol, pin.get_pin_token(PIN, ClientPin.PERMISSION.BIO_ENROLL))


def enrol(bio):
    context = bio.enroll()
    while (template := context.capture()) is None:
        pass
    return template


def with_pin(key):
    ctap2 = Ctap2(key.plug_in())
    equal((ctap2.info.options["uv"], ctap2.info.options["bioEnroll"]), (False, False))
    ClientPin(ctap2).set_pin(PIN)
    return ctap2


@check("fingers are enrolled, named, listed and removed", "--uv", "auto")
def _(key):
    ctap2 = with_pin(key)
    bio = enrolment(ctap2)
    equal(bio.get_fingerprint_sensor_info()[2], 1)
    first, second = enrol(bio), enrol(bio)
    bio.set_name(first, "left thumb")
    equal(bio.enumerate_enrollments(), {first: "left thumb", second: ""})
    bio.remove_enrollment(first)
    equal(bio.enumerate_enrollments(), {second: ""})
    equal(Ctap2(key.plug_in()).info.options["uv"], True)
    bio = enrolment(Ctap2(key.plug_in()))
    bio.remove_enrollment(second)
    equal(bio.enumerate_enrollments(), {})
    equal(Ctap2(key.plug_in()).info.options["uv"], False)


@check("the client registers and signs in with a finger, without the PIN", "--uv", "auto")
def _(key):
    ctap2 = with_pin(key)
    enrol(enrolment(ctap2))
    device = key.plug_in()
    server = relying_party("own", ES256)
    route = ThroughClient(device, None)
    made, _, _ = register(server, route, account(1), verification="required")
    options, state = server.authenticate_begin(user_verification="required")
    [response] = route.sign_in(options)
    server.authenticate_complete(state, [made.credential_data], response)


@check("a poor sample is reported, and a finger that is not enrolled never verifies", "--uv", "mismatch")
def _(key):
    ctap2 = with_pin(key)
    context = enrolment(ctap2).enroll()
    try:
        context.capture()
    except CaptureError as error:
        equal(error.code, 7)
    else:
        raise AssertionError("a good sample")
    context.cancel()
    equal(Ctap2(key.plug_in()).info.options["uv"], False)
