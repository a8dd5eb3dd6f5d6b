"""Runs keyfob and the other tools on the one key of this machine, and compares what they say."""

import base64
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time

KEYFOB = os.environ["KEYFOB"]
RP = "example.org"


def check(what, passed, shown=""):
    print(f"{'ok' if passed else 'FAILED'}: {what}{'' if passed else f': {shown}'}", flush=True)
    if not passed:
        sys.exit(1)


def equal(what, ours, theirs):
    check(what, ours == theirs, f"keyfob: {ours!r}, the other tool: {theirs!r}")


def run(command, lines=()):
    """A command, with these lines as its standard input."""
    given = "".join(f"{line}\n" for line in lines)
    return subprocess.run(command, input=given, capture_output=True, text=True)


def output(command, lines=()):
    """What a command has printed; it has to succeed."""
    done = run(command, lines)
    check_done(command, done)
    return done.stdout


def check_done(command, done):
    if done.returncode != 0:
        print(f"FAILED: {' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}", flush=True)
        sys.exit(1)


def keyfob(*arguments, pins=(), code=0):
    """keyfob, with these PINs; its JSON object. It has to exit with this code."""
    passed = ("--pin-fd", "0") if pins else ()
    command = [KEYFOB, *arguments, *passed, "--json"]
    done = run(command, pins)
    if code:
        told = json.loads(done.stdout)["error"]
        check(f"keyfob {arguments[0]} says: {told['message']}", done.returncode == code == told["exitCode"], done)
        return told
    check_done(command, done)
    return json.loads(done.stdout)


def bytes_of(text):
    """base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def b64(data):
    return base64.b64encode(data).decode()


def sha256(data):
    return hashlib.sha256(data).digest()


def replug():
    """Plugs the key in again, as `keyfob run`, which is the parent, does it."""
    os.kill(os.getppid(), signal.SIGUSR1)
    time.sleep(0.3)
    for _ in range(50):
        if device(False):
            return
        time.sleep(0.1)


def device(has_to=True):
    """The key's path, as fido2-token lists it."""
    listed = output(["fido2-token", "-L"])
    if has_to:
        check("fido2-token -L lists one key", listed.count("\n") == 1, listed)
    return listed.split(": ")[0]


class Token:
    """fido2-token with the one key."""

    def __init__(self):
        self.path = device()
        self.pin = None

    def __call__(self, *arguments, pins=None):
        return output(["fido2-token", *arguments, self.path], self.pins(pins))

    def refuses(self, *arguments, pins=None):
        return run(["fido2-token", *arguments, self.path], self.pins(pins)).returncode != 0

    def pins(self, pins):
        return ((self.pin,) if self.pin else ()) if pins is None else pins

    def info(self):
        """What -I says: its members, and its options with their values."""
        text = output(["fido2-token", "-I", self.path])
        members = dict(re.findall(r"^([^:\n]+): (.*)$", text, re.M))
        listed = members["options"].split(", ") if members.get("options") else []
        members["options"] = {name.removeprefix("no"): not name.startswith("no") for name in listed}
        return members


def options_of(info):
    """The options of `keyfob info --json`. An option whose name begins with "no" is shortened as in Token.info."""
    return {name.removeprefix("no"): value is not name.startswith("no")
            for name, value in info["info"]["options"].items()}
