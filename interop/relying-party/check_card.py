"""`keyfob-rp register` and `sign-in` with a card like the document's: messages of 1,024 bytes, ES256 only."""

import json
import subprocess

from rest import Api
from server import KEYFOB_RP, Backend, Key, Server, check


def run(*arguments):
    """The command's output: one JSON object per ceremony."""
    done = subprocess.run([KEYFOB_RP, *arguments], capture_output=True, text=True, timeout=60)
    answers, decoder, text = [], json.JSONDecoder(), done.stdout.strip()
    while text:
        answer, end = decoder.raw_decode(text)
        answers.append(answer)
        text = text[end:].strip()
    return done, answers


with Server() as server, Backend(server) as backend, Key("--profile", "arculus_like") as card:
    patterns = {"client-direct": ("--server", server.url), "backend-proxied": ("--backend", backend.url)}
    for pattern, where in patterns.items():
        for kind, key, commands in (
            ("a card of this process", "card", [("register", "--sign-in")]),
            ("a card on a socket", f"tcp:127.0.0.1:{card.port}", [("register",), ("sign-in",)]),
        ):
            user = f"{pattern}, {kind}"
            answers = []
            for command in commands:
                done, said = run(*command, *where, "--origin", server.url, "--user", user, "--key", key)
                check(f"{user}: {' '.join(command)}", done.returncode == 0, done.stderr)
                answers += said
            registered, signed_in = answers
            check(f"{user}: the algorithm is ES256, and the same key signs in",
                  registered["credential"]["algorithm"] == "ES256" and signed_in["username"] == user
                  and registered["credential"]["id"] == signed_in["credential"]["id"], answers)
    api = Api(server)
    _, options = api.post("attestation/options", {"username": "eddsa", "algorithms": ["eddsa"]})
    check("only EdDSA can be asked for", [known["alg"] for known in options["pubKeyCredParams"]] == [-8], options)
    done, _ = run("register", "--server", server.url, "--user", "", "--key", "card")
    check(f"a name of no letters is refused: {done.stderr.strip()}", done.returncode == 1 and "username" in done.stderr)
