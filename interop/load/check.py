"""`keyfob load` against keyfob-rp and the server of downstream/flask: all of it succeeds, what must be refused is refused, and
the counts are exact. The arguments are keyfob and keyfob-rp."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time

KEYFOB, KEYFOB_RP = sys.argv[1:3]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(port, server):
    for _ in range(200):
        if server.poll() is not None:
            sys.exit("the server does not start")
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
    sys.exit("the server does not listen")


def load(port, *arguments):
    command = [KEYFOB, "load", "--json", "--quiet", "--server", f"http://127.0.0.1:{port}", *arguments]
    ended = subprocess.run(command, stdout=subprocess.PIPE)
    return json.loads(ended.stdout), ended.returncode


def check(what, loaded, exits=0, **expected):
    report, code = loaded
    got = {name: report[name] for name in expected}
    if (got, code) != (expected, exits):
        sys.exit(f"{what}: {got} and exit code {code}, not {expected} and {exits}\n{json.dumps(report, indent=1)}")
    rate = (report["registrations"] + report["signIns"]) / report["seconds"]
    print(f"ok  {what}, {rate:.0f} ceremonies a second", flush=True)
    return [error["kind"] + ": " + error["example"] for error in report["errorsByKind"]]


port = free_port()
server = subprocess.Popen([sys.executable, os.path.join(os.path.dirname(__file__), "../../downstream/flask/app.py"), str(port)],
                          stdout=subprocess.DEVNULL)
try:
    wait_for(port, server)
    loaded = load(port, "--clients", "50", "--rounds", "4", "--seed", "1")
    check("50 clients sign in by name", loaded, registrations=50, signIns=200, errors=0)
    loaded = load(port, "--clients", "50", "--rounds", "1", "--seed", "1")
    errors = check("their accounts exist already", loaded, 4, registrations=0, signIns=0, errors=50)
    assert errors == ["refused: 400: the account exists"], errors
    loaded = load(port, "--clients", "20", "--rounds", "4", "--seed", "2", "--discoverable")
    check("20 clients sign in without a name", loaded, registrations=20, signIns=80, errors=0)
    loaded = load(port, "--clients", "10", "--rounds", "2", "--seed", "3", "--pattern", "churn")
    check("10 clients churn where keys stay", loaded, registrations=20, signIns=20, deletions=0, errors=0)
    loaded = load(port, "--clients", "10", "--rounds", "1", "--seed", "4", "--origin", "http://localhost")
    errors = check("responses of another origin are refused", loaded, 4, registrations=0, signIns=0, errors=10)
    assert len(errors) == 1 and "origin" in errors[0], errors
finally:
    server.terminate()
    server.wait()

with tempfile.TemporaryDirectory() as folder:
    port = free_port()
    command = [KEYFOB_RP, "serve", "--quiet", "--listen", f"127.0.0.1:{port}", "--database", f"{folder}/accounts.sqlite"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for(port, server)
        loaded = load(port, "--clients", "50", "--rounds", "4", "--seed", "1")
        check("keyfob-rp: 50 clients sign in by name", loaded, registrations=50, signIns=200, errors=0)
        for _ in range(2):  # the accounts are gone: the same names register again
            loaded = load(port, "--clients", "20", "--rounds", "2", "--seed", "3", "--pattern", "churn", "--discoverable")
            check("keyfob-rp: 20 clients churn", loaded, registrations=40, signIns=40, deletions=40, errors=0)
    finally:
        server.terminate()
        server.wait()
