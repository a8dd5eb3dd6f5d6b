"""A WebAuthn server by others: `webauthn` from PyPI behind Flask, with the REST interface of the FIDO conformance tools.
Accounts are in memory. The argument is the port."""

import json
import logging
import secrets
import sys
import threading

from flask import Flask, jsonify, request, session
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import AuthenticatorSelectionCriteria, PublicKeyCredentialDescriptor, ResidentKeyRequirement

RP_ID = "localhost"
ORIGIN = f"http://localhost:{sys.argv[1]}"

app = Flask(__name__)
app.secret_key = secrets.token_bytes(32)
lock = threading.Lock()
# The credentials, by their ids: the account's name, the public key, the counter.
credentials = {}


def refused(message, status=400):
    return jsonify(status="failed", errorMessage=message), status


def answer(options):
    return jsonify({**json.loads(options_to_json(options)), "status": "ok", "errorMessage": ""})


@app.post("/attestation/options")
def begin_registration():
    name = request.json["username"]
    with lock:
        if any(known == name for known, _, _ in credentials.values()):
            return refused("the account exists")
    resident_key = ResidentKeyRequirement(request.json["authenticatorSelection"]["residentKey"])
    options = generate_registration_options(
        rp_id=RP_ID,
        rp_name="Flask",
        user_name=name,
        authenticator_selection=AuthenticatorSelectionCriteria(resident_key=resident_key),
    )
    session.update(name=name, challenge=options.challenge)
    return answer(options)


@app.post("/attestation/result")
def complete_registration():
    verified = verify_registration_response(
        credential=request.json,
        expected_challenge=session.pop("challenge", b""),
        expected_rp_id=RP_ID,
        expected_origin=ORIGIN,
        require_user_verification=False,
    )
    with lock:
        credentials[verified.credential_id] = (session["name"], verified.credential_public_key, verified.sign_count)
    return jsonify(status="ok", errorMessage="")


@app.post("/assertion/options")
def begin_sign_in():
    name = request.json.get("username")
    with lock:
        allowed = [id for id, (owner, _, _) in credentials.items() if owner == name]
    if name is not None and not allowed:
        return refused("no account has this name", 404)
    descriptors = [PublicKeyCredentialDescriptor(id=id) for id in allowed]
    options = generate_authentication_options(rp_id=RP_ID, allow_credentials=descriptors)
    session["challenge"] = options.challenge
    return answer(options)


@app.post("/assertion/result")
def complete_sign_in():
    id = base64url_to_bytes(request.json["rawId"])
    with lock:
        if id not in credentials:
            return refused("the credential is not known")
        name, public_key, sign_count = credentials[id]
    verified = verify_authentication_response(
        credential=request.json,
        expected_challenge=session.pop("challenge", b""),
        expected_rp_id=RP_ID,
        expected_origin=ORIGIN,
        credential_public_key=public_key,
        credential_current_sign_count=sign_count,
        require_user_verification=False,
    )
    with lock:
        credentials[id] = (name, public_key, verified.new_sign_count)
    return jsonify(status="ok", errorMessage="")


@app.errorhandler(WebAuthnException)
def not_verified(error):
    return refused(str(error))


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app.run(port=int(sys.argv[1]), threaded=True)
