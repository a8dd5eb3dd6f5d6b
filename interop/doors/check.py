"""python-fido2 twice at one key, on the Unix socket of `keyfob serve`."""

import multiprocessing
import re
import socket
import subprocess
import sys
import tempfile

from fido2.client import DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.ctap2 import Ctap2
from fido2.hid import CtapHidDevice
from fido2.hid.base import CtapHidConnection, HidDescriptor
from fido2.server import Fido2Server
from fido2.webauthn import ResidentKeyRequirement, UserVerificationRequirement

REGISTRATIONS = 40
BROADCAST = b"\xff\xff\xff\xff"
INIT = 0x86
WITHOUT = UserVerificationRequirement.DISCOURAGED


class UnixConnection(CtapHidConnection):
    """Each client sees the reports for all. This library takes one on another channel for a failure, so they end here."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(path)

    def write_packet(self, data):
        self._written = data
        self._socket.sendall(data)

    def read_packet(self):
        while True:
            report = self._socket.recv(64, socket.MSG_WAITALL)
            if len(report) < 64:
                raise ConnectionError("the key was unplugged")
            is_mine = report[:4] == self._written[:4]
            if report[:4] == BROADCAST:
                is_mine = is_mine and report[4] == INIT and report[7:15] == self._written[7:15]
            if is_mine:
                return report

    def close(self):
        self._socket.close()


def connect(path):
    return CtapHidDevice(HidDescriptor(path, 0, 0, 64, 64, "keyfob", None), UnixConnection(path))


def look(path, stop, looked):
    while not stop.is_set():
        device = connect(path)
        for _ in range(10):
            assert "FIDO_2_1" in Ctap2(device).info.versions
            looked.value += 1
        device.close()


def register(path):
    device = connect(path)
    client = Fido2Client(device, DefaultClientDataCollector("https://example.org"), UserInteraction())
    server = Fido2Server({"id": "example.org", "name": "Example"}, attestation="direct")
    credentials = []
    for number in range(REGISTRATIONS):
        user = {"id": number.to_bytes(4), "name": f"user {number}"}
        options, state = server.register_begin(
            user, resident_key_requirement=ResidentKeyRequirement.REQUIRED, user_verification=WITHOUT)
        credentials.append(server.register_complete(state, client.make_credential(options.public_key)).credential_data)
    for credential in credentials:
        options, state = server.authenticate_begin([credential], user_verification=WITHOUT)
        server.authenticate_complete(state, [credential], client.get_assertion(options.public_key).get_response(0))
    device.close()


def main(keyfob):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/key"
        key = subprocess.Popen([keyfob, "serve", "--unix", path], stdout=subprocess.PIPE, text=True)
        try:
            assert re.search("unix ", key.stdout.readline())
            stop, looked = multiprocessing.Event(), multiprocessing.Value("I", 0)
            other = multiprocessing.Process(target=look, args=(path, stop, looked))
            other.start()
            register(path)
            stop.set()
            other.join()
        finally:
            key.kill()
    assert other.exitcode == 0 and looked.value > 0
    print(f"ok: python-fido2 twice at once: {REGISTRATIONS} registrations and sign-ins, while the other looked {looked.value} times")


main(sys.argv[1])
