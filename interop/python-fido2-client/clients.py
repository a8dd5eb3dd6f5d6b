"""The two clients: python-fido2's `Fido2Client`, and ours on the command line. Both get the same options, the same key
and the same randomness: 11 11 11 ..."""

import json
import os
import subprocess
from collections.abc import Mapping

import deviations
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.client import ClientError, DefaultClientDataCollector, Fido2Client
from fido2.ctap2.extensions import (
    CredBlobExtension,
    CredPropsExtension,
    CredProtectExtension,
    HmacSecretExtension,
    LargeBlobExtension,
    MinPinLengthExtension,
    PinComplexityPolicyExtension,
    ThirdPartyPaymentExtension,
)
from fido2.utils import websafe_decode
from randomness import BYTE, PLATFORM_KEY
from routes import User
from tcp_connection import open_device


def fix_randomness():
    """Makes python-fido2 use a fixed key for key agreement and a fixed IV for encryption."""
    os.urandom = lambda length: BYTE * length
    ec.generate_private_key = lambda curve, backend=None: PLATFORM_KEY


EXTENSIONS = [
    HmacSecretExtension(allow_hmac_secret=True),
    LargeBlobExtension(),
    CredBlobExtension(),
    CredProtectExtension(),
    MinPinLengthExtension(),
    PinComplexityPolicyExtension(),
    ThirdPartyPaymentExtension(),
    CredPropsExtension(),
]


def for_python(options):
    """Converts the options for python-fido2, which expects credBlob as bytes."""
    extensions = options.get("extensions", {})
    if "credBlob" not in extensions:
        return options
    return {**options, "extensions": {**extensions, "credBlob": websafe_decode(extensions["credBlob"])}}


def theirs(address, case, options):
    """python-fido2's result: the response, or the name of the error code, replaced by ours where they are known to
    differ."""
    device = open_device(*address)
    try:
        client = Fido2Client(
            device, DefaultClientDataCollector(case.origin), user_interaction=User(case.pin), extensions=EXTENSIONS
        )
        client._enterprise_rpid_list = case.enterprise  # there is no public way to set it
        if case.ceremony == "create":
            return dict(client.make_credential(for_python(options))), None
        return dict(client.get_assertion(options).get_response(0)), None
    except ClientError as error:
        status = getattr(error.cause, "code", None)
        return None, deviations.CODES.get(status, error.code).name.replace("_", "").lower()
    except (ValueError, TypeError) as error:
        return None, type(error).__name__
    finally:
        device.close()


def ours(program, address, case, options):
    """Our client's result."""
    command = [program, "{}:{}".format(*address), case.ceremony, case.origin, "--python-fido2", "--fixed-randomness"]
    if case.pin is not None:
        command += ["--pin", case.pin]
    for rp_id in case.enterprise or ():
        command += ["--enterprise", rp_id]
    done = subprocess.run(command, input=json.dumps(options), capture_output=True, text=True, timeout=60)
    if done.returncode:
        return None, done.stderr.split(":")[0].strip().lower() or done.stderr
    return json.loads(done.stdout), None


def differences(ours, theirs):
    """The unexpected differences between two responses. The credential's id and the signature depend on the key's
    randomness, so they are not compared."""
    theirs = {**theirs, "response": dict(theirs["response"])}
    wrong = []
    for path in (["type"], ["authenticatorAttachment"], ["response", "clientDataJSON"], ["response", "userHandle"]):
        values = [one.get(path[0]) if len(path) == 1 else one[path[0]].get(path[1]) for one in (ours, theirs)]
        if values[0] != values[1]:
            wrong.append(f"  {'.'.join(path)} is {values[0]!r} instead of {values[1]!r}")
    results = [shape(one["clientExtensionResults"]) for one in (ours, theirs)]
    # python-fido2 does not return these outputs, which are in the authenticator data, nor that a blob was not written.
    for member in ("credBlob", "getCredBlob"):
        results[0].pop(member, None)
    if results[0].get("largeBlob") == {"written": False}:
        del results[0]["largeBlob"]
    if results[0] != results[1]:
        wrong.append(f"  extension results are {results[0]} instead of {results[1]}")
    return wrong


def shape(value):
    """The extension results without the values of secrets, which depend on the key's randomness. Empty results count as
    absent."""
    if isinstance(value, Mapping):
        members = {name: shape(member) for name, member in value.items() if member is not None}
        return {name: member for name, member in members.items() if isinstance(member, bool) or member}
    return value if isinstance(value, bool) else len(value)
