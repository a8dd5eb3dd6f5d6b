"""Runs every case through every library and prints a table. Usage: check.py PATH-TO-KEYFOB [--every-bit] [SERVE
OPTION]..."""

import json
import os
import pathlib
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

from cases import IN_DER_HEADS, ROOT, cases
from fido2.utils import websafe_encode
from routes import ORIGIN, RP

HERE = pathlib.Path(__file__).parent
NPM_PACKAGE = pathlib.Path(os.environ["NODE_MODULES"]) / "@simplewebauthn/server/package.json"
JUDGES = {
    "fido2.server": (version("fido2"), [sys.executable, HERE / "fido2_server.py"]),
    "webauthn": (version("webauthn"), [sys.executable, HERE / "py_webauthn.py"]),
    "@simplewebauthn/server": (
        json.loads(NPM_PACKAGE.read_text())["version"],
        ["node", HERE / "simplewebauthn.mjs"],
    ),
}

# The algorithms that a library does not verify: its message, and the reason. Any other refusal is a failure.
NOT_LISTED = ("Unsupported credential public key alg", "its list of COSE algorithms does not have it")
NO_ML_DSA = ("does not support use of ML-DSA", "Web Cryptography has it from Node 24 on")
UNSUPPORTED = {
    "fido2.server": {},
    "webauthn": {"ES384": NOT_LISTED, "ES256K": NOT_LISTED},
    "@simplewebauthn/server": {
        "ES256K": ("Unexpected COSE crv value of 8", "Web Cryptography has no secp256k1"),
        "MLDSA44": NO_ML_DSA,
        "MLDSA65": NO_ML_DSA,
        "MLDSA87": NO_ML_DSA,
    },
}

# Flipped bits that a library accepts because they are in DER heads and change no value: the parts, and the reason. Any
# other accepted flip is a failure.
LENIENT = {
    "fido2.server": ("attStmt.x5c" + IN_DER_HEADS, "it passes over the unused bits of a certificate's signature"),
    "@simplewebauthn/server": (IN_DER_HEADS, "its parser passes over classes, lengths and unused bits that do not fit"),
}


def verdicts(command, judged):
    """The verdicts of a library on all cases, in order."""
    rp = {"id": RP["id"], "origin": ORIGIN, "root": websafe_encode(ROOT.read_bytes()), "cases": judged}
    done = subprocess.run(command, input=json.dumps(rp), stdout=subprocess.PIPE, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if len(lines) != len(judged):
        raise RuntimeError(f"{len(lines)} verdicts instead of {len(judged)}")
    return lines


def main(keyfob, *options):
    serve = [option for option in options if option != "--every-bit"]
    judged = [*cases(keyfob, "--every-bit" in options, serve)]

    row = "{:<30} {:<9} {:<22} {:<9} {}".format
    print(row("library", "algorithm", "attestation", "verified", "refused with one bit flipped"))
    counts, notes = Counter(), Counter()
    with ThreadPoolExecutor() as pool:
        said_by = {library: pool.submit(verdicts, command, judged) for library, (_, command) in JUDGES.items()}
    for library, (number, _) in JUDGES.items():
        for case, verdict in zip(judged, said_by[library].result(), strict=True):
            said = [f"{library} {number}", case["name"], f"{case['format']}, {case['attestation']}"]
            if verdict["refused"]:
                words, reason = UNSUPPORTED[library].get(case["name"], (None, None))
                skipped = words is not None and words in verdict["refused"]
                counts["skipped" if skipped else "failed"] += 1
                print(row(*said, *(["skipped", ""] if skipped else ["NO", verdict["refused"]])))
                if skipped:
                    notes[f"skipped: {library}, {case['name']}: {reason}"] += 1
                continue
            accepted = Counter(f"{ceremony} {part}" for ceremony, _, _, _, part in verdict["accepted"])
            refused = f"{len(case['flips']) - accepted.total()} of {len(case['flips'])}"
            parts, reason = LENIENT.get(library, ((), None))
            for part in [part for part in accepted if part.endswith(parts)]:
                notes[f"lenient: {library}: {reason}"] += accepted.pop(part)
            counts["failed" if accepted else "passed"] += 1
            print(row(*said, "yes", f"{refused}; ACCEPTED: {dict(accepted)}" if accepted else refused), flush=True)
    for note, times in notes.items():
        print(f"{note} ({times})")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return counts["failed"] or not counts["passed"]


sys.exit(1 if main(*sys.argv[1:]) else 0)
