"""A server with passkeys on Flask and `webauthn` from PyPI. It keeps everything in memory.

Its paths and its JSON are those of the FIDO conformance tools: attestation/options and attestation/result register,
assertion/options and assertion/result sign in. `test_app.py` tests it, and `keyfob load` loads it.

    python app.py 5000
"""

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
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)


def refused(message, status=400):
    return jsonify(status="failed", errorMessage=message), status


def answer(options):
    return jsonify({**json.loads(options_to_json(options)), "status": "ok", "errorMessage": ""})


def create_app(rp_id, origin):
    app = Flask(__name__)
    app.secret_key = secrets.token_bytes(32)
    lock = threading.Lock()
    credentials = {}  # by their ids: the account's name, the public key, the counter
    challenges = set()  # those that are not used yet; the session has a client's own

    def begin(options, **more):
        with lock:
            challenges.add(options.challenge)
        session.update(challenge=options.challenge, **more)
        return answer(options)

    def expected():
        """What every response is compared with. The challenge cannot be used again."""
        challenge = session.pop("challenge", b"")
        with lock:
            if challenge not in challenges:
                raise WebAuthnException("the challenge is not known")
            challenges.remove(challenge)
        return {
            "expected_challenge": challenge,
            "expected_rp_id": rp_id,
            "expected_origin": origin,
            "require_user_verification": True,
        }

    @app.post("/attestation/options")
    def begin_registration():
        name = request.json["username"]
        with lock:
            if any(known == name for known, _, _ in credentials.values()):
                return refused("the account exists")
        wanted = request.json.get("authenticatorSelection", {}).get("residentKey", "required")
        selection = AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement(wanted), user_verification=UserVerificationRequirement.REQUIRED
        )
        options = generate_registration_options(
            rp_id=rp_id, rp_name="Passkeys on Flask", user_name=name, authenticator_selection=selection
        )
        return begin(options, name=name)

    @app.post("/attestation/result")
    def complete_registration():
        verified = verify_registration_response(credential=request.json, **expected())
        with lock:
            if verified.credential_id in credentials:
                return refused("the credential is registered")
            stored = (session["name"], verified.credential_public_key, verified.sign_count)
            credentials[verified.credential_id] = stored
        return jsonify(status="ok", errorMessage="", username=session["name"])

    @app.post("/assertion/options")
    def begin_sign_in():
        name = request.json.get("username")
        with lock:
            allowed = [id for id, (owner, _, _) in credentials.items() if owner == name]
        if name is not None and not allowed:
            return refused("no account has this name", 404)
        options = generate_authentication_options(
            rp_id=rp_id,
            allow_credentials=[PublicKeyCredentialDescriptor(id=id) for id in allowed],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return begin(options)

    @app.post("/assertion/result")
    def complete_sign_in():
        compared = expected()
        id = base64url_to_bytes(request.json["rawId"])
        with lock:
            if id not in credentials:
                return refused("the credential is not known")
            name, public_key, sign_count = credentials[id]
        verified = verify_authentication_response(
            credential=request.json,
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            **compared,
        )
        with lock:
            credentials[id] = (name, public_key, verified.new_sign_count)
        return jsonify(status="ok", errorMessage="", username=name)

    @app.errorhandler(WebAuthnException)
    def not_verified(error):
        return refused(str(error))

    return app


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    port = int(sys.argv[1])
    create_app("localhost", f"http://localhost:{port}").run(port=port, threaded=True)
