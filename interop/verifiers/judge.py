"""Common code of the two verifiers in Python. simplewebauthn.mjs does the same in JavaScript.

A judge reads one object with all cases from its standard input, and writes one line for each: null or why the case is
not verified, and which flips are accepted.
"""

import copy
import json
import sys

from fido2.utils import websafe_decode, websafe_encode


def judge(register, authenticate):
    """`register(case, rp)` verifies the registration and returns what `authenticate(case, rp, registered)` needs."""
    rp = json.load(sys.stdin)
    for case in rp["cases"]:
        try:
            registered = register(case, rp)
            authenticate(case, rp, registered)
        except Exception as error:  # noqa: BLE001 - any exception is a refusal
            print(json.dumps({"refused": f"{type(error).__name__}: {error}"}), flush=True)
            continue

        accepted = []
        for flip in case["flips"]:
            ceremony, member, place, mask, _ = flip
            original = case[ceremony]
            case[ceremony] = copy.deepcopy(original)
            response = case[ceremony]["credential"]["response"]
            data = bytearray(websafe_decode(response[member]))
            data[place] ^= mask
            response[member] = websafe_encode(bytes(data))
            try:
                if ceremony == "registration":
                    register(case, rp)
                else:
                    authenticate(case, rp, registered)
                accepted.append(flip)
            except Exception:  # noqa: BLE001, S110 - the same response was accepted without the flip
                pass
            case[ceremony] = original
        print(json.dumps({"refused": None, "accepted": accepted}), flush=True)
