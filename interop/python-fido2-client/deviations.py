"""Where ours sends something else than python-fido2, on purpose. Each has its number in the survey of clients
(python-fido2's defects, 1 to 20), or the reason.

A deviation rewrites what python-fido2 sent to what ours has to send. So every byte of ours is accounted for.
"""

from fido2 import cbor

GET_INFO, MAKE, GET, PIN, NEXT = 0x04, 0x01, 0x02, 0x06, 0x08
CTAPHID_CBOR = 0x10

DEVIATIONS = {
    "(14)": "one getInfo a ceremony",
}


class Trace:
    """The CTAP2 messages of a ceremony, in order."""

    def __init__(self, requests):
        self.messages = [payload for command, payload in requests if command == CTAPHID_CBOR]
        if len(self.messages) != len(requests):
            raise AssertionError("a U2F message")


def decoded(message):
    return message[0], cbor.decode(message[1:]) if message[1:] else {}


def encoded(command, parameters):
    return bytes([command]) + (cbor.encode(parameters) if parameters else b"")


def expected(trace, case, options, error):
    """What ours has to send, the deviations that were used, and how ours has to end."""
    used = set()
    messages = list(trace.messages)
    first = messages[:1]
    rest = [message for message in messages[1:] if message != bytes([GET_INFO])]
    if len(first) + len(rest) != len(messages):
        used.add("(14)")
    rewritten = Trace([])
    rewritten.messages = first + rest
    return rewritten, used, error
