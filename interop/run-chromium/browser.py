"""Browsers through WebDriver, with the standard library alone, and a page for them on localhost."""

import http.server
import json
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request

PATIENCE = 120  # seconds; a loaded machine is slow to start a browser

# `ceremony` runs one of the page's functions, and gives WebDriver its result as a list.
PAGE = """<!doctype html><title>keyfob</title><script>
const bytes = (text) => new TextEncoder().encode(text);
const hex = (buffer) => buffer && Array.from(new Uint8Array(buffer), (b) => b.toString(16).padStart(2, "0")).join("");
const unhex = (text) => new Uint8Array(text.match(/../g).map((two) => parseInt(two, 16)));
const id = (text) => ({type: "public-key", id: unhex(text)});
const plain = (value) => value instanceof ArrayBuffer || ArrayBuffer.isView(value) ? {hex: hex(value.buffer ?? value)}
    : value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]))
    : value;
const result = (credential) => {
    const r = credential.response;
    return {id: hex(credential.rawId), attachment: credential.authenticatorAttachment,
        clientData: JSON.parse(new TextDecoder().decode(r.clientDataJSON)), clientDataJSON: hex(r.clientDataJSON),
        attestationObject: hex(r.attestationObject), publicKey: r.getPublicKey && hex(r.getPublicKey()),
        algorithm: r.getPublicKeyAlgorithm?.(), transports: r.getTransports?.(),
        authenticatorData: hex(r.authenticatorData ?? r.getAuthenticatorData?.()), signature: hex(r.signature),
        userHandle: hex(r.userHandle), extensions: plain(credential.getClientExtensionResults())};
};
const create = (more = {}, algorithms = [-7], user = "alice") => navigator.credentials.create({publicKey: {
    rp: {id: "localhost", name: "Test"}, user: {id: bytes(user), name: user, displayName: user},
    challenge: bytes("a challenge of 32 bytes or longer"), timeout: 20000,
    pubKeyCredParams: algorithms.map((alg) => ({type: "public-key", alg})), ...more}, signal: more.signal}).then(result);
const get = (ids, more = {}) => navigator.credentials.get({publicKey: {
    rpId: "localhost", challenge: bytes("another challenge of at least 32 bytes"), timeout: 20000,
    allowCredentials: ids.map(id), ...more}, signal: more.signal}).then(result);
const abandoned = (millis) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), millis);
    return create({authenticatorSelection: {userVerification: "discouraged"}, signal: controller.signal});
};
const ceremony = (run, done) => run().then((value) => done([value, null]),
    (error) => done([null, {name: error.name, message: error.message}]));
</script>"""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802
        body = PAGE.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


# Uses the page of keyfob-rp as a person does, and gives WebDriver what it says then.
PRESS = """const [name, button, done] = arguments, find = (id) => document.getElementById(id);
find('name').value = name;
find('message').textContent = '';
find(button).click();
const wait = setInterval(() => {
    const said = find('message').textContent;
    if (!['', 'One moment.', 'Use your key now.'].includes(said)) {
        clearInterval(wait);
        done(said);
    }
}, 50);"""


def set_up(keyfob, key):
    """Lets the key with these switches, whose PIN is 1234, have enterprise attestation and tell localhost how long PINs are."""
    setup = "device=$(fido2-token -L | cut -d: -f1); for what in '-a' '-m localhost'; do echo 1234 | fido2-token -S $what $device; done"
    # Without a terminal, the tool reads the PIN from its input.
    subprocess.run(["setsid", "--wait", keyfob, "run", *key, "--", "bash", "-ec", setup], check=True, capture_output=True)


