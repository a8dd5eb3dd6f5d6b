"""The two clients: python-fido2's `Fido2Client`, and ours on the command line. The same options, the same key, the same
randomness: 11 11 11 ... for both."""

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
    """Has python-fido2 agree on keys with the same one always, and encrypt with the same IV."""
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
    """python-fido2 wants this one member as bytes."""
    extensions = options.get("extensions", {})
    if "credBlob" not in extensions:
        return options
    return {**options, "extensions": {**extensions, "credBlob": websafe_decode(extensions["credBlob"])}}


def theirs(address, case, options):
    """What python-fido2 returns: the response, or the name of the error's code, as ours has it where they differ."""
    device = open_device(*address)
    try:
        client = Fido2Client(
            device, DefaultClientDataCollector(case.origin), user_interaction=User(case.pin), extensions=EXTENSIONS
        )
        client._enterprise_rpid_list = case.enterprise  # it has no other way to say it
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
    """The same of ours."""
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
    """Where two responses differ that should not. The credential's id is of the key's randomness, so is what is signed."""
    theirs = {**theirs, "response": dict(theirs["response"])}
    wrong = []
    for path in (["type"], ["authenticatorAttachment"], ["response", "clientDataJSON"], ["response", "userHandle"]):
        values = [one.get(path[0]) if len(path) == 1 else one[path[0]].get(path[1]) for one in (ours, theirs)]
        if values[0] != values[1]:
            wrong.append(f"  {'.'.join(path)} is {values[0]!r} instead of {values[1]!r}")
    results = [shape(one["clientExtensionResults"]) for one in (ours, theirs)]
    # python-fido2 leaves these in the authenticator data, and says nothing of a blob that was not written.
    for member in ("credBlob", "getCredBlob"):
        results[0].pop(member, None)
    if results[0].get("largeBlob") == {"written": False}:
        del results[0]["largeBlob"]
    if results[0] != results[1]:
        wrong.append(f"  extension results are {results[0]} instead of {results[1]}")
    return wrong


def shape(value):
    """Results without the values of secrets, which are the key's randomness. An empty one is none."""
    if isinstance(value, Mapping):
        members = {name: shape(member) for name, member in value.items() if member is not None}
        return {name: member for name, member in members.items() if isinstance(member, bool) or member}
    return value if isinstance(value, bool) else len(value)
