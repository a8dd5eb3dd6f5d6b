"""Firefox as a person's browser uses the key: registers, signs in, asks for extensions, and is refused."""

import subprocess
import sys
import tempfile
import time

from browser import check, serve, set_up
from fido2.cose import CoseKey
from fido2.utils import sha256
from fido2.webauthn import AttestationObject, AuthenticatorData
from marionette import Firefox

KEYFOB, KEYFOB_RP = sys.argv[1:3]
DISCOVERABLE = "{authenticatorSelection: {residentKey: 'required', userVerification: 'preferred'}}"
ALGORITHMS = {-7: "ES256", -8: "EdDSA", -257: "RS256", -37: "PS256"}


def open_browser(*switches, **options):
    """Firefox with a key that has these switches."""
    return Firefox([KEYFOB, "run", *switches, "--"], serve(), **options)


def verify(registered, signed_in):
    key = AttestationObject(bytes.fromhex(registered["attestationObject"])).auth_data.credential_data.public_key
    signed = bytes.fromhex(signed_in["authenticatorData"]) + sha256(bytes.fromhex(signed_in["clientDataJSON"]))
    CoseKey.parse(key).verify(signed, bytes.fromhex(signed_in["signature"]))
    return registered["id"] == signed_in["id"]


def algorithms(browser, has_rsa):
    for number, name in ALGORITHMS.items():
        if name in ("RS256", "PS256") and not has_rsa:
            print(f"skipped: {name}: this keyfob is built without AWS-LC")
            continue
        registered = browser.ceremony(f"create({{}}, [{number}])")
        check(f"{name}: registers and signs in", verify(registered, browser.ceremony(f"get(['{registered['id']}'])")))


def extensions(browser):
    made = browser.ceremony(f"create({{extensions: {{credProps: true}}, ...{DISCOVERABLE}}})")
    check("credProps: discoverable", made["extensions"]["credProps"] == {"rk": True}, made["extensions"])
    made = browser.ceremony(f"create({{extensions: {{prf: {{}}}}, ...{DISCOVERABLE}}})")
    check("prf: enabled", made["extensions"]["prf"].get("enabled") is True, made["extensions"])
    salt = "{prf: {eval: {first: bytes('a salt')}}}"
    results = [browser.ceremony(f"get(['{made['id']}'], {{extensions: {salt}}})")["extensions"]["prf"]["results"]
               for _ in range(2)]
    check("prf: 32 bytes, the same each time",
          results[0] == results[1] and len(results[0]["first"]["hex"]) == 64, results)
    policy = "{credentialProtectionPolicy: 'userVerificationRequired', enforceCredentialProtectionPolicy: true}"
    made = browser.ceremony(f"create({{extensions: {policy}, ...{DISCOVERABLE.replace('preferred', 'required')}}})")
    data = AuthenticatorData(bytes.fromhex(made["authenticatorData"]))
    check("credProtect: the key says so", data.extensions == {"credProtect": 3}, data)
    for conveyance, expected in (("none", "none"), ("direct", "packed")):
        made = browser.ceremony(f"create({{attestation: '{conveyance}'}})")
        attestation = AttestationObject(bytes.fromhex(made["attestationObject"]))
        check(f"attestation {conveyance}: {expected}", attestation.fmt == expected, attestation.fmt)


def settings(browser):
    """What the key does for a party that it was set up for, as far as Firefox lets it."""
    made = browser.ceremony(f"create({{extensions: {{minPinLength: true}}, ...{DISCOVERABLE}}})")
    data = AuthenticatorData(bytes.fromhex(made["authenticatorData"]))
    check("minPinLength: the key says it to the party", (data.extensions or {}).get("minPinLength") == 4, data)
    certificates = []
    for conveyance in ("enterprise", "direct"):
        made = browser.ceremony(f"create({{attestation: '{conveyance}'}})")
        certificates.append(AttestationObject(bytes.fromhex(made["attestationObject"])).att_stmt["x5c"])
    check("attestation enterprise: Firefox asks for direct", certificates[0] == certificates[1])
    made = browser.ceremony(f"create({{extensions: {{largeBlob: {{support: 'preferred'}}}}, ...{DISCOVERABLE}}})")
    check("largeBlob: Firefox does not have it", made["extensions"] == {}, made["extensions"])


begin = time.monotonic()
with open_browser() as browser:
    # First: with a second account, a window would ask which one is meant.
    browser.check_own_page(KEYFOB_RP)
with open_browser() as browser:
    registered = browser.ceremony("create()")
    signed_in = browser.ceremony(f"get(['{registered['id']}'])")
    check(f"Firefox {browser.version}: registers and signs in", verify(registered, signed_in))
    made = browser.ceremony(f"create({DISCOVERABLE}, [-7], 'bob')")
    signed_in = browser.ceremony("get([])")
    check("signs in without a name", verify(made, signed_in) and bytes.fromhex(signed_in["userHandle"]) == b"bob")
    algorithms(browser, has_rsa=sys.argv[3] == "rsa")
    extensions(browser)
    browser.check_refusals(registered["id"])
# A finger would be recognised before the key goes.
with open_browser("--uv", "none", "--touch", "after=2000", "--events", log=subprocess.PIPE) as browser:
    browser.replug_at_touch()
    start = time.monotonic()
    ended = browser.refused("create()")
    check("a key that is unplugged in mid-registration: NotAllowedError", ended == "NotAllowedError", ended)
    check("at once", time.monotonic() - start < 10, time.monotonic() - start)
    check("plugged in again it registers", "id" in browser.ceremony("create()"))
with tempfile.TemporaryDirectory() as folder:
    key = ["--store", f"{folder}/key", "--pin", "1234", "--enterprise", "localhost"]
    set_up(KEYFOB, key)
    with open_browser(*key) as browser:
        settings(browser)
with open_browser("--uv", "none", "--touch", "after=1500") as browser:
    start = time.monotonic()
    browser.ceremony("create()")
    check("a slow touch is waited for", time.monotonic() - start > 1.4)
with open_browser("--uv", "none", "--touch", "deny") as browser:
    name = browser.refused("create()")
    check("a user who declines: NotAllowedError", name == "NotAllowedError", name)
with open_browser("--touch", "never") as browser:
    start = time.monotonic()
    name = browser.refused("abandoned(500)")
    check("a page that gives up: AbortError", name == "AbortError", name)
    check("at once", time.monotonic() - start < 5)
print(f"{time.monotonic() - begin:.1f} s")
