"""A proxy between a client and a key that records their messages: whole CTAPHID messages, not reports.

It accepts one client after another on its own port, and plugs the key in for each.
"""

import socket
import threading

from tcp_connection import REPORT_LEN, SILENCE

MSG, CBOR = 0x03, 0x10
INIT_PACKET = 0x80


class Messages:
    """Assembles the reports of one end into messages."""

    def __init__(self, take):
        self._take = take
        self._length = 0

    def report(self, report):
        kind, rest = report[4], report[5:]
        if kind & INIT_PACKET:
            self._command, self._length = kind & ~INIT_PACKET, int.from_bytes(rest[:2], "big")
            self._payload, rest = b"", rest[2:]
        elif not self._length:
            return
        self._payload += rest
        if len(self._payload) >= self._length:
            if self._command in (MSG, CBOR):
                self._take(self._command, self._payload[: self._length])
            self._length = 0


class Recorder:
    def __init__(self, key):
        self._key = key
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self.exchanges = []  # command of CTAPHID, request, response

    def __enter__(self):
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join()
        self._listener.close()

    def _serve(self):
        self._listener.settimeout(SILENCE)
        client, _ = self._listener.accept()
        key = socket.create_connection(self._key, SILENCE)
        for end in (client, key):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=self._pump, args=(key, client, Messages(self._answered)))
        back.start()
        self._pump(client, key, Messages(self._asked))
        back.join()
        client.close()
        key.close()

    @staticmethod
    def _pump(source, sink, messages):
        """Forwards reports until one end closes, and then closes the other."""
        source.settimeout(None)
        report = b""
        while part := source.recv(REPORT_LEN - len(report)):
            report += part
            if len(report) == REPORT_LEN:
                messages.report(report)
                try:
                    sink.sendall(report)
                except OSError:
                    break
                report = b""
        try:
            sink.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has closed already

    def _asked(self, command, request):
        self.exchanges.append([command, request, b""])

    def _answered(self, _, response):
        self.exchanges[-1][2] = response
