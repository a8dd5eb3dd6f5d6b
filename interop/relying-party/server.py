"""`keyfob-rp` and `keyfob` in their own processes, for the duration of a `with` block."""

import re
import subprocess
import sys
import tempfile

KEYFOB_RP, KEYFOB = sys.argv[1:3]


class Process:
    """A command whose first line of output is the address where it listens."""

    def __init__(self, *command):
        self._command = command

    def __enter__(self):
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=self._errors, text=True)
        line = self._process.stdout.readline()
        found = re.search(r"(localhost|127\.0\.0\.1):(\d+)", line)
        if not found:
            raise RuntimeError(f"{self._command} did not start: {line}")
        self.port = int(found[2])
        self.url = f"http://localhost:{self.port}"
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()


class Server(Process):
    """The FIDO server, with a temporary database."""

    def __init__(self, *options):
        self._folder = tempfile.TemporaryDirectory()
        database = self._folder.name + "/accounts.sqlite"
        super().__init__(KEYFOB_RP, "serve", "--listen", "127.0.0.1:0", "--database", database, *options)

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self._folder.cleanup()


class Backend(Process):
    def __init__(self, server):
        super().__init__(KEYFOB_RP, "backend", "--listen", "127.0.0.1:0", "--server", server.url)


class Key(Process):
    """A virtual key on a socket."""

    def __init__(self, *options):
        super().__init__(KEYFOB, "serve", "--tcp", "127.0.0.1:0", *options)


def check(what, holds, detail=""):
    """Prints one line per check. The first failure ends the run."""
    print(f"{'ok' if holds else 'FAILED'}  {what}", flush=True)
    if not holds:
        sys.exit(f"failed: {what}: {detail}")
