"""Headless Chromium with its own virtual authenticator on the page at /."""

import shutil
import sys

from server import Server, check

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    print("skipped: no chromium and chromedriver")
    sys.exit()

from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

FLAGS = ("--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-background-networking "
         "--disable-component-update --disable-sync --no-first-run --no-default-browser-check").split()
PATIENCE = 120  # seconds; a loaded machine is slow to start a browser


class Page:
    """The page, used as a person uses it: by labels and button names."""

    def __init__(self, server):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for flag in FLAGS:
            options.add_argument(flag)
        self.driver = webdriver.Chrome(service=Service(DRIVER), options=options)
        self.driver.execute_cdp_cmd("WebAuthn.enable", {"enableUI": False})
        self._url = server.url
        self.authenticator = None

    def plug_in(self, **options):
        """Replaces the authenticator by a new one."""
        if self.authenticator:
            self.driver.execute_cdp_cmd("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self.authenticator})
        options = {"protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "usb", "hasResidentKey": True,
                   "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True, **options}
        made = self.driver.execute_cdp_cmd("WebAuthn.addVirtualAuthenticator", {"options": options})
        self.authenticator = made["authenticatorId"]

    def tell(self, command, **parameters):
        parameters["authenticatorId"] = self.authenticator
        return self.driver.execute_cdp_cmd(f"WebAuthn.{command}", parameters)

    def open(self):
        """Opens the page as a new visitor."""
        self.driver.delete_all_cookies()
        self.driver.get(self._url)
        self.wait(lambda: self.shown("outside"))

    def wait(self, condition):
        WebDriverWait(self.driver, PATIENCE).until(lambda _: condition())

    def element(self, name):
        return self.driver.find_element(By.ID, name)

    def shown(self, name):
        return self.element(name).is_displayed()

    def press(self, button):
        """Presses a button and waits for the page's message."""
        if isinstance(button, str):
            button = self.element(button)
        button.click()
        return self.said()

    def said(self):
        message = lambda: self.element("message").text  # noqa: E731
        self.wait(lambda: message() not in ("", "One moment.", "Use your key now."))
        return message()

    def create(self, name, **choices):
        self.open()
        if choices:
            self.driver.execute_script("document.querySelector('details').open = true")
        for field, value in choices.items():
            Select(self.element(field)).select_by_value(value)
        self.element("name").send_keys(name)
        return self.press("create")

    def sign_in(self, name="", **choices):
        self.open()
        if choices:
            self.driver.execute_script("document.querySelector('details').open = true")
        for field, value in choices.items():
            Select(self.element(field)).select_by_value(value)
        self.element("name").send_keys(name)
        return self.press("sign-in")

    def keys(self):
        """The page's text for each key."""
        items = self.driver.find_elements(By.CSS_SELECTOR, "#keys li")
        return [dict(zip([term.text for term in item.find_elements(By.TAG_NAME, "dt")],
                         [value.text for value in item.find_elements(By.TAG_NAME, "dd")])) for item in items]


def ceremonies(page, algorithm):
    """Creates an account, checks the listed key, and signs in with and without a name."""
    name = f"user of {algorithm}"
    page.plug_in()
    said = page.create(name, algorithm=algorithm, attestation="direct")
    check(f"Chromium, {algorithm}: creates an account", said == "The account is created.", said)
    [key] = page.keys()
    check(f"Chromium, {algorithm}: the page says what the key said: {key['Flags']}; counter {key['Counter']}; "
          f"{key['Attestation']}; {key['AAGUID']}",
          key["Algorithm"].lower() == algorithm and key["Attestation"].startswith("packed, by a certificate")
          and "user verified" in key["Flags"] and key["AAGUID"].startswith("01020304-"), key)
    for whom in name, "":
        said = page.sign_in(whom)
        check(f"Chromium, {algorithm}: signs in {'with' if whom else 'without'} a name",
              said == "You are signed in." and page.element("who").text == name, said)
    return name


def refusals(page, name):
    """Responses that a browser gives only when its virtual authenticator is configured so."""
    # The configured property, and the server's message.
    for bits, choices, sentence in (
        ({"isBogusSignature": True}, {}, "the signature does not verify"),
        ({"isBadUP": True}, {}, "the user was not present"),
        ({"isBadUV": True}, {"verification": "required"}, "the user was not verified"),
    ):
        page.tell("setResponseOverrideBits", **bits)
        said = page.sign_in(name, **choices)
        check(f"Chromium: {', '.join(bits)} is refused: {said}", sentence in said and not page.shown("inside"), said)
        page.tell("setResponseOverrideBits", **dict.fromkeys(bits, False))
    said = page.sign_in(name)
    check("Chromium: signs in again afterwards", said == "You are signed in.", said)
    [credential] = page.tell("getCredentials")["credentials"]
    # Chromium 148 has no command that sets the counter, so the credential is put in again.
    page.tell("removeCredential", credentialId=credential["credentialId"])
    page.tell("addCredential", credential={**credential, "signCount": 1})
    said = page.sign_in(name)
    check(f"Chromium: a counter that fell is refused: {said}", "counter did not increase" in said, said)


def registrations_refused(page):
    page.plug_in()
    for bits, choices, sentence in (
        ({"isBadUP": True}, {}, "the user was not present"),
        ({"isBadUV": True}, {"verification": "required"}, "the user was not verified"),
        ({"isBogusSignature": True}, {"attestation": "direct"}, "the signature does not verify"),
    ):
        page.tell("setResponseOverrideBits", **bits)
        said = page.create("nobody", **choices)
        # Chromium applies some of the bits to assertions only.
        refused = sentence in said and not page.shown("inside")
        if "created" in said:
            print(f"--  Chromium does not apply {', '.join(bits)} to a registration")
            page.press(page.driver.find_element(By.CSS_SELECTOR, "#keys button"))
        else:
            check(f"Chromium: a registration with {', '.join(bits)} is refused: {said}", refused, said)
        page.tell("setResponseOverrideBits", **dict.fromkeys(bits, False))


def account(page):
    """Adding, listing and deleting keys."""
    page.plug_in()
    said = page.create("several keys")
    check("Chromium: creates an account", said == "The account is created.", said)
    said = page.press("add")
    check(f"Chromium: the same key twice is refused: {said}", said == "This key is registered already.", said)
    page.plug_in(transport="internal")
    said = page.press("add")
    check("Chromium: adds a second key", said == "The key is added." and len(page.keys()) == 2, said)
    said = page.press("sign-out")
    check("Chromium: signs out", said == "You are signed out." and page.shown("outside"), said)
    page.element("name").clear()
    page.element("name").send_keys("several keys")
    said = page.press("create")
    check(f"Chromium: the name is taken: {said}", "the account exists" in said, said)
    said = page.sign_in("several keys")
    check("Chromium: signs in with the second key", said == "You are signed in.", said)
    delete = lambda: page.press(page.driver.find_element(By.CSS_SELECTOR, "#keys button"))  # noqa: E731
    said = delete()
    check("Chromium: deletes a key", said == "The key is deleted." and len(page.keys()) == 1, said)
    said = delete()
    check(f"Chromium: deletes the last: {said}", "account" in said and page.shown("outside"), said)


def accessible(page):
    """Checks the page for keyboards and screen readers."""
    page.open()
    nameless = page.driver.execute_script("""
        return [...document.querySelectorAll('button, input, select, a')]
            .filter((element) => !element.labels?.length && !element.textContent.trim()
                && !element.getAttribute('aria-label'))
            .map((element) => element.outerHTML);""")
    check("page: every control has a name", nameless == [], nameless)
    check("page: what happens is announced", page.element("message").get_attribute("aria-live") == "polite")
    order = []
    for _ in range(3):
        webdriver.ActionChains(page.driver).send_keys("\ue004").perform()
        order.append(page.driver.switch_to.active_element.get_attribute("id"))
    check("page: the keyboard reaches name, sign-in and create in order", order == ["name", "sign-in", "create"], order)


with Server() as server:
    page = Page(server)
    try:
        offered = [option.get_attribute("value") for option in (page.open() or Select(page.element("algorithm")).options)]
        for algorithm in filter(None, offered):
            name = ceremonies(page, algorithm)
            refusals(page, name)
        registrations_refused(page)
        account(page)
        accessible(page)
        problems = [entry for entry in page.driver.get_log("browser")
                    if entry["level"] == "SEVERE" and entry["source"] != "network"]
        check("page: nothing is against its policy, and no script fails", problems == [], problems)
    finally:
        page.driver.quit()
