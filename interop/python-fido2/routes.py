"""Two ways to use python-fido2 for a registration and a sign-in, with one interface.

`ThroughClient` uses `Fido2Client`, as applications do. It always takes the newest PIN/UV auth protocol that both sides
support. `ThroughCtap` sends the commands itself, so that protocol one can be chosen.
"""

from fido2.client import DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.ctap2 import Ctap2
from fido2.ctap2.pin import ClientPin
from fido2.webauthn import (
    AttestationObject,
    AuthenticationResponse,
    AuthenticatorAssertionResponse,
    AuthenticatorAttestationResponse,
    CollectedClientData,
    RegistrationResponse,
)

RP = {"id": "example.com", "name": "Example"}
ORIGIN = "https://example.com"


class User(UserInteraction):
    """A user who knows a PIN and acts when the key waits for a touch."""

    def __init__(self, pin=None, when_touch_is_needed=lambda: None):
        self.pin = pin
        self.when_touch_is_needed = when_touch_is_needed

    def prompt_up(self):
        self.when_touch_is_needed()

    def request_pin(self, permissions, rp_id):
        return self.pin


def client(device, user):
    return Fido2Client(device, DefaultClientDataCollector(ORIGIN), user_interaction=user)


class ThroughClient:
    def __init__(self, device, pin):
        self._client = client(device, User(pin))

    def register(self, options):
        return self._client.make_credential(options.public_key)

    def sign_in(self, options):
        selection = self._client.get_assertion(options.public_key)
        return [selection.get_response(index) for index in range(len(selection.get_assertions()))]


class ThroughCtap:
    def __init__(self, device, pin, protocol):
        self._ctap, self._pin, self._protocol = Ctap2(device), pin, protocol

    def _authorize(self, client_data, permission):
        if self._pin is None:
            return {}
        token = ClientPin(self._ctap, self._protocol).get_pin_token(self._pin, permission, RP["id"])
        return {
            "pin_uv_param": self._protocol.authenticate(token, client_data.hash),
            "pin_uv_protocol": self._protocol.VERSION,
        }

    def register(self, options):
        options = options.public_key
        client_data = CollectedClientData.create(CollectedClientData.TYPE.CREATE, options.challenge, ORIGIN)
        discoverable = options.authenticator_selection.resident_key == "required"
        made = self._ctap.make_credential(
            client_data.hash,
            RP,
            {"id": options.user.id, "name": options.user.name},
            [{"type": "public-key", "alg": entry.alg} for entry in options.pub_key_cred_params],
            options={"rk": True} if discoverable else None,
            **self._authorize(client_data, ClientPin.PERMISSION.MAKE_CREDENTIAL),
        )
        return registration(client_data, made.fmt, made.auth_data, made.att_stmt)

    def sign_in(self, options):
        options = options.public_key
        client_data = CollectedClientData.create(CollectedClientData.TYPE.GET, options.challenge, ORIGIN)
        allowed = [{"type": "public-key", "id": entry.id} for entry in options.allow_credentials or []]
        assertions = self._ctap.get_assertions(
            RP["id"],
            client_data.hash,
            allowed or None,
            **self._authorize(client_data, ClientPin.PERMISSION.GET_ASSERTION),
        )
        return [
            authentication(
                entry.credential["id"],
                client_data,
                entry.auth_data,
                entry.signature,
                entry.user["id"] if entry.user else None,
            )
            for entry in assertions
        ]


def registration(client_data, fmt, auth_data, statement):
    """A registration response from its parts; parts that are not well-formed raise."""
    attestation_object = AttestationObject.create(fmt, auth_data, statement)
    return RegistrationResponse(
        raw_id=attestation_object.auth_data.credential_data.credential_id,
        response=AuthenticatorAttestationResponse(client_data=client_data, attestation_object=attestation_object),
    )


def authentication(credential_id, client_data, auth_data, signature, user_handle=None):
    """An authentication response from its parts; parts that are not well-formed raise."""
    return AuthenticationResponse(
        raw_id=credential_id,
        response=AuthenticatorAssertionResponse(
            client_data=client_data, authenticator_data=auth_data, signature=signature, user_handle=user_handle
        ),
    )
