"""The conversation and the table of docs/testing.md: what the page says of the control socket and of Rust is what there is.

    python3 testing.py FILE     FILE has the page's conversation with the socket
"""

import json
import pathlib
import re
import socket
import sys

import keyfob_control

ROOT = pathlib.Path(__file__).resolve().parents[2]


def check(what, holds, shown=""):
    print(f"{'ok' if holds else 'FAILED'}: {what}{'' if holds else f': {shown}'}", flush=True)
    if not holds:
        sys.exit(1)


def fits(shown, actual):
    """Whether this is what the page shows, which leaves out members and the ends of texts."""
    if isinstance(shown, dict):
        return all(name in actual and fits(value, actual[name]) for name, value in shown.items())
    return isinstance(actual, str) if isinstance(shown, str) and shown.endswith("…") else shown == actual


def conversation(page):
    """Sends the lines that begin with →. What comes back fits the lines that begin with ←, in their order."""
    with keyfob_control.serve("--tcp", "127.0.0.1:0") as key, socket.socket(socket.AF_INET) as own:
        own.connect(key._socket.getpeername())  # a second connection
        lines = own.makefile("rw", encoding="utf-8")
        for line in page:
            direction, text = line.split(" ", 1)
            if direction == "→":
                lines.write(text + "\n")
                lines.flush()
                continue
            shown = json.loads(text.replace(", …", ""))
            if "event" in shown:  # a page that asks for a touch
                [held] = key.credentials()
                named = [{"type": "public-key", "id": held["credentialId"]}]
                options = {"challenge": "YW5vdGhlcg", "allowCredentials": named, "userVerification": "discouraged"}
                key.get("https://example.org", options)
            actual = json.loads(lines.readline())
            while "event" in shown and actual["event"] != shown["event"]:
                actual = json.loads(lines.readline())
            check(f"docs/testing.md: {line}", fits(shown, actual), actual)


def table():
    page = (ROOT / "docs/testing.md").read_text()
    rows = [row.split("|")[1:-1] for row in page.splitlines() if row.startswith("| ") and row.count("|") == 8]
    columns = [set(re.findall(r"`([A-Za-z_]+)", " ".join(row[column] for row in rows[1:]))) for column in range(4)]
    schema = json.loads((ROOT / "docs/control.schema.json").read_text())
    verbs = {verb["properties"]["verb"]["const"] for verb in schema["$defs"]["request"]["oneOf"]}
    check("the table has every verb of the socket", verbs <= columns[2], verbs - columns[2])
    control = (ROOT / "soft-authenticator/src/testing/control.rs").read_text()
    calls = set(re.findall(r"^    pub fn ([a-z_]+)", control, re.MULTILINE))
    check("the table has every call of Rust", calls <= columns[0], calls - columns[0])
    commands = {"Add Virtual Authenticator", "Add Credential", "Get Credentials", "Remove Credential",
                "Remove All Credentials", "Set User Verified", "Set Credential Properties"}
    shown = " ".join(row[3] for row in rows)
    check("the table has every command of WebDriver", all(name in shown for name in commands), shown)


table()
conversation(open(sys.argv[1]).read().splitlines())
