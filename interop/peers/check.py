"""Our client with other projects' authenticators: every ceremony and operation that they support. python-fido2's
relying party verifies the results. Usage: check.py CLIENT PEER..."""

import json
import re
import subprocess
import sys
import time
import traceback
from contextlib import contextmanager

from fido2.ctap2 import Ctap2
from fido2.server import Fido2Server
from fido2.utils import websafe_decode, websafe_encode
from routes import ORIGIN, RP
from runner import equal
from tcp_connection import open_device

PIN, NEW_PIN = "1234", "new pin"


class Peer:
    """A program that serves an authenticator, and our client that uses it."""

    def __init__(self, client, *command):
        self._client, self._command = client, command

    def __enter__(self):
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        self.address = re.search(r"tcp ([\d.]+):(\d+)", self._process.stdout.readline()).groups()
        device = open_device(self.address[0], int(self.address[1]))
        self.info = Ctap2(device, strict_cbor=False).info
        device.close()
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()

    def run(self, *words, pin=None, options=None):
        command = [self._client, ":".join(self.address), *words, *(["--pin", pin] if pin else [])]
        done = subprocess.run(command, input=json.dumps(options), capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise Refused(done.stderr.strip())
        return done.stdout

    def has(self, extension):
        return extension in self.info.extensions


class Refused(Exception):
    """Our client's error message."""


@contextmanager
def refused(words):
    try:
        yield
    except Refused as error:
        if words not in str(error):
            raise
    else:
        raise AssertionError(f"nothing failed instead of {words}")


class RelyingParty:
    """A relying party with its accounts and their credentials."""

    def __init__(self, peer):
        self._peer, self._server = peer, Fido2Server(RP, attestation="direct")
        self._accounts = 0
        self.credentials = []

    def register(self, pin=None, discoverable=False, extensions=None, exclude=()):
        """Registers one more account. Returns its credential and the extension results."""
        self._accounts += 1
        user = {"id": b"account %d" % self._accounts, "name": f"account {self._accounts}", "display_name": "Account"}
        options, state = self._server.register_begin(
            user,
            credentials=list(exclude),
            resident_key_requirement="required" if discoverable else "discouraged",
            user_verification="required" if pin else "discouraged",
            extensions=extensions,
        )
        response = json.loads(self._peer.run("create", ORIGIN, pin=pin, options=dict(options.public_key)))
        credential = self._server.register_complete(state, response).credential_data
        self.credentials.append(credential)
        return credential, response["clientExtensionResults"]

    def sign_in(self, pin=None, allow=(), extensions=None):
        """Signs in. Returns the response."""
        options, state = self._server.authenticate_begin(
            list(allow), user_verification="required" if pin else "discouraged", extensions=extensions
        )
        response = json.loads(self._peer.run("get", ORIGIN, pin=pin, options=dict(options.public_key)))
        self._server.authenticate_complete(state, list(allow) or self.credentials, response)
        return response


CHECKS = []


def check(name, needed=lambda peer: True):
    def add(function):
        CHECKS.append((name, needed, function))
        return function

    return add


def extension(name):
    return lambda peer: peer.has(name)


def option(name):
    return lambda peer: name in peer.info.options


@check("registers without a PIN, signs in with an allow list, and is refused an excluded credential")
def _(peer, rp):
    first, _ = rp.register()
    second, _ = rp.register()
    rp.sign_in(allow=[first])
    rp.sign_in(allow=[second, first])
    with refused("DeviceIneligible"):
        rp.register(exclude=[first])


@check("is refused a sign-in with another key's credentials")
def _(peer, rp):
    first, _ = rp.register()
    stranger = type(first).create(first.aaguid, bytes(len(first.credential_id)), first.public_key)
    with refused("DeviceIneligible"):
        rp.sign_in(allow=[stranger])


@check("selects a key by a touch", lambda peer: "FIDO_2_1" in peer.info.versions)
def _(peer, rp):
    peer.run("select")


@check("sets a PIN, tells how many attempts are left, and changes it", option("clientPin"))
def _(peer, rp):
    peer.run("set-pin", PIN)
    with refused("PinAlreadySet"):
        peer.run("set-pin", PIN)
    before = peer.run("retries")
    with refused("Pin"):
        rp.register(pin="wrong")
    if peer.run("retries") == before:
        raise AssertionError("a wrong PIN has cost nothing")
    rp.register(pin=PIN)
    equal(peer.run("retries"), before)
    peer.run("change-pin", NEW_PIN, pin=PIN)
    credential, _ = rp.register(pin=NEW_PIN)
    rp.sign_in(pin=NEW_PIN, allow=[credential])


@check("registers discoverable credentials, and signs in with the latest", option("rk"))
def _(peer, rp):
    peer.run("set-pin", PIN)
    rp.register(pin=PIN, discoverable=True)
    latest, results = rp.register(pin=PIN, discoverable=True, extensions={"credProps": True})
    equal(results, {"credProps": {"rk": True}})
    response = rp.sign_in(pin=PIN)
    equal(response["id"], websafe_encode(latest.credential_id))
    equal(websafe_decode(response["response"]["userHandle"]), b"account 2")


@check("evaluates secrets", extension("hmac-secret"))
def _(peer, rp):
    peer.run("set-pin", PIN)
    credential, results = rp.register(pin=PIN, extensions={"prf": {}})
    equal(results, {"prf": {"enabled": True}})

    def evaluate(eval, **more):
        response = rp.sign_in(pin=PIN, allow=[credential], extensions={"prf": {"eval": eval, **more}})
        return response["clientExtensionResults"]["prf"]["results"]

    one, two = evaluate({"first": "AQ"}), evaluate({"first": "AQ", "second": "Ag"})
    equal(one["first"], two["first"])
    equal(len({two["first"], two["second"]}), 2)
    by_credential = {websafe_encode(credential.credential_id): {"first": "Ag"}}
    equal(evaluate({"first": "AQ"}, evalByCredential=by_credential)["first"], two["second"])


@check("protects credentials", extension("credProtect"))
def _(peer, rp):
    peer.run("set-pin", PIN)
    protection = {
        "credentialProtectionPolicy": "userVerificationRequired",
        "enforceCredentialProtectionPolicy": True,
    }
    credential, _ = rp.register(pin=PIN, extensions=protection)
    with refused("DeviceIneligible"):
        rp.sign_in(allow=[credential])
    rp.sign_in(pin=PIN, allow=[credential])


@check("stores small blobs", extension("credBlob"))
def _(peer, rp):
    peer.run("set-pin", PIN)
    credential, results = rp.register(pin=PIN, discoverable=True, extensions={"credBlob": websafe_encode(b"blob")})
    equal(results, {"credBlob": True})
    response = rp.sign_in(pin=PIN, allow=[credential], extensions={"getCredBlob": True})
    equal(response["clientExtensionResults"], {"getCredBlob": websafe_encode(b"blob")})


@check("stores large blobs", option("largeBlobs"))
def _(peer, rp):
    peer.run("set-pin", PIN)
    support = {"largeBlob": {"support": "required"}}
    credentials = [rp.register(pin=PIN, discoverable=True, extensions=support) for _ in range(2)]
    for number, (credential, results) in enumerate(credentials):
        equal(results, {"largeBlob": {"supported": True}})
        blob = websafe_encode(b"large blob %d " % number * 20)
        written = rp.sign_in(pin=PIN, allow=[credential], extensions={"largeBlob": {"write": blob}})
        equal(written["clientExtensionResults"], {"largeBlob": {"written": True}})
    for number, (credential, _) in enumerate(credentials):
        read = rp.sign_in(pin=PIN, allow=[credential], extensions={"largeBlob": {"read": True}})
        blob = websafe_encode(b"large blob %d " % number * 20)
        equal(read["clientExtensionResults"], {"largeBlob": {"blob": blob}})


@check("lists, renames and deletes credentials", option("credMgmt"))
def _(peer, rp):
    peer.run("set-pin", PIN)
    ids = [websafe_encode(rp.register(pin=PIN, discoverable=True)[0].credential_id) for _ in range(3)]

    def listed():
        lines = [line.split(" ", 3) for line in peer.run("credentials", pin=PIN).splitlines()[1:]]
        equal({line[0] for line in lines}, {RP["id"]} if lines else set())
        return {id: (websafe_decode(handle), name) for _, id, handle, name in lines}

    equal(listed(), {id: (b"account %d" % number, f"account {number}") for number, id in enumerate(ids, 1)})
    peer.run("rename", ids[0], websafe_encode(b"account 1"), "renamed", pin=PIN)
    peer.run("delete", ids[1], pin=PIN)
    equal(listed(), {ids[0]: (b"account 1", "renamed"), ids[2]: (b"account 3", "account 3")})
    for id in (ids[0], ids[2]):
        peer.run("delete", id, pin=PIN)
    equal(listed(), {})


@check("always verifies the user when configured so", option("alwaysUv"))
def _(peer, rp):
    peer.run("set-pin", PIN)
    peer.run("always-uv", pin=PIN)
    with refused("BadRequest"):
        rp.register()
    rp.register(pin=PIN)


@check("requires longer PINs when configured so", option("setMinPINLength"))
def _(peer, rp):
    peer.run("set-pin", PIN)
    peer.run("min-pin-length", "6", pin=PIN)
    with refused("Pin"):
        rp.register(pin=PIN)  # it has to be changed first
    peer.run("change-pin", NEW_PIN, pin=PIN)
    rp.register(pin=NEW_PIN)


@check("erases everything when it is reset")
def _(peer, rp):
    credential, _ = rp.register()
    if "clientPin" in peer.info.options:
        peer.run("set-pin", PIN)
    peer.run("reset")
    with refused("DeviceIneligible"):
        rp.sign_in(allow=[credential])


def main(client, *peers):
    failed = 0
    for command in peers:
        command = command.split()
        counts = {"ok": 0, "skipped": 0, "FAILED": 0}
        name = command[0].rsplit("/", 1)[-1]
        for title, needed, function in CHECKS:
            start = time.monotonic()
            with Peer(client, *command) as peer:
                verdict = "skipped"
                try:
                    if needed(peer):
                        function(peer, RelyingParty(peer))
                        verdict = "ok"
                except Exception:
                    verdict = "FAILED"
                    traceback.print_exc(limit=-3, file=sys.stdout)
            counts[verdict] += 1
            print(f"{verdict:<7} {name}: {title} ({time.monotonic() - start:.2f} s)", flush=True)
        print(f"{name}: {', '.join(f'{count} {verdict}' for verdict, count in counts.items())}")
        failed += counts["FAILED"] or not counts["ok"]
    return failed


sys.exit(1 if main(*sys.argv[1:]) else 0)
