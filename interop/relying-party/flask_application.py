"""A backend in Flask between apps with a key and a FIDO server: the backend-proxied pattern.

The app asks this backend, the backend asks the FIDO server, and the app only uses the key. Cookies of the FIDO server
travel inside the JSON, for apps have no cookie jar. Who has signed in gets a session of this backend.

    FIDO_SERVER_URL=http://localhost:8080 flask --app flask_application:from_environment run
"""

import os
import secrets
import threading
import time

import requests
from flask import Flask, jsonify, request

TIMEOUT = 30  # seconds that the FIDO server may take
SESSION = 12 * 60 * 60  # seconds that a session of this backend lasts


class FidoError(Exception):
    """An error with the message for the app."""

    def __init__(self, status, message, body=None):
        super().__init__(message)
        self.status = status
        self.body = body or {"status": "failed", "errorMessage": message}


class FidoServer:
    """The FIDO server's REST API. It is stateless: every call takes cookies and returns them."""

    def __init__(self, url):
        self._url = url.rstrip("/")

    def begin_registration(self, username, display_name=None, **options):
        return self._post("attestation/options", {"username": username, "displayName": display_name, **options})

    def complete_registration(self, card_response_data, cookies):
        return self._post("attestation/result", card_response_data, cookies)

    def begin_authentication(self, username=None, **options):
        return self._post("assertion/options", {"username": username, **options})

    def complete_authentication(self, card_response_data, cookies):
        return self._post("assertion/result", card_response_data, cookies)

    def _post(self, path, body, cookies=None):
        try:
            answer = requests.post(f"{self._url}/fidoapi/certify/{path}", json=body, cookies=cookies, timeout=TIMEOUT)
            content = answer.json()
        except requests.RequestException as error:
            raise FidoError(502, "the FIDO server cannot be reached") from error
        if not answer.ok or content.get("status") != "ok":
            raise FidoError(answer.status_code, content.get("errorMessage"), content)
        return {**content, "cookies": {**(cookies or {}), **answer.cookies.get_dict()}}


class Sessions:
    """The sessions of users who are signed in: random tokens, kept in this process."""

    def __init__(self):
        self._sessions = {}
        self._lock = threading.Lock()

    def open(self, username):
        token = secrets.token_urlsafe(32)
        now = time.monotonic()
        with self._lock:
            self._sessions = {name: kept for name, kept in self._sessions.items() if kept[1] > now}
            self._sessions[token] = username, now + SESSION
        return token

    def username(self, token):
        with self._lock:
            username, expires = self._sessions.get(token, (None, 0))
        return username if time.monotonic() < expires else None

    def close(self, token):
        with self._lock:
            self._sessions.pop(token, None)


def member(body, name, kind=str):
    """A required member of a request."""
    value = body.get(name)
    if not isinstance(value, kind) or not value:
        raise FidoError(400, f"{name} is missing, or not what it should be")
    return value


def application(fido_server_url):
    """The application in front of the FIDO server at this address."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    server, sessions = FidoServer(fido_server_url), Sessions()

    def body():
        content = request.get_json(silent=True)
        if not isinstance(content, dict):
            raise FidoError(400, "the body is not a JSON object")
        return content

    def token():
        return request.headers.get("Authorization", "").removeprefix("Bearer ")

    def options_of(content):
        return {name: content[name] for name in ("rpId", "userVerification") if name in content}

    @app.post("/fido/register")
    def register():
        content = body()
        match member(content, "operation"):
            case "register":  # phases 1 and 2
                username = member(content, "username")
                return server.begin_registration(username, content.get("displayName"), **options_of(content))
            case "registerComplete":  # phases 4 and 5
                return server.complete_registration(member(content, "cardResponseData", dict),
                                                    member(content, "cookies", dict))
        raise FidoError(400, "operation is none of this path")

    @app.post("/fido/authenticate")
    def authenticate():
        content = body()
        match member(content, "operation"):
            case "authenticate":
                return server.begin_authentication(content.get("username"), **options_of(content))
            case "authenticateComplete":
                answer = server.complete_authentication(member(content, "cardResponseData", dict),
                                                        member(content, "cookies", dict))
                # The user name comes from the server's answer, not from the app.
                return {**answer, "session": sessions.open(answer["username"])}
        raise FidoError(400, "operation is none of this path")

    @app.get("/me")
    def me():
        username = sessions.username(token())
        if username is None:
            raise FidoError(401, "nobody is signed in")
        return {"status": "ok", "errorMessage": "", "username": username}

    @app.post("/sign-out")
    def sign_out():
        sessions.close(token())
        return {"status": "ok", "errorMessage": ""}

    @app.errorhandler(FidoError)
    def refused(error):
        return jsonify(error.body), error.status

    @app.errorhandler(404)
    @app.errorhandler(405)
    @app.errorhandler(413)
    @app.errorhandler(500)
    def failed(error):
        return jsonify({"status": "failed", "errorMessage": error.name}), error.code

    return app


def from_environment():
    return application(os.environ["FIDO_SERVER_URL"])
