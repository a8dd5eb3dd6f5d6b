"""Asks both clients for the same ceremonies of the same key, and compares what they send. Usage: check.py KEYFOB CLIENT
[PART OF A NAME]"""

import sys
import time
from collections import Counter

import clients
import deviations
from matrix import cases
from recorder import Recorder
from trace import read
from virtual_key import VirtualKey

SEED = "7"


def run(keyfob, case, client, change=lambda options: options):
    """The messages between a client and a fresh key in a case, the options, and the result."""
    with VirtualKey(keyfob, "--seed", SEED, *case.serve) as key:
        options, ids = case.prepare(key.address)
        with Recorder(key.address) as recorder:
            response, error = client(recorder.address, case, change(options))
        return read(recorder.exchanges, ids), options, response, error


def compare(keyfob, program, case):
    """The number of messages of our client and of python-fido2, the deviations, and the errors."""
    said, options, response, error = run(keyfob, case, clients.theirs)
    their_count = len(said)
    _, used = deviations.changed(case, options)
    if used:
        change = lambda options: deviations.changed(case, options)[0]
        said, options, response, error = run(keyfob, case, clients.theirs, change)
    expected, more = deviations.expected(said, case, options)
    ours, _, our_response, our_error = run(keyfob, case, lambda *rest: clients.ours(program, *rest))
    wrong = []
    if ours != expected:
        wrong.append(f"  python-fido2 sent{shown(said)}\n  so expected{shown(expected)}\n  ours sent{shown(ours)}")
    if our_error != error:
        wrong.append(f"  ended in {our_error} instead of {error}")
    if our_response and response:
        wrong += clients.differences(our_response, response)
    return len(ours), their_count, used | more, wrong


def shown(said):
    return "".join(f"\n    {each}" for each in said)


def main(keyfob, program, part=""):
    clients.fix_randomness()
    counts, messages, reasons = Counter(), {}, Counter()
    start = time.monotonic()
    for case in cases(clients.EXTENSIONS):
        if part not in case.name:
            continue
        ours, theirs, used, wrong = compare(keyfob, program, case)
        counts["failed" if wrong else "listed" if used else "same"] += 1
        reasons.update(used)
        messages[case.name] = ours, theirs
        if wrong:
            print(f"FAILED {case.name}: {sorted(used)}")
            print("\n".join(wrong), flush=True)
    row = "{:<62} {:>5} {:>13}".format
    print("\n" + row("messages of a ceremony", "ours", "python-fido2"))
    for name, (ours, theirs) in messages.items():
        if "fido2_3_full" in name or "many" in name:
            print(row(name, ours, theirs))
    print(row("all of them", sum(ours for ours, _ in messages.values()), sum(theirs for _, theirs in messages.values())))
    print()
    for number, (reason, _) in {**deviations.INSTEAD, **deviations.DEVIATIONS}.items():
        print(f"({number}) {reason}: {reasons[number]}")
    print(f"{counts['same']} the same, {counts['listed']} but for what is listed, {counts['failed']} failed "
          f"({time.monotonic() - start:.0f} s)")
    return counts["failed"] or not counts["listed"]


sys.exit(1 if main(*sys.argv[1:]) else 0)
