"""`keyfob serve --vpcd` and pcscd in their own processes, for the duration of a `with` block."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time

from fido2.pcsc import CtapPcscDevice
from smartcard.Exceptions import CardConnectionException
from smartcard.scard import SCARD_UNPOWER_CARD

# Seconds. The key looks for its reader four times a second, and pcscd for its card as often.
PATIENCE = 10


def until(what, condition):
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.05)
    return value


def cards():
    return list(CtapPcscDevice.list_devices("Virtual PCD"))


class Reader:
    """A pcscd, alone in its namespace."""

    def __enter__(self):
        self._process = subprocess.Popen(["pcscd", "--foreground", "--critical", "--config", "/run/readers"])
        until("pcscd does not start", lambda: os.path.exists("/run/pcscd/pcscd.comm"))
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()


class Card:
    """A key that is a card in the reader."""

    def __init__(self, *options):
        self._device = None
        self._command = [os.environ["KEYFOB"], "serve", "--vpcd", *options]

    def __enter__(self):
        self._output = tempfile.TemporaryFile()
        self._process = subprocess.Popen(self._command, stdout=self._output)
        return self

    def __exit__(self, *_):
        self.close()
        self._process.terminate()
        if self._process.wait() not in (0, -signal.SIGKILL):
            raise RuntimeError(f"keyfob ended with {self._process.returncode}")

    def told(self):
        """What the key has told since it was started."""
        return os.pread(self._output.fileno(), 1 << 20, 0).decode()

    def send(self, number):
        self._process.send_signal(number)

    def close(self):
        """Ends the connection, which would reset the next card if it were ended later."""
        device, self._device = self._device, None
        if device:
            with contextlib.suppress(CardConnectionException):  # the card is gone
                device.close(release=True)

    def device(self):
        """The card, once pcscd has found it."""
        self.close()
        try:
            self._device = until("no card", cards)[0]
            return self._device
        except TimeoutError as error:
            raise TimeoutError(f"no card. The key told: {self.told()}") from error


def tap(device):
    """Takes the field away and gives it back: the card was taken away and placed again."""
    device._conn.reconnect(disposition=SCARD_UNPOWER_CARD)
    device._select()
