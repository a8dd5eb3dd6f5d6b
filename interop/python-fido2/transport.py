"""GetInfo, CTAPHID, touches, cancelling, plugging in and out, malformed requests."""

from threading import Event, Thread, Timer

from fido2.client import ClientError
from fido2.ctap import CtapError
from fido2.ctap2 import Ctap2
from fido2.ctap2.pin import ClientPin
from fido2.hid import CAPABILITY, CTAPHID, CtapHidDevice
from ceremonies import account, register, relying_party
from routes import RP, User, client
from runner import answers, check, client_fails, equal

ES256 = {"type": "public-key", "alg": -7}
EDDSA = {"type": "public-key", "alg": -8}
USER = {"id": b"user", "name": "user"}


@check("getInfo is canonical and lists the key's capabilities")
def _(key):
    device = key.plug_in()
    # By default the library refuses a response that it would have encoded differently.
    info = Ctap2(device, strict_cbor=True).info
    equal(bytes(info.aaguid)[:6], b"keyfob")
    for option, value in {"rk": True, "clientPin": False, "pinUvAuthToken": True, "makeCredUvNotRqd": True}.items():
        equal((option, info.options.get(option)), (option, value))
    equal(info.pin_uv_protocols, [2, 1])
    for algorithm in (ES256, EDDSA):
        equal(algorithm in info.algorithms, True)
    equal(device.capabilities & (CAPABILITY.CBOR | CAPABILITY.WINK), CAPABILITY.CBOR | CAPABILITY.WINK)


@check("PING returns what it was given, up to the longest message, and refuses one byte more")
def _(key):
    device = key.plug_in()
    for length in (0, 1, 57, 58, 1000, 7609):
        message = bytes(index % 251 for index in range(length))
        equal(device.ping(message), message)
    with answers(CtapError.ERR.INVALID_LENGTH):
        device.ping(bytes(7610))
    equal(device.ping(b"still here"), b"still here")


@check("WINK is answered; LOCK, if it is supported, locks out another channel until it ends", "--lock")
def _(key):
    device = key.plug_in()
    device.wink()
    other = CtapHidDevice(device.descriptor, device._connection)  # a second channel to the same key
    device.lock(10)
    device.ping()
    given_up = Event()
    given_up.set()
    with answers(CtapError.ERR.CHANNEL_BUSY):
        other.call(CTAPHID.PING, b"", given_up)
    device.lock(0)
    other.ping()
    other.lock(1)
    device.ping()  # the library asks again until the second is over
    with answers(CtapError.ERR.INVALID_PARAMETER):
        device.lock(11)


@check("a key that is strict about channels accepts only allocated ones", "--strict-channels")
def _(key):
    device = key.plug_in()
    Ctap2(device).make_credential(bytes(32), RP, USER, [ES256])
    device._channel_id ^= 0x5A5A5A5A
    with answers(CtapError.ERR.INVALID_CHANNEL):
        device.ping()


@check("a key that was plugged in 200 times still has its credentials")
def _(key):
    ctap = Ctap2(key.plug_in())
    credential = ctap.make_credential(bytes(32), RP, USER, [ES256], options={"rk": True}).auth_data.credential_data
    for _ in range(200):
        Ctap2(key.plug_in())
    Ctap2(key.plug_in()).get_assertion(RP["id"], bytes(32)).verify(bytes(32), credential.public_key)


@check("the key works after a client has unplugged in the middle of a request or a report")
def _(key):
    for request in (b"\x04", b"\x01" + bytes(3000)):
        device = key.plug_in()
        header = device._channel_id.to_bytes(4, "big") + b"\x90" + len(request).to_bytes(2, "big")
        device._connection.write_packet((header + request)[:64].ljust(64, b"\0"))
        device._connection.write_packet(bytes(10))
        Ctap2(key.plug_in())


@check("selection, with the command and with the client")
def _(key):
    device = key.plug_in()
    for pin in (None, "1234"):
        if pin:
            ClientPin(Ctap2(device)).set_pin(pin)
        Ctap2(device).selection()
        client(device, User()).selection()


def options():
    """For a registration without PIN."""
    return relying_party("own", ES256["alg"]).register_begin(account(1), user_verification="discouraged")[0].public_key


@check("a user who declines to touch gets OPERATION_DENIED", "--touch", "deny")
def _(key):
    device = key.plug_in()
    with client_fails(ClientError.ERR.BAD_REQUEST, CtapError.ERR.OPERATION_DENIED):
        client(device, User()).make_credential(options())
    for refuse in (Ctap2(device).selection, Ctap2(device).reset):
        with answers(CtapError.ERR.OPERATION_DENIED):
            refuse()


