"""`keyfob serve` in its own process, for the duration of a `with` block."""

import re
import subprocess

from tcp_connection import open_device


class VirtualKey:
    def __init__(self, keyfob, *options):
        self._command = [keyfob, "serve", "--tcp", "127.0.0.1:0", *options]

    def __enter__(self):
        # Standard input is never closed: with `--touch prompt` it is the finger.
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        address = re.search(r"tcp ([\d.]+):(\d+)", self._process.stdout.readline())
        if not address:
            self.__exit__()
            raise RuntimeError(f"{self._command[0]} did not start serving")
        self.address = address[1], int(address[2])
        self._device = None
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def plug_in(self):
        """Unplugs the key if it is plugged in, and plugs it in again: a power cycle."""
        if self._device:
            self._device.close()
        self._device = open_device(*self.address)
        return self._device

    def answer_touch(self, consent=True):
        """Waits until the key has asked, then touches it or declines."""
        while "Touch your security key" not in self._process.stdout.readline():
            if self._process.poll() is not None:
                raise RuntimeError("the server ended")
        self.touch(consent)

    def touch(self, consent=True):
        self._process.stdin.write("\n" if consent else "n\n")
