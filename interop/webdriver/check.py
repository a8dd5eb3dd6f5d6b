"""Selenium's virtual authenticators, with the keys of `keyfob webdriver`, in Chromium and Firefox."""

import base64
import contextlib
import functools
import http.server
import os
import subprocess
import sys
import threading
import time

from fido2.cose import ES256
from fido2.utils import sha256
from fido2.webauthn import AttestationObject, AuthenticatorData
from selenium import webdriver
from selenium.common.exceptions import InvalidArgumentException
from selenium.webdriver.common.virtual_authenticator import Credential, VirtualAuthenticatorOptions

KEYFOB, GECKODRIVER = sys.argv[1:3]
HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT = open(os.path.join(HERE, "page.js")).read()
FLAGS = {"UP": 1, "UV": 4, "BE": 8, "BS": 16}


def check(what, holds, details=""):
    print(f"{'ok' if holds else 'FAILED'}: {what} {'' if holds else details}", flush=True)
    if not holds:
        sys.exit(1)


def unb64(text):
    return base64.urlsafe_b64decode(text + "==")


def serve():
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=HERE)
    handler.log_message = lambda *_: None
    http.server.SimpleHTTPRequestHandler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://localhost:{server.server_port}/page.html"


@contextlib.contextmanager
def keyfob(*arguments):
    """`keyfob webdriver` with these arguments; its address."""
    process = subprocess.Popen([KEYFOB, "webdriver", "--listen", "127.0.0.1:0", *arguments], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        check("keyfob ends when it is told to", process.wait(30) == 0, process.returncode)


def chromium():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/lib/chromium/chromium"
    for switch in ("--headless=new", "--no-sandbox"):
        options.add_argument(switch)
    return options


def firefox():
    options = webdriver.FirefoxOptions()
    options.binary_location = "/usr/bin/firefox-esr"
    options.add_argument("-headless")
    # The capability that the standard has for this; Firefox's own driver does not know it.
    options.set_capability("webauthn:virtualAuthenticators", True)
    # A window asks before attestation is given to a site.
    options.set_preference("security.webauthn.always_allow_direct_attestation", True)
    return options


class Browser:
    def __init__(self, address, options, page):
        self.driver = webdriver.Remote(address, options=options)
        self.driver.set_script_timeout(60)
        self.driver.get(page)

    def call(self, script):
        made = self.driver.execute_async_script(f"{SCRIPT} const done = arguments[0]; {script}.then(done)")
        if "response" not in made:
            return made
        response = made["response"]
        data = unb64(response["authenticatorData"])
        made["flags"] = {name for name, bit in FLAGS.items() if data[32] & bit}
        made["signCount"] = int.from_bytes(data[33:37], "big")
        return made


def verify(public_key, made):
    response = made["response"]
    signed = unb64(response["authenticatorData"]) + sha256(unb64(response["clientDataJSON"]))
    public_key.verify(signed, unb64(response["signature"]))


def key_of(private_key):
    """The public key of a credential as Selenium has it: PKCS#8 in base64url."""
    from cryptography.hazmat.primitives.serialization import load_der_private_key
    return ES256.from_cryptography_key(load_der_private_key(unb64(private_key), None).public_key())


def registers(browser):
    driver = browser.driver
    driver.add_virtual_authenticator(VirtualAuthenticatorOptions(
        has_resident_key=True, has_user_verification=True, is_user_verified=True))
    required = "{attestation: 'direct', authenticatorSelection: {residentKey: 'required', userVerification: 'required'}}"
    made = browser.call(f"create({required})")
    check("registers a passkey", made.get("flags") == {"UP", "UV"} and made["signCount"] == 0, made)
    attestation = AttestationObject(unb64(made["response"]["attestationObject"]))
    check("with attestation", attestation.fmt == "packed" and "x5c" in attestation.att_stmt, attestation)
    [held] = driver.get_credentials()
    check("Selenium lists it", (unb64(held.id), held.is_resident_credential, held.rp_id, unb64(held.user_handle))
          == (unb64(made["id"]), True, "localhost", b"user"), held)
    check("with its private key", attestation.auth_data.credential_data.public_key == key_of(held.private_key))
    signed_in = browser.call("get([])")
    verify(key_of(held.private_key), signed_in)
    check("signs in without a name", signed_in["signCount"] == 1 and signed_in["response"]["userHandle"] == "dXNlcg")
    second = browser.call("create()")
    [_, held] = driver.get_credentials()
    check("registers a credential that is not discoverable",
          (held.is_resident_credential, unb64(held.id)) == (False, unb64(second["id"])), held)
    signed_in = browser.call(f"get(['{second['id']}'])")
    verify(key_of(held.private_key), signed_in)
    check("signs in with it", signed_in["id"] == second["id"], signed_in)
    driver.remove_credential(second["id"])
    check("a credential is removed", len(driver.get_credentials()) == 1)
    check("and does not sign in", "error" in browser.call(f"get(['{second['id']}'])"))
    driver.remove_virtual_authenticator()
    return held


def injects(browser, held):
    driver, private_key = browser.driver, unb64(held.private_key)
    driver.add_virtual_authenticator(VirtualAuthenticatorOptions(
        protocol="ctap2", has_resident_key=True, has_user_verification=True, is_user_verified=True))
    driver.add_credential(Credential.create_resident_credential(b"one", "localhost", b"someone", private_key, 41))
    signed_in = browser.call("get([])")
    verify(key_of(held.private_key), signed_in)
    check("signs in with a passkey that was added", (signed_in["signCount"], signed_in["response"]["userHandle"])
          == (42, "c29tZW9uZQ"), signed_in)
    driver.remove_all_credentials()
    check("all credentials are removed", driver.get_credentials() == [])
    driver.add_credential(Credential.create_non_resident_credential(b"two", "localhost", private_key, 0))
    signed_in = browser.call("get(['dHdv'])")
    verify(key_of(held.private_key), signed_in)
    check("signs in with another that is not discoverable", signed_in["id"] == "dHdv", signed_in)
    for wrong in (b"", b"not a key"):
        try:
            driver.add_credential(Credential.create_non_resident_credential(b"x", "localhost", wrong, 0))
            check("a private key that is none is refused", False)
        except InvalidArgumentException:
            pass
    driver.set_user_verified(False)
    refused = browser.call("get(['dHdv'], {userVerification: 'required'})")
    check("a user who is not recognised: the page gets an error", "error" in refused, refused)
    driver.set_user_verified(True)
    signed_in = browser.call("get(['dHdv'], {userVerification: 'required'})")
    check("and signs in when recognised", signed_in.get("flags") == {"UP", "UV"}, signed_in)
    driver.remove_virtual_authenticator()


def others(browser):
    driver = browser.driver
    driver.add_virtual_authenticator(VirtualAuthenticatorOptions(protocol="ctap1/u2f"))
    made = browser.call("create()")
    signed_in = browser.call(f"get(['{made['id']}'], {{userVerification: 'discouraged'}})")
    check("a U2F key registers and signs in", signed_in.get("flags") == {"UP"}, signed_in)
    driver.remove_virtual_authenticator()
    driver.add_virtual_authenticator(VirtualAuthenticatorOptions())
    made = browser.call("create()")
    check("a key without user verification and resident keys registers", made.get("flags") == {"UP"}, made)
    # A second key beside it.
    first = driver.virtual_authenticator_id
    driver.add_virtual_authenticator(VirtualAuthenticatorOptions(is_user_consenting=False))
    check("two keys have two ids", first != driver.virtual_authenticator_id)
    driver.remove_virtual_authenticator()
    driver._authenticator_id = first
    signed_in = browser.call(f"get(['{made['id']}'])")
    check("the first works on when the second is removed", signed_in.get("id") == made["id"], signed_in)
    driver.remove_virtual_authenticator()
    driver.add_virtual_authenticator(VirtualAuthenticatorOptions(is_user_consenting=False))
    refused = browser.call("create()")
    check("a user who declines: the page gets an error", "error" in refused, refused)
    driver.remove_virtual_authenticator()


def backed_up(browser):
    """What Selenium's classes do not have, by its lower calls."""
    driver = browser.driver
    driver.command_executor.add_command("setProperties", "POST", "/session/$sessionId/webauthn/authenticator/$authenticatorId/credentials/$credentialId/props")
    configuration = {**VirtualAuthenticatorOptions(has_resident_key=True).to_dict(), "protocol": "ctap2_1",
                     "defaultBackupEligibility": True, "extensions": ["largeBlob", "prf"], "hasUserVerification": True,
                     "isUserVerified": True}
    authenticator = driver.execute("addVirtualAuthenticator", configuration)["value"]
    made = browser.call("create({authenticatorSelection: {residentKey: 'required'}, extensions: {prf: {}, credProps: true}})")
    check("a registration is backup eligible", made.get("flags") == {"UP", "UV", "BE"}, made)
    check("prf is enabled", made["clientExtensionResults"]["prf"].get("enabled") is True, made)
    change = {"authenticatorId": authenticator, "credentialId": made["id"]}
    driver.execute("setProperties", {**change, "backupState": True})
    signed_in = browser.call("get([])")
    check("and backed up from now on", signed_in.get("flags") == {"UP", "UV", "BE", "BS"}, signed_in)
    driver.execute("setProperties", {**change, "backupEligibility": False, "backupState": False, "signCount": 99})
    signed_in = browser.call("get([])")
    check("neither, and with another counter", (signed_in.get("flags"), signed_in["signCount"]) == ({"UP", "UV"}, 100), signed_in)
    driver.execute("removeVirtualAuthenticator", {"authenticatorId": authenticator})


def blobs(browser):
    """Extensions that Chromium has and Firefox has not."""
    driver = browser.driver
    configuration = {**VirtualAuthenticatorOptions(has_resident_key=True, has_user_verification=True,
                     is_user_verified=True).to_dict(), "protocol": "ctap2_1", "extensions": ["largeBlob", "credBlob"]}
    authenticator = driver.execute("addVirtualAuthenticator", configuration)["value"]
    extensions = "{largeBlob: {support: 'required'}, credBlob: bytes('c21hbGw')}"
    made = browser.call(f"create({{authenticatorSelection: {{residentKey: 'required'}}, extensions: {extensions}}})")
    results = made.get("clientExtensionResults")
    check("a page registers with largeBlob and credBlob", results == {"largeBlob": {"supported": True}, "credBlob": True}, made)
    one = f"get(['{made['id']}'], {{userVerification: 'required', extensions: %s}})"
    written = browser.call(one % "{largeBlob: {write: bytes('YSBibG9i')}}")
    check("writes a blob", written["clientExtensionResults"] == {"largeBlob": {"written": True}}, written)
    [held] = driver.execute("getCredentials", {"authenticatorId": authenticator})["value"]
    check("which is among the credential's parameters", held.get("largeBlob") == "YSBibG9i", held)
    driver.execute("removeAllCredentials", {"authenticatorId": authenticator})
    driver.execute("addCredential", {"authenticatorId": authenticator, **held, "largeBlob": "bWluZQ"})
    read = browser.call(one % "{largeBlob: {read: true}}")
    check("and reads one that was added", read["clientExtensionResults"] == {"largeBlob": {"blob": "bWluZQ"}}, read)
    driver.execute("removeVirtualAuthenticator", {"authenticatorId": authenticator})


def python(name, options, page, *arguments):
    begin = time.monotonic()
    with keyfob(*arguments) as address:
        browser = Browser(address, options(), page)
        try:
            print(f"{name} {browser.driver.capabilities['browserVersion']}")
            check("it has virtual authenticators", browser.driver.capabilities["webauthn:virtualAuthenticators"] is True)
            injects(browser, registers(browser))
            others(browser)
            backed_up(browser)
            if name == "Chromium":
                blobs(browser)
        finally:
            browser.driver.quit()
    print(f"{time.monotonic() - begin:.1f} s")


def javascript(page):
    if not os.environ.get("NODE_MODULES"):
        print("skipped: JavaScript: there is no Node 20, or the npm registry does not give selenium-webdriver")
        return
    with keyfob("--driver", GECKODRIVER) as address:
        ended = subprocess.run(["node", os.path.join(HERE, "check.js"), address, page], timeout=120,
                               env={**os.environ, "NODE_PATH": os.environ["NODE_MODULES"]})
    check("Selenium for JavaScript, Firefox", ended.returncode == 0)


page = serve()
python("Chromium", chromium, page, "--driver", "chromedriver")
python("Firefox", firefox, page, "--driver", GECKODRIVER, "--browser-name", "chrome")
javascript(page)
