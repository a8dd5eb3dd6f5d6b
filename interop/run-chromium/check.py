"""Chromium as a person's browser uses the key: registers, signs in, asks for extensions, and is refused."""

import subprocess
import sys
import tempfile
import time

from browser import check, set_up
from chromium import FULL, SHELL, open_chromium
from fido2.cose import CoseKey, UnsupportedKey
from fido2.webauthn import AttestationObject, AuthenticatorData
from fido2.utils import sha256

KEYFOB, KEYFOB_RP = sys.argv[1:3]
DISCOVERABLE = "{authenticatorSelection: {residentKey: 'required', userVerification: 'preferred'}}"
# Those that Chromium reads; RS256 and PS256 need a keyfob with AWS-LC.
ALGORITHMS = {-7: "ES256", -8: "EdDSA", -257: "RS256", -37: "PS256", -48: "ML-DSA-44", -49: "ML-DSA-65",
              -50: "ML-DSA-87"}


def open_browser(binary, *switches, log=None):
    """Chromium with a key that has these switches."""
    return open_chromium(KEYFOB, binary, *switches, log=log)


def verify(registered, signed_in):
    """Verifies a sign-in. False for algorithms that python-fido2 does not know."""
    key = AttestationObject(bytes.fromhex(registered["attestationObject"])).auth_data.credential_data.public_key
    if isinstance(key, UnsupportedKey):
        return False
    signed = bytes.fromhex(signed_in["authenticatorData"]) + sha256(bytes.fromhex(signed_in["clientDataJSON"]))
    CoseKey.parse(key).verify(signed, bytes.fromhex(signed_in["signature"]))
    return True


def ceremonies(browser):
    registered = browser.ceremony("create()")
    signed_in = browser.ceremony(f"get(['{registered['id']}'])")
    name = f"{browser.capabilities['browserName']} {browser.capabilities['browserVersion']}"
    check(f"{name}: registers and signs in", verify(registered, signed_in) and signed_in["id"] == registered["id"])
    return registered["id"]


def without_a_name(browser):
    registered = browser.ceremony(f"create({DISCOVERABLE})")
    signed_in = browser.ceremony("get([])")
    user = bytes.fromhex(signed_in["userHandle"])
    check("signs in without a name", verify(registered, signed_in) and user == b"alice", user)


def algorithms(browser, has_rsa):
    for number, name in ALGORITHMS.items():
        if name.endswith("S256") and name != "ES256" and not has_rsa:
            print(f"skipped: {name}: this keyfob is built without AWS-LC")
            continue
        registered = browser.ceremony(f"create({{}}, [{number}])")
        signed_in = browser.ceremony(f"get(['{registered['id']}'])")
        verified = verify(registered, signed_in) or number <= -48 and number > -51
        check(f"{name}: registers and signs in", verified and registered["algorithm"] == number, registered)


def extensions(browser):
    salt = "{prf: {eval: {first: bytes('a salt'), second: bytes('another salt')}}}"
    made = browser.ceremony(f"create({{extensions: {{prf: {{}}}}, ...{DISCOVERABLE}}})")
    check("prf: enabled", made["extensions"]["prf"].get("enabled") is True, made["extensions"])
    results = [browser.ceremony(f"get(['{made['id']}'], {{extensions: {salt}}})")["extensions"]["prf"]["results"]
               for _ in range(2)]
    lengths = [len(result["hex"]) for result in results[0].values()]
    check("prf: two values of 32 bytes, the same each time", results[0] == results[1] and lengths == [64, 64], results)

    made = browser.ceremony(f"create({{extensions: {{largeBlob: {{support: 'required'}}}}, ...{DISCOVERABLE}}})")
    check("largeBlob: supported", made["extensions"]["largeBlob"] == {"supported": True}, made["extensions"])
    one = f"get(['{made['id']}'], {{userVerification: 'required', extensions: {{largeBlob: %s}}}})"
    written = browser.ceremony(one % "{write: bytes('x'.repeat(300))}")["extensions"]
    check("largeBlob: 300 bytes are written", written == {"largeBlob": {"written": True}}, written)
    read = browser.ceremony(one % "{read: true}")["extensions"]["largeBlob"]["blob"]["hex"]
    check("largeBlob: and read", bytes.fromhex(read) == b"x" * 300, read)

    policy = "{credentialProtectionPolicy: 'userVerificationRequired', enforceCredentialProtectionPolicy: true}"
    verified = DISCOVERABLE.replace("preferred", "required")
    made = browser.ceremony(f"create({{extensions: {policy}, ...{verified}}})")
    data = AuthenticatorData(bytes.fromhex(made["authenticatorData"]))
    check("credProtect: the key says so", data.extensions == {"credProtect": 3}, data)
    made = browser.ceremony(f"create({{extensions: {{credProps: true}}, ...{DISCOVERABLE}}})")
    check("credProps: discoverable", made["extensions"]["credProps"] == {"rk": True}, made["extensions"])
    for conveyance, expected in (("none", "none"), ("direct", "packed")):
        made = browser.ceremony(f"create({{attestation: '{conveyance}'}})")
        attestation = AttestationObject(bytes.fromhex(made["attestationObject"]))
        check(f"attestation {conveyance}: {expected}", attestation.fmt == expected, attestation.fmt)
        check(f"attestation {conveyance}: certified or not", ("x5c" in attestation.att_stmt) == (conveyance == "direct"))


