"""The two clients: python-fido2's `Fido2Client`, and ours on the command line. The same options, the same key, the same
randomness: 11 11 11 ... for both."""

import json
import os
import subprocess

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
from routes import User
from tcp_connection import open_device

BYTE = b"\x11"
_derive = ec.derive_private_key


def fix_randomness():
    """Has python-fido2 agree on keys with the same one always, and encrypt with the same IV."""
    os.urandom = lambda length: BYTE * length
    ec.generate_private_key = lambda curve, backend=None: _derive(int.from_bytes(BYTE * 32, "big"), curve)


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


def theirs(address, ceremony, origin, options, pin):
    """What python-fido2 returns: the response, or the name of the error's code."""
    device = open_device(*address)
    try:
        client = Fido2Client(
            device, DefaultClientDataCollector(origin), user_interaction=User(pin), extensions=EXTENSIONS
        )
        if ceremony == "create":
            return dict(client.make_credential(options)), None
        return dict(client.get_assertion(options).get_response(0)), None
    except ClientError as error:
        return None, error.code.name.replace("_", "").lower()
    except (ValueError, TypeError) as error:
        return None, type(error).__name__
    finally:
        device.close()


def ours(program, address, ceremony, origin, options, pin):
    """The same of ours."""
    command = [program, "{}:{}".format(*address), ceremony, origin, "--python-fido2", "--fixed-randomness"]
    if pin is not None:
        command += ["--pin", pin]
    done = subprocess.run(command, input=json.dumps(options), capture_output=True, text=True, timeout=60)
    if done.returncode:
        return None, done.stderr.split(":")[0].strip().lower() or done.stderr
    return json.loads(done.stdout), None


def differences(ours, theirs):
    """Where two responses differ that should not."""
    wrong = []
    for member in ("id", "rawId", "type", "authenticatorAttachment"):
        if ours[member] != theirs[member]:
            wrong.append(f"  {member} is {ours[member]!r} instead of {theirs[member]!r}")
    if ours["response"]["clientDataJSON"] != dict(theirs["response"])["clientDataJSON"]:
        wrong.append(f"  other client data: {ours['response']['clientDataJSON']}")
    return wrong
