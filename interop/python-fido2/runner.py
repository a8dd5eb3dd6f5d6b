"""Runs checks, one line each. A check is a function that takes a freshly made virtual key and raises when it fails."""

import sys
import time
import traceback
from contextlib import contextmanager

from fido2.client import ClientError
from fido2.ctap import CtapError
from virtual_key import VirtualKey

_checks = []


def check(name, *options):
    """Makes the function below it a check. The key is served with `options`."""

    def add(function):
        _checks.append((name, options, function))
        return function

    return add


def run(keyfob):
    """Runs every check against its own key. Returns the number of failed checks."""
    failed = 0
    for name, options, function in _checks:
        start = time.monotonic()
        try:
            with VirtualKey(keyfob, *options) as key:
                function(key)
        except Exception:
            failed += 1
            print(f"FAILED {name}")
            traceback.print_exc(limit=-6, file=sys.stdout)
        else:
            print(f"ok     {name} ({time.monotonic() - start:.2f} s)")
        sys.stdout.flush()
    print(f"{len(_checks) - failed} passed, {failed} failed")
    return failed


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"{actual!r} instead of {expected!r}")


@contextmanager
def answers(status):
    """The block must end with this status from the key, `CtapError.ERR`."""
    try:
        yield
    except CtapError as error:
        equal(error.code, status)
    else:
        raise AssertionError(f"no error instead of {status!r}")


@contextmanager
def client_fails(code, cause):
    """The block must end with this `ClientError.ERR`, caused by this status from the key."""
    try:
        yield
    except ClientError as error:
        equal((error.code, getattr(error.cause, "code", error.cause)), (code, cause))
    else:
        raise AssertionError(f"no error instead of {code!r}")
