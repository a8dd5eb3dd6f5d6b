"""python-fido2's client and server with the one key of this machine."""

import sys

from fido2.client import DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.ctap2 import Ctap2
from fido2.ctap2.credman import CredentialManagement
from fido2.ctap2.pin import ClientPin
from fido2.hid import CtapHidDevice
from fido2.server import Fido2Server
from fido2.webauthn import ResidentKeyRequirement, UserVerificationRequirement

PIN = "135790"


def check(what, passed, shown=""):
    print(f"{'ok' if passed else 'FAILED'}: {what}{'' if passed else f': {shown}'}", flush=True)
    if not passed:
        sys.exit(1)


class User(UserInteraction):
    def request_pin(self, permissions, rp_id):
        return PIN


devices = list(CtapHidDevice.list_devices())
check("the key is listed, and no other", len(devices) == 1, devices)
device = devices[0]
shown = (device.descriptor.vid, device.descriptor.pid, device.product_name, device.serial_number)
check(f"{device.descriptor.path}: its ids and names", shown[:3] == (0x1209, 0xF1D0, "keyfob virtual security key"), shown)
check("PING of 7,609 bytes", device.ping(bytes(range(256)) * 29 + bytes(185)) is not None)
ctap = Ctap2(device)
check("getInfo", "FIDO_2_1" in ctap.info.versions)

client = Fido2Client(device, DefaultClientDataCollector("https://example.org"), User())
server = Fido2Server({"id": "example.org", "name": "Example"}, attestation="direct")


def ceremonies(name):
    options, state = server.register_begin(
        {"id": name.encode(), "name": name}, resident_key_requirement=ResidentKeyRequirement.REQUIRED,
        user_verification=UserVerificationRequirement.REQUIRED)
    made = client.make_credential(options.public_key)
    credential = server.register_complete(state, made).credential_data
    options, state = server.authenticate_begin(user_verification=UserVerificationRequirement.REQUIRED)
    assertion = client.get_assertion(options.public_key).get_response(0)
    server.authenticate_complete(state, [credential], assertion)


ceremonies("alice")
check("the server verifies a registration and a sign-in, by the finger", True)
ClientPin(ctap).set_pin(PIN)
check("a PIN is set", Ctap2(device).info.options["clientPin"])
pin = ClientPin(ctap)
token = pin.get_pin_token(PIN, ClientPin.PERMISSION.CREDENTIAL_MGMT)
management = CredentialManagement(ctap, pin.protocol, token)
parties = management.enumerate_rps()
check("credential management", [party[CredentialManagement.RESULT.RP]["id"] for party in parties] == ["example.org"])
