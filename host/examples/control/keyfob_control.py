"""Tells a virtual key of keyfob what to do, over its control socket. Needs Python 3.9 and nothing else.

    import keyfob_control

    with keyfob_control.serve("--tcp", "127.0.0.1:0") as key:  # or Key("/run/key.control"), or Key() below `keyfob run`
        key.add_credential(rp_id="example.org", user_handle=b"user-0001", sign_count=7, backup_state=True)
        key.lie("userPresent", on=False)
        signed_in = key.get("https://example.org", {"challenge": "YW5vdGhlcg"}, credulous=True)

Every verb of the socket is a method, in Python's spelling: `setUserVerified` is `set_user_verified`, with its members as
arguments by name. Members that are bytes are given as bytes; a page's options are what the page has, with base64url. Results are what the JSON has, with bytes as base64url. What the key refuses
is a `Refused`. docs/control.schema.json has all verbs, members and events.
"""

import base64
import contextlib
import itertools
import json
import os
import queue
import re
import socket
import subprocess
import threading


class Refused(Exception):
    """The key did not do it. `code` is a name, `where` a JSON Pointer into the request. Where the key has answered a
    ceremony with a status of CTAP, `status` is its name and `status_code` its number."""

    def __init__(self, code, message, where, status=None, status_code=None):
        super().__init__(f"{message} ({code}{' at ' + where if where else ''})")
        self.code, self.message, self.where = code, message, where
        self.status, self.status_code = status, status_code


def encode(data):
    """Bytes as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    """The bytes of a text of base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _camel(name):
    return re.sub("_(.)", lambda match: match[1].upper(), name)


def _json(value):
    return encode(value) if isinstance(value, (bytes, bytearray)) else value


class Key:
    """A connection to the control socket at `place`, as `--control` takes it. Several threads may use it."""

    # The members of these verbs that come without their names.
    _POSITIONS = {
        "lie": ["lie"],
        "touch": ["consents"],
        "setTouch": ["touch"],
        "setUserVerified": ["isUserVerified"],
        "setKeepAlives": ["sends"],
        "setDelay": ["milliseconds"],
        "advance": ["milliseconds"],
        "failWrite": ["number"],
        "answer": ["command"],
        "unplugAt": ["at", "command"],
        "jumpAt": ["at", "command"],
        "removeCredential": ["credentialId"],
        "setCredentialProperties": ["credentialId"],
        "create": ["origin", "options"],
        "get": ["origin", "options"],
    }

    def __init__(self, place=None, timeout=60):
        place = place or os.environ["KEYFOB_CONTROL"]
        self.timeout = timeout
        if place.startswith("tcp:"):
            host, _, port = place[4:].rpartition(":")
            self._socket = socket.create_connection((host.strip("[]"), int(port)))
        else:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.connect(place)
        self._ids = itertools.count(1)
        self._answers = {}
        self._last = None  # what the key has said before it closed the connection
        self._lock = threading.Lock()
        self.events = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.begin("status")()  # a connection that never says anything is closed

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _read(self):
        with contextlib.suppress(OSError, ValueError), self._socket.makefile("r", encoding="utf-8") as lines:
            for line in lines:
                message = json.loads(line)
                if "event" in message:
                    self.events.put(message)
                    continue
                with self._lock:
                    if message["id"] is None:
                        self._last = message
                    waiting = [message["id"]] if message["id"] is not None else list(self._answers)
                    for number in waiting:  # an answer without an id ends the connection
                        if number in self._answers:
                            self._answers.pop(number).put(message)
        with self._lock:
            for answer in self._answers.values():
                answer.put(self._last)
            self._answers = None

    def begin(self, verb, **params):
        """Sends a request, and returns a function that waits for its result."""
        answer, number = queue.Queue(), next(self._ids)
        params = {_camel(name): _json(value) for name, value in params.items() if value is not None}
        line = json.dumps({"id": number, "verb": verb, "params": params}) + "\n"
        with self._lock:
            if self._answers is None:
                raise self._error(self._last)
            self._answers[number] = answer
            self._socket.sendall(line.encode())

        def result():
            message = answer.get(timeout=self.timeout)
            if message is None or "error" in message:
                raise self._error(message)
            return message["result"]

        return result

    @staticmethod
    def _error(message):
        if message is None:
            return ConnectionError("the control socket has closed the connection")
        error = message["error"]
        return Refused(error["code"], error["message"], error["where"], error.get("status"), error.get("statusCode"))

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        verb = _camel(name)

        def call(*values, **params):
            positions = self._POSITIONS.get(verb, [])
            if len(values) > len(positions):
                raise TypeError(f"{name} takes {len(positions)} arguments without names")
            return self.begin(verb, **dict(zip(positions, values)), **params)()

        return call

    def create(self, origin, options, credulous=None):
        """`navigator.credentials.create()`: takes the options' JSON, returns the response's."""
        return self.begin("create", origin=origin, options=options, credulous=credulous)()["response"]

    def get(self, origin, options, credulous=None):
        """`navigator.credentials.get()`: takes the options' JSON, returns the response's."""
        return self.begin("get", origin=origin, options=options, credulous=credulous)()["response"]

    def credentials(self):
        """What the key holds."""
        return self.get_credentials()["credentials"]

    def history(self):
        """What the key was asked."""
        return self.get_history()["requests"]

    def wait_for(self, event, timeout=None):
        """The next event of this name, after `subscribe()`. Those before it are dropped."""
        while True:
            told = self.events.get(timeout=timeout or self.timeout)
            if told["event"] == event:
                return told


@contextlib.contextmanager
def serve(*options, keyfob=None):
    """Starts `keyfob serve` with these options, and ends it. `key.doors` has its doors."""
    command = [keyfob or os.environ.get("KEYFOB", "keyfob"), "serve", "--json", "--control", "tcp:127.0.0.1:0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("keyfob has not started")
            serving = json.loads(line)
            with Key(serving["control"]) as key:
                key.doors = serving["doors"]
                yield key
        finally:
            process.terminate()
