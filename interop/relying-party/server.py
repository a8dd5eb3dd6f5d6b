"""`keyfob-rp` and `keyfob` as processes of their own, for as long as a `with` block lasts."""

import re
import subprocess
import sys
import tempfile

KEYFOB_RP, KEYFOB = sys.argv[1:3]


class Process:
    """A command that says on its first line where it listens."""

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
    """The FIDO server, with a database that goes away with it."""

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
    """One line a check; the first that fails ends the run."""
    print(f"{'ok' if holds else 'FAILED'}  {what}", flush=True)
    if not holds:
        sys.exit(f"failed: {what}: {detail}")
