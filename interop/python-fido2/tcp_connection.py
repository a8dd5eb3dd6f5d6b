"""A virtual key on a TCP socket for python-fido2's HID layer.

The library's `CtapHidConnection` is an interface that reads and writes reports. Here it sends 64-byte reports without a
report id over a socket. Connecting plugs the key in, closing unplugs it.
"""

import socket

from fido2.hid import CtapHidDevice
from fido2.hid.base import CtapHidConnection, HidDescriptor

REPORT_LEN = 64
# Seconds. The key sends a keep-alive every 100 ms while it works, so a silence of this length is a failure, and the run
# must not hang.
SILENCE = 20


class TcpConnection(CtapHidConnection):
    def __init__(self, host, port):
        self._socket = socket.create_connection((host, port), SILENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def write_packet(self, data):
        self._socket.sendall(data)

    def read_packet(self):
        report = b""
        while len(report) < REPORT_LEN:
            part = self._socket.recv(REPORT_LEN - len(report))
            if not part:
                raise ConnectionError("the key was unplugged")
            report += part
        return report

    def close(self):
        self._socket.close()


def descriptor(host, port):
    """The descriptor that a USB key would have."""
    return HidDescriptor(f"tcp:{host}:{port}", 0, 0, REPORT_LEN, REPORT_LEN, "keyfob", None)


def open_device(host, port):
    """Plugs the key in."""
    return CtapHidDevice(descriptor(host, port), TcpConnection(host, port))
