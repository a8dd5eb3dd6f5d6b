"""Chromium with the extension of host/chromium-extension: pages use a key of `keyfob serve`, with keyfob's client and
without HID. The arguments are keyfob, keyfob-rp and the extension's folder."""

import contextlib
import subprocess
import sys
import tempfile
import time

from browser import Browser, check, serve
from chromium import FLAGS, FULL
from fido2.cose import CoseKey
from fido2.utils import sha256
from fido2.webauthn import AttestationObject

KEYFOB, KEYFOB_RP, EXTENSION = sys.argv[1:]
DISCOVERABLE = "{authenticatorSelection: {residentKey: 'required', userVerification: 'preferred'}}"
REFUSED = {
    "an algorithm that no key has": ("create({}, [-65535])", "NotSupportedError"),
    "a credential that the key does not know": (f"get(['{'77' * 32}'])", "NotAllowedError"),
}


@contextlib.contextmanager
def key(path, *switches):
    """A key behind a Unix socket."""
    command = [KEYFOB, "serve", "--profile", "workstation", "--unix", path, *switches]
    served = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        served.stdout.readline()  # it is there
        yield served
    finally:
        served.terminate()
        served.wait()
        served.stdout.close()


def verify(registered, signed_in):
    public_key = AttestationObject(bytes.fromhex(registered["attestationObject"])).auth_data.credential_data.public_key
    signed = bytes.fromhex(signed_in["authenticatorData"]) + sha256(bytes.fromhex(signed_in["clientDataJSON"]))
    CoseKey.parse(public_key).verify(signed, bytes.fromhex(signed_in["signature"]))


def ceremonies(browser):
    registered = browser.ceremony("create({attestation: 'direct'})")
    signed_in = browser.ceremony(f"get(['{registered['id']}'])")
    verify(registered, signed_in)
    client_data = signed_in["clientData"]
    check("registers and signs in, and the client data are of the page",
          client_data["origin"] == browser.page.rstrip("/") and client_data["crossOrigin"] is False, client_data)
    fmt = AttestationObject(bytes.fromhex(registered["attestationObject"])).fmt
    check("the attestation is the key's", (fmt, registered["transports"]) == ("packed", ["usb"]), registered)
    made = browser.ceremony(f"create({{extensions: {{prf: {{}}, credProps: true}}, ...{DISCOVERABLE}}})")
    signed_in = browser.ceremony("get([])")
    verify(made, signed_in)
    check("signs in without a name", bytes.fromhex(signed_in["userHandle"]) == b"alice", signed_in)
    extensions = made["extensions"]
    check("prf and credProps", extensions["prf"]["enabled"] and extensions["credProps"] == {"rk": True}, extensions)
    salt = "{prf: {eval: {first: bytes('a salt')}}}"
    results = browser.ceremony(f"get(['{made['id']}'], {{extensions: {salt}}})")["extensions"]["prf"]["results"]
    check("prf: 32 bytes", len(results["first"]["hex"]) == 64, results)
    browser.check_refusals(registered["id"], REFUSED.items())
    uvpaa = browser.ceremony("PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable()")
    check("there is no platform authenticator", uvpaa is False, uvpaa)


with tempfile.TemporaryDirectory() as folder:
    socket = f"{folder}/key"
    subprocess.run([KEYFOB, "native-host", "--key", f"unix:{socket}", "--install", f"{folder}/data/NativeMessagingHosts"],
                   check=True)
    flags = [*FLAGS, f"--user-data-dir={folder}/data", f"--load-extension={EXTENSION}",
             "--disable-features=DisableLoadExtensionCommandLineSwitch"]
    page = serve()
    capabilities = {"browserName": "chrome", "goog:chromeOptions": {"binary": FULL, "args": flags}}
    with Browser(["chromedriver", "--port=0"], capabilities, page) as browser:
        browser.page = page
        for _ in range(50):  # until the extension is the proxy
            name = browser.refused("create({timeout: 1000})")
            if name == "NotAllowedError":
                break
            time.sleep(0.1)
        check("without a key: NotAllowedError", name == "NotAllowedError", name)
        with key(socket):
            ceremonies(browser)
        with key(socket):
            browser.check_own_page(KEYFOB_RP)
            browser.go(page)
        with key(socket, "--touch", "never") as served:
            begin = time.monotonic()
            name = browser.refused("abandoned(1000)")
            check("a page that gives up: AbortError", name == "AbortError" and time.monotonic() - begin < 5, name)
            for line in served.stdout:
                if "cancel" in line.lower():
                    break
            check("and the key is told to stop", "cancel" in line.lower(), line)