def settings(browser):
    """What the key does for a party that it was set up for."""
    made = browser.ceremony(f"create({{extensions: {{minPinLength: true}}, ...{DISCOVERABLE}}})")
    data = AuthenticatorData(bytes.fromhex(made["authenticatorData"]))
    check("minPinLength: the key says it to the party", (data.extensions or {}).get("minPinLength") == 4, data)
    made = browser.ceremony("create({attestation: 'enterprise'})")
    attestation = AttestationObject(bytes.fromhex(made["attestationObject"]))
    certificate = attestation.att_stmt["x5c"][0]
    made = browser.ceremony("create({attestation: 'direct'})")
    other = AttestationObject(bytes.fromhex(made["attestationObject"])).att_stmt["x5c"][0]
    check("attestation enterprise: another certificate", attestation.fmt == "packed" and certificate != other)


# Beside what every browser is asked for.
REFUSED = {
    "an algorithm that no key has": ("create({}, [-65535])", "NotAllowedError"),
    "a credential that the key does not know": (f"get(['{'77' * 32}'])", "NotAllowedError"),
}


begin = time.monotonic()
# The whole browser shows a window before it refuses, which nobody can answer here. The shell has no windows, and no
# credentials that are discoverable.
with open_browser(FULL) as browser:
    # First: with a second account, a window would ask which one is meant.
    browser.check_own_page(KEYFOB_RP)
with open_browser(FULL) as browser:
    ceremonies(browser)
    without_a_name(browser)
    algorithms(browser, has_rsa=sys.argv[3] == "rsa")
    extensions(browser)
with open_browser(SHELL) as browser:
    browser.check_refusals(ceremonies(browser), REFUSED)
with tempfile.TemporaryDirectory() as folder:
    key = ["--store", f"{folder}/key", "--pin", "1234", "--enterprise", "localhost"]
    set_up(KEYFOB, key)
    with open_browser(FULL, *key) as browser:
        settings(browser)
with open_browser(SHELL, "--touch", "after=1500") as browser:
    start = time.monotonic()
    browser.ceremony("create({authenticatorSelection: {userVerification: 'discouraged'}})")
    check("a slow touch is waited for", time.monotonic() - start > 1.4)
with open_browser(SHELL, "--touch", "after=300", "--events", log=subprocess.PIPE) as browser:
    browser.replug_at_touch()
    browser.ceremony("create({authenticatorSelection: {userVerification: 'discouraged'}})")
    check("a key that is unplugged in mid-registration and plugged in again is asked again", True)
with open_browser(SHELL, "--touch", "deny") as browser:
    name = browser.refused("create({authenticatorSelection: {userVerification: 'discouraged'}})")
    check("a user who declines: NotAllowedError", name == "NotAllowedError", name)
with open_browser(SHELL, "--touch", "never") as browser:
    start = time.monotonic()
    name = browser.refused("abandoned(500)")
    check("a page that gives up: AbortError", name == "AbortError", name)
    check("at once", time.monotonic() - start < 5)
print(f"{time.monotonic() - begin:.1f} s")
