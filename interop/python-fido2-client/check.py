"""Asks both clients for the same ceremonies of the same key, and compares what they send. Usage: check.py KEYFOB CLIENT
[PART OF A NAME]"""

import sys
import time
from collections import Counter

import clients
from deviations import DEVIATIONS, Trace, expected
from matrix import cases
from recorder import Recorder
from routes import ORIGIN
from virtual_key import VirtualKey

SEED = "7"


def run(keyfob, case, client):
    """What a client sends for a case to a fresh key, and what comes of it."""
    with VirtualKey(keyfob, "--seed", SEED, *case.serve) as key:
        options = case.prepare(key.address)
        with Recorder(key.address) as recorder:
            response, error = client(recorder.address, case.ceremony, ORIGIN, options, case.pin)
        return Trace(recorder.requests), response, error, options


def shown(trace):
    return "".join(f"\n    {message.hex()}" for message in trace)


def main(keyfob, program, part=""):
    clients.fix_randomness()
    counts, messages, reasons = Counter(), {}, Counter()
    start = time.monotonic()
    for case in cases(clients.EXTENSIONS):
        if part not in case.name:
            continue
        theirs, their_response, their_error, options = run(keyfob, case, clients.theirs)
        ours, our_response, our_error, _ = run(keyfob, case, lambda *rest: clients.ours(program, *rest))
        rewritten, used, error = expected(theirs, case, options, their_error)
        wrong = []
        if ours.messages != rewritten.messages:
            wrong.append(f"  python-fido2 sent{shown(theirs.messages)}\n  so expected{shown(rewritten.messages)}"
                         f"\n  ours sent{shown(ours.messages)}")
        if our_error != error:
            wrong.append(f"  ended in {our_error}, expected {error}; python-fido2: {their_error}")
        if not wrong and our_response and their_response:
            wrong += clients.differences(our_response, their_response)
        counts["differs" if wrong else "same" if not used else "as listed"] += 1
        reasons.update(used)
        if case.name.startswith(("create: fido2_3_full", "get: fido2_3_full", "create: many", "get: many")):
            messages[case.name] = len(ours.messages), len(theirs.messages)
        if wrong:
            print(f"FAILED {case.name}: {sorted(used)}")
            print("\n".join(wrong), flush=True)
    print(f"\n{'messages of a ceremony':<60} {'ours':>5} {'python-fido2':>13}")
    for name, (our_count, their_count) in messages.items():
        print(f"{name:<60} {our_count:>5} {their_count:>13}")
    print(f"{'all of them':<60} {sum(a for a, _ in messages.values()):>5} {sum(b for _, b in messages.values()):>13}\n")
    for deviation, times in sorted(reasons.items()):
        print(f"{deviation}: {DEVIATIONS[deviation]} ({times})")
    print(f"{counts['same']} the same, {counts['as listed']} but for what is listed, {counts['differs']} failed "
          f"({time.monotonic() - start:.0f} s)")
    return counts["differs"] or not counts["as listed"]


sys.exit(1 if main(*sys.argv[1:]) else 0)
