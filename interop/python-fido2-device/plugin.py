"""Connects a virtual key to python-fido2's device tests, which expect a USB key and a person.

The tests find devices with three functions of `fido2.hid`, which this plugin replaces before the tests' conftest
imports them. In place of a person the tests can use `--controller`, a board that unplugs and touches keys on HTTP
requests. This plugin answers those requests. The tests are unmodified.

Options: `--keyfob PATH`; `--serve OPTION`, once for each option of `keyfob serve`; `--passes N`: fail if fewer tests
pass; and `--repair`: after a test that failed, reset the key and set the suite's PIN again. Without it one failure between
a reset and the next PIN takes most of the tests behind it along.
"""

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer

import fido2.hid
import pytest
from tcp_connection import REPORT_LEN, TcpConnection
from virtual_key import VirtualKey


class Board:
    """A virtual key that can be switched off and on. Each time it is switched on it has a new path, as on USB."""

    def __init__(self, key):
        self._key = key
        self._powered = True
        self._path = 0
        self._connections = []

    def power(self, on):
        if self._powered == on:
            return
        self._powered = on
        self._path += on
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def list_descriptors(self):
        if not self._powered:
            return []
        path = f"keyfob:{self._path}"
        return [fido2.hid.base.HidDescriptor(path, 0, 0, REPORT_LEN, REPORT_LEN, "keyfob", None)]

    def get_descriptor(self, path):
        [found] = [descriptor for descriptor in self.list_descriptors() if descriptor.path == path]
        return found

    def open_connection(self, descriptor):
        self.get_descriptor(descriptor.path)
        self._connections.append(TcpConnection(*self._key.address))
        return self._connections[-1]


def http_server(board):
    """Serves `/usbN/power/on` and `/usbN/power/off`. Touches and fingerprints need no requests, because the key is
    served with `--touch auto` and `--uv auto`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if "/power/" in self.path:
                board.power(self.path.endswith("/on"))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def pytest_addoption(parser):
    parser.addoption("--keyfob", required=True)
    parser.addoption("--serve", action="append", default=[])
    parser.addoption("--passes", type=int, default=0)
    parser.addoption("--repair", action="store_true")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config):
    # Here and not in pytest_configure: the tests' conftest is imported next.
    arguments = early_config.known_args_namespace
    key = VirtualKey(arguments.keyfob, *arguments.serve)
    key.__enter__()
    early_config.add_cleanup(lambda: key.__exit__())
    board = Board(key)
    for name in ("list_descriptors", "get_descriptor", "open_connection"):
        setattr(fido2.hid, name, getattr(board, name))
    server = http_server(board)
    early_config.add_cleanup(server.shutdown)
    early_config.stash[controller] = f"http://127.0.0.1:{server.server_port}"


controller = pytest.StashKey()
failed = pytest.StashKey()


def pytest_configure(config):
    config.option.controller = config.stash[controller]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    item.stash[failed] = item.stash.get(failed, False) or report.failed
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item):
    if item.config.option.repair and item.stash.get(failed, False):
        item.funcargs["dev_manager"]._factory_reset(setup=True)


def pytest_terminal_summary(terminalreporter):
    skips = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skips)
    for reason, times in reasons.most_common():
        terminalreporter.write_line(f"skipped {times:4} {reason}")
    passes = len(terminalreporter.stats.get("passed", []))
    if passes < terminalreporter.config.option.passes:
        terminalreporter.write_line(f"only {passes} passed instead of {terminalreporter.config.option.passes}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.exitstatus == 0 and len(reporter.stats.get("passed", [])) < session.config.option.passes:
        session.exitstatus = 1
