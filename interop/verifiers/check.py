"""Has every library judge every case, and prints a table. Usage: check.py PATH-TO-KEYFOB [--every-bit] [SERVE OPTION]..."""

import json
import os
import pathlib
import subprocess
import sys
from collections import Counter
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

# What a library does not verify, by algorithm, and why. Any other refusal is a failure.
LONGEST_SALT = "it takes PSS with the longest salt only; RFC 8230 §2 has it as long as the hash"
NOT_IN_ITS_LIST = "its list of COSE algorithms does not have it"
UNSUPPORTED = {
    "fido2.server": {
        "PS256": LONGEST_SALT,
    },
    "webauthn": {
        "ES384": NOT_IN_ITS_LIST,
        "ES256K": NOT_IN_ITS_LIST,
        "PS256": LONGEST_SALT,
        "ESP256": NOT_IN_ITS_LIST,
        "ESP384": NOT_IN_ITS_LIST,
        "ESP512": NOT_IN_ITS_LIST,
        "Ed25519": NOT_IN_ITS_LIST,
        "Ed448": NOT_IN_ITS_LIST,
    },
    "@simplewebauthn/server": {
        "ES256K": "Web Cryptography has no secp256k1",
        "ESP256": NOT_IN_ITS_LIST,
        "ESP384": NOT_IN_ITS_LIST,
        "ESP512": NOT_IN_ITS_LIST,
        "Ed25519": NOT_IN_ITS_LIST,
        "Ed448": NOT_IN_ITS_LIST,
        "MLDSA44": "Web Cryptography has it from Node 24 on",
        "MLDSA65": "Web Cryptography has it from Node 24 on",
        "MLDSA87": "Web Cryptography has it from Node 24 on",
    },
}

# Flips that a library accepts and that change no value: it reads more than DER. In any other library, and in any other
# place, an accepted flip is a failure.
LENIENT = {"@simplewebauthn/server": "its ASN.1 parser passes over classes, lengths and unused bits that do not fit"}


def verdicts(command, judged):
    """What a judge says to every case, in their order."""
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
    for library, (number, command) in JUDGES.items():
        for case, verdict in zip(judged, verdicts(command, judged), strict=True):
            said = [f"{library} {number}", case["name"], f"{case['format']}, {case['attestation']}"]
            reason = UNSUPPORTED[library].get(case["name"])
            if verdict["refused"]:
                counts["skipped" if reason else "failed"] += 1
                print(row(*said, *(["skipped", ""] if reason else ["NO", verdict["refused"]])))
                if reason:
                    notes[f"skipped: {library}, {case['name']}: {reason}"] += 1
                continue
            accepted = Counter(f"{ceremony} {part}" for ceremony, _, _, _, part in verdict["accepted"])
            refused = f"{len(case['flips']) - accepted.total()} of {len(case['flips'])}"
            lenient = [part for part in accepted if library in LENIENT and part.endswith(IN_DER_HEADS)]
            for part in lenient:
                notes[f"lenient: {library}: {LENIENT[library]}"] += accepted.pop(part)
            counts["failed" if accepted else "passed"] += 1
            print(row(*said, "yes", f"{refused}; ACCEPTED: {dict(accepted)}" if accepted else refused), flush=True)
    for note, times in notes.items():
        print(f"{note} ({times})")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return counts["failed"] or not counts["passed"]


sys.exit(1 if main(*sys.argv[1:]) else 0)
