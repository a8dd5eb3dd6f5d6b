"""The backend-proxied pattern: the Flask application of flask_application.py and `keyfob-rp backend`, each in front of
the server."""

import logging
import threading

import requests
from rest import FidoKey
from server import Backend, Key, Server, check
from werkzeug.serving import make_server

import flask_application

logging.getLogger("werkzeug").setLevel(logging.ERROR)


def ceremonies(name, base, key, origin):
    """A device: the five phases, twice."""
    fido = FidoKey(key, origin)
    post = lambda path, body: requests.post(base + path, json=body, timeout=30)  # noqa: E731
    begun = post("/fido/register", {"operation": "register", "username": name, "displayName": name})
    check(f"{name}: the options come with cookies in JSON", begun.ok and begun.json()["cookies"], begun.text)
    check(f"{name}: and with none in headers", "set-cookie" not in begun.headers)
    body = {"operation": "registerComplete", "username": name, "cookies": begun.json()["cookies"],
            "cardResponseData": fido.create(begun.json())}
    done = post("/fido/register", body)
    check(f"{name}: registers", done.ok, done.text)
    again = post("/fido/register", body)
    check(f"{name}: the same again is refused: {again.json()['errorMessage']}", again.status_code == 400, again.text)
    begun = post("/fido/authenticate", {"operation": "authenticate", "username": name})
    body = {"operation": "authenticateComplete", "username": name, "cookies": begun.json()["cookies"],
            "cardResponseData": fido.get(begun.json())}
    done = post("/fido/authenticate", body)
    check(f"{name}: signs in", done.ok and done.json()["username"] == name, done.text)
    nobody = post("/fido/authenticate", {"operation": "authenticate", "username": "nobody"})
    check(f"{name}: a refusal of the server comes through: {nobody.json()['errorMessage']}",
          nobody.status_code == 404 and nobody.json()["status"] == "failed", nobody.text)
    for body in {}, {"operation": "register"}, {"operation": "registerComplete"}, {"operation": "other"}:
        refused = post("/fido/register", body)
        check(f"{name}: {body} is refused: {refused.json()['errorMessage']}", refused.status_code == 400, refused.text)
    fido.close()
    return done


with Server() as server, Key() as key:
    with Backend(server) as backend:
        ceremonies("keyfob-rp backend", backend.url, key, server.url)

    application = flask_application.application(server.url)
    http = make_server("127.0.0.1", 0, application, threaded=True)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{http.server_port}"
    done = ceremonies("Flask", base, key, server.url)
    token = done.json()["session"]
    me = lambda token: requests.get(base + "/me", headers={"Authorization": f"Bearer {token}"}, timeout=30)  # noqa: E731
    check("Flask: its own session says who signed in", me(token).json()["username"] == "Flask", me(token).text)
    check("Flask: an invented session is refused", me("x").status_code == 401)
    requests.post(base + "/sign-out", headers={"Authorization": f"Bearer {token}"}, timeout=30)
    check("Flask: signing out ends the session", me(token).status_code == 401)
    http.shutdown()

# The server has been stopped.
answer = application.test_client().post("/fido/register", json={"operation": "register", "username": "alice"})
check(f"Flask: a server that is gone is told: {answer.json['errorMessage']}", answer.status_code == 502, answer.text)
