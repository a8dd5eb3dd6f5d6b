"""The REST API with requests, and python-fido2's client on a virtual key."""

import json
import pathlib
import sys

import requests
from fido2.client import DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.ctap2 import ClientPin, Ctap2
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import PublicKeyCredentialCreationOptions, PublicKeyCredentialRequestOptions

sys.path.append(str(pathlib.Path(__file__).parents[1] / "python-fido2"))
from tcp_connection import open_device  # noqa: E402


PIN = "1234"


class User(UserInteraction):
    def request_pin(self, permissions, rp_id):
        return PIN


class FidoKey:
    """python-fido2's client with a virtual key: from options in JSON to a credential in JSON."""

    def __init__(self, key, origin):
        self._device = open_device("127.0.0.1", key.port)
        ctap = Ctap2(self._device)
        if not ctap.info.options["clientPin"]:
            ClientPin(ctap).set_pin(PIN)  # without a PIN, this client refuses "preferred" user verification
        self._client = Fido2Client(self._device, DefaultClientDataCollector(origin), User())

    def create(self, options):
        made = self._client.make_credential(PublicKeyCredentialCreationOptions.from_dict(strip(options)))
        return json.loads(json.dumps(dict(made)))

    def get(self, options):
        selection = self._client.get_assertion(PublicKeyCredentialRequestOptions.from_dict(strip(options)))
        return json.loads(json.dumps(dict(selection.get_response(0))))

    def close(self):
        self._device.close()


def strip(options):
    """The options without the members that only the API has."""
    return {name: value for name, value in options.items() if name not in ("status", "errorMessage", "cookies")}


def changed(credential, **members):
    """A credential with changed members in its response."""
    return {**credential, "response": {**credential["response"], **members}}


def flip(text):
    """Other bytes of the same length."""
    data = bytearray(websafe_decode(text))
    data[-1] ^= 1
    return websafe_encode(bytes(data))


class Api:
    """A session with the server."""

    def __init__(self, server):
        self._url, self._session = server.url, requests.Session()

    def post(self, path, body):
        response = self._session.post(f"{self._url}/fidoapi/certify/{path}", json=body, timeout=30)
        return response.status_code, response.json()