@check("a touch that is awaited can be given and declined", "--touch", "prompt")
def _(key):
    device = key.plug_in()
    server = relying_party("own", ES256["alg"])
    touched = []

    def touch():
        touched.append(True)
        key.answer_touch()

    class Route:
        def register(self, options):
            return client(device, User(None, touch)).make_credential(options.public_key)

    register(server, Route(), account(1))
    equal(len(touched), 1)
    with client_fails(ClientError.ERR.BAD_REQUEST, CtapError.ERR.OPERATION_DENIED):
        client(device, User(None, lambda: key.answer_touch(False))).make_credential(options())


@check("a request that waits for a touch can be cancelled, and the key then works", "--touch", "prompt")
def _(key):
    device = key.plug_in()

    def cancelled(run):
        event = Event()
        # When a person gives up, the client first shows the prompt, and sets the event a moment later.
        run(User(None, lambda: Timer(0.25, event.set).start()), event)

    def register(user, event):
        with client_fails(ClientError.ERR.TIMEOUT, CtapError.ERR.KEEPALIVE_CANCEL):
            client(device, user).make_credential(options(), event)

    def select(user, event):
        with answers(CtapError.ERR.KEEPALIVE_CANCEL):
            Ctap2(device).selection(event=event, on_keepalive=lambda _: user.prompt_up())

    def reset(user, event):
        with answers(CtapError.ERR.KEEPALIVE_CANCEL):
            Ctap2(device).reset(event=event, on_keepalive=lambda _: user.prompt_up())

    for run in (register, select, reset):
        cancelled(run)
    # The timeout of a relying party is also an event.
    with client_fails(ClientError.ERR.TIMEOUT, CtapError.ERR.KEEPALIVE_CANCEL):
        client(device, User()).make_credential({**dict(options()), "timeout": 300})
    # An event that is set before the request is sent.
    gone = Event()
    gone.set()
    with client_fails(ClientError.ERR.TIMEOUT, CtapError.ERR.KEEPALIVE_CANCEL):
        client(device, User()).make_credential(options(), gone)
    register_and_touch(key, device)


def register_and_touch(key, device):
    """Registers, and touches until the key has answered: whether a request that is cancelled at once still asks is open."""
    done = Event()

    def touch():
        while not done.wait(0.1):
            key.touch()

    try:
        client(device, User(None, Thread(target=touch).start)).make_credential(options())
    finally:
        done.set()


# Requests as bytes, and the key's answers (CTAP 2.3 §8.1; INVALID_CBOR covers everything that is not canonical).
MALFORMED = {
    "an unknown command": ("3f", "INVALID_COMMAND"),
    "a vendor command": ("bf", "INVALID_COMMAND"),
    "no parameters": ("01", "INVALID_CBOR"),
    "an empty map": ("01 a0", "MISSING_PARAMETER"),
    "an array": ("01 80", "CBOR_UNEXPECTED_TYPE"),
    "a member of the wrong type": ("01 a1 01 01", "CBOR_UNEXPECTED_TYPE"),
    "a truncated map": ("06 a2 01 01", "INVALID_CBOR"),
    "a truncated string": ("02 a1 01 64 61", "INVALID_CBOR"),
    "bytes after the end": ("06 a2 01 01 02 01 00", "INVALID_CBOR"),
    "keys out of order": ("06 a2 02 01 01 01", "INVALID_CBOR"),
    "a key twice": ("06 a3 01 01 02 01 02 01", "INVALID_CBOR"),
    "an integer that is not in its shortest form": ("06 a2 01 18 01 02 01", "INVALID_CBOR"),
    "an indefinite map": ("06 bf 01 01 02 01 ff", "INVALID_CBOR"),
    "an indefinite string": ("02 a1 01 7f 61 61 ff", "INVALID_CBOR"),
    "a string that is not UTF-8": ("02 a1 01 61 ff", "INVALID_CBOR"),
    "a length beyond the message": ("02 a1 01 7b ff ff ff ff ff ff ff ff", "INVALID_CBOR"),
    "nesting too deep": ("01 a1 06 a1 61 61 a1 61 61 a1 61 61 a1 61 61 a0", "INVALID_CBOR"),
    "no subcommand": ("06 a1 01 01", "MISSING_PARAMETER"),
    "an unknown subcommand": ("06 a2 01 01 02 18 7f", "INVALID_SUBCOMMAND"),
    "an unknown protocol": ("06 a2 01 03 02 02", "INVALID_PARAMETER"),
}


@check("malformed requests are answered with the standard's status")
def _(key):
    device = key.plug_in()
    # Without a command byte the answer is an error of CTAPHID.
    with answers(CtapError.ERR.INVALID_LENGTH):
        device.call(CTAPHID.CBOR, b"")
    wrong = {}
    for name, (request, status) in MALFORMED.items():
        response = device.call(CTAPHID.CBOR, bytes.fromhex(request))
        if response != bytes([CtapError.ERR[status]]):
            wrong[name] = f"{response.hex()} instead of {status}"
    equal(wrong, {})
    for command in (0x02, 0x05, 0x07, 0x3A):  # unassigned, or not for CBOR
        with answers(CtapError.ERR.INVALID_COMMAND):
            device.call(command, b"")
    Ctap2(device)
