"""Firefox over Marionette, its own protocol: a length, a colon, and a JSON list of type, id, error and result."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from browser import PATIENCE, Page, Refused

PREFERENCES = {
    "marionette.port": 0,  # any free one, which it writes to a file
    "security.webauth.webauthn_enable_softtoken": False,
    "security.webauth.webauthn_enable_usbtoken": True,
    # A window asks before attestation is given to a site; nobody can answer it here.
    "security.webauthn.always_allow_direct_attestation": True,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}


class Firefox(Page):
    """Firefox with a page, started by `command`."""

    def __init__(self, command, page, log=subprocess.DEVNULL):
        self._profile = tempfile.mkdtemp(prefix="keyfob-firefox-")
        self._socket = None
        with open(os.path.join(self._profile, "user.js"), "w") as file:
            for name, value in PREFERENCES.items():
                file.write(f'user_pref("{name}", {json.dumps(value)});\n')
        # A session of its own, so that all its processes can be ended.
        self.process = subprocess.Popen(
            [*command, "firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", self._profile],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True, text=True,
            env={**os.environ, "HOME": self._profile})
        self.said = self.process.stderr
        try:
            self._connect()
            self._messages = 0
            made = self._call("WebDriver:NewSession", {"capabilities": {}})
            self.version = made["capabilities"]["browserVersion"]
            self._call("WebDriver:SetTimeouts", {"script": PATIENCE * 1000})
            self.go(page)
        except BaseException:
            self.quit()
            raise

    def _connect(self):
        path = os.path.join(self._profile, "MarionetteActivePort")
        for _ in range(PATIENCE * 10):
            if self.process.poll() is not None:
                raise RuntimeError(f"Firefox ended with {self.process.returncode}")
            if os.path.exists(path) and (port := open(path).read().strip()):
                break
            time.sleep(0.1)
        else:
            raise RuntimeError("Firefox did not start")
        self._socket = socket.create_connection(("127.0.0.1", int(port)), PATIENCE)
        self._stream = self._socket.makefile("rb")
        self._receive()  # it says who it is

    def _receive(self):
        length = b""
        while not length.endswith(b":"):
            byte = self._stream.read(1)
            if not byte:
                raise RuntimeError("Firefox closed the connection")
            length += byte
        return json.loads(self._stream.read(int(length[:-1])))

    def _call(self, command, parameters):
        self._messages += 1
        message = json.dumps([0, self._messages, command, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(message), message))
        _, _, error, result = self._receive()
        if error:
            raise RuntimeError(f"{command}: {error['message']}")
        return result

    def go(self, url):
        self._call("WebDriver:Navigate", {"url": url})

    def run(self, body, *arguments):
        """What the body of a function gives to the last of its arguments."""
        return self._call("WebDriver:ExecuteAsyncScript", {"script": body, "args": arguments})["value"]

    def ceremony(self, expression):
        """The result of an expression of the page's JavaScript, which is a promise. Raises `Refused` if it is rejected."""
        # As a script of the page, because what Marionette runs sees the page through wrappers.
        run = (f"ceremony(() => {expression}, (result) => document.dispatchEvent("
               "new CustomEvent('ended', {detail: JSON.stringify(result)})))")
        script = ("const [run, done] = arguments, script = document.createElement('script');"
                  "document.addEventListener('ended', (event) => done(event.detail), {once: true});"
                  "script.textContent = run; document.head.append(script)")
        value, error = json.loads(self.run(script, run))
        if error:
            raise Refused(error)
        return value

    def quit(self):
        if self._socket:
            try:
                self._call("Marionette:Quit", {"flags": ["eForceQuit"]})
            except (RuntimeError, OSError, ValueError):
                pass
            self._socket.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        shutil.rmtree(self._profile, ignore_errors=True)