def serve():
    """Serves the page, and returns its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://localhost:{server.server_port}/"


class Refused(Exception):
    """The DOMException with which a ceremony ended."""

    def __init__(self, error):
        super().__init__(f"{error['name']}: {error['message']}")
        self.name = error["name"]


def check(what, passed, shown=""):
    """Prints a result, and ends the script with 1 when it is not the one that is expected."""
    print(f"{'ok' if passed else 'FAILED'}: {what}{'' if passed else f': {shown}'}", flush=True)
    if not passed:
        sys.exit(1)


class Page:
    """The page in a browser. A subclass has `ceremony`, which runs its functions, `go`, `run` and `quit`, and the
    process of `keyfob run` with what it says."""

    def replug_at_touch(self):
        """Unplugs the key, and plugs it in again, as soon as it waits for a touch."""

        def replug():
            for line in self.said:
                if "waits for a touch" in line:
                    self.process.send_signal(signal.SIGUSR1)
                    break
            for _ in self.said:
                pass

        threading.Thread(target=replug, daemon=True).start()

    def check_own_page(self, keyfob_rp):
        """Checks that the page of keyfob-rp makes an account and signs in."""
        with tempfile.TemporaryDirectory() as folder:
            command = [keyfob_rp, "serve", "--listen", "127.0.0.1:0", "--database", f"{folder}/accounts.sqlite"]
            server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                port = re.search(r":(\d+)", server.stdout.readline())[1]
                self.go(f"http://localhost:{port}/")
                for name, button, expected in (
                    ("alice", "create", "The account is created."),
                    ("", "sign-out", "You are signed out."),
                    ("alice", "sign-in", "You are signed in."),
                    ("", "sign-out", "You are signed out."),
                    ("", "sign-in", "You are signed in."),
                ):
                    said = self.run(PRESS, name, button)
                    check(f"keyfob-rp's page: {button} {name or 'without a name'}: {said}", said == expected)
            finally:
                server.terminate()
                server.wait()
                server.stdout.close()

    def refused(self, expression):
        """The name of the exception with which an expression is rejected, or its value."""
        try:
            return self.ceremony(expression)
        except Refused as refused:
            return refused.name

    def check_refusals(self, registered, more=()):
        """Checks the DOMException of what every browser refuses, and of `more`."""
        cases = {
            "a credential that is excluded": (f"create({{excludeCredentials: [id('{registered}')]}})",
                                              "InvalidStateError"),
            "an origin that is not the party's": ("create({rp: {id: 'example.org', name: 'x'}})", "SecurityError"),
            "a list of credentials of another kind": ("create({pubKeyCredParams: [{type: 'x', alg: -7}]})",
                                                      "NotSupportedError"),
            **dict(more),
        }
        for what, (expression, expected) in cases.items():
            name = self.refused(expression)
            check(f"{what}: {expected}", name == expected, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.quit()


class Browser(Page):
    """A browser with the page, started by a WebDriver that `command` starts."""

    def __init__(self, command, capabilities, page, log=None):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        self.said = self.process.stderr
        self._session = None
        try:
            for line in self.process.stdout:
                if found := re.search(r"on (?:port |127\.0\.0\.1:)([1-9]\d*)", line):
                    break
            else:
                raise RuntimeError(f"{command} did not start")
            threading.Thread(target=lambda: [None for _ in self.process.stdout], daemon=True).start()
            self._base = f"http://127.0.0.1:{found[1]}/session"
            made = self._call("POST", "", {"capabilities": {"alwaysMatch": capabilities}})
            self.capabilities = made["capabilities"]
            self._session = f"/{made['sessionId']}"
            self.post("/timeouts", {"script": PATIENCE * 1000})
            self.go(page)
        except BaseException:
            self.quit()
            raise

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()[:500]) from None

    def post(self, path, body):
        return self._call("POST", self._session + path, body)

    def go(self, url):
        self.post("/url", {"url": url})

    def run(self, body, *arguments):
        """What the body of a function gives to the last of its arguments."""
        return self.post("/execute/async", {"script": body, "args": arguments})

    def script(self, body):
        """The value that this body of a function returns."""
        return self.post("/execute/sync", {"script": body, "args": []})

    def ceremony(self, expression):
        """The result of an expression of the page's JavaScript, which is a promise. Raises `Refused` if it is rejected."""
        script = f"ceremony(() => {expression}, arguments[arguments.length - 1])"
        value, error = self.run(script)
        if error:
            raise Refused(error)
        return value

    def quit(self):
        if self._session:
            try:
                self._call("DELETE", self._session)
            except (RuntimeError, OSError):
                pass
        self.process.terminate()
        self.process.wait(PATIENCE)
