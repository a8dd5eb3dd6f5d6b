"""A page in Firefox, tested with Selenium's virtual authenticators. The page is that of `keyfob-rp serve`. `run.sh` starts
it.

Firefox has no virtual authenticators of its own, so `keyfob webdriver` stands in front of geckodriver. Selenium for Python
refuses its calls where the browser's name is firefox; --browser-name gives it another one.
"""

import os
import re
import subprocess
import tempfile
import unittest

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.virtual_authenticator import VirtualAuthenticatorOptions
from selenium.webdriver.support.wait import WebDriverWait

BUSY = ["", "One moment.", "Use your key now."]


def start(test, *command):
    """Starts a program that ends with the tests. Returns the address in its first line."""
    popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    process = test.enterClassContext(popen)
    test.addClassCleanup(process.terminate)
    return re.search(r"http://[a-z0-9.]+:\d+", process.stdout.readline())[0]


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        keyfob, keyfob_rp = os.environ.get("KEYFOB", "keyfob"), os.environ.get("KEYFOB_RP", "keyfob-rp")
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.url = start(cls, keyfob_rp, "serve", "--quiet", "--listen", "127.0.0.1:0", "--database", f"{folder}/accounts")
        driver = start(cls, keyfob, "webdriver", "--listen", "127.0.0.1:0", "--driver", "geckodriver",
                       "--browser-name", "firefox with keys", "--", "--websocket-port=0")  # any free one
        options = webdriver.FirefoxOptions()
        options.add_argument("-headless")
        cls.browser = webdriver.Remote(driver, options=options)
        cls.addClassCleanup(cls.browser.quit)

    def setUp(self):
        options = VirtualAuthenticatorOptions(has_resident_key=True, has_user_verification=True, is_user_verified=True)
        self.browser.add_virtual_authenticator(options)
        self.addCleanup(self.browser.remove_virtual_authenticator)
        self.browser.delete_all_cookies()
        self.browser.get(self.url)

    def press(self, button, name=""):
        """Presses a button, and returns what the page says then."""
        find = self.browser.find_element
        if name:
            find(By.ID, "name").clear()
            find(By.ID, "name").send_keys(name)
        self.browser.execute_script("document.getElementById('message').textContent = ''")
        find(By.ID, button).click()
        return WebDriverWait(self.browser, 60).until(lambda _: self.said())

    def said(self):
        said = self.browser.find_element(By.ID, "message").text
        return said if said not in BUSY else None

    def test_alice_creates_an_account_and_signs_in_without_her_name(self):
        self.assertEqual(self.press("create", "alice"), "The account is created.")
        [credential] = self.browser.get_credentials()
        self.assertEqual((credential.rp_id, credential.is_resident_credential), ("localhost", True))
        self.assertEqual(self.press("sign-out"), "You are signed out.")
        self.assertEqual(self.press("sign-in"), "You are signed in.")
        [credential] = self.browser.get_credentials()
        self.assertGreater(credential.sign_count, 0)

    def test_a_key_that_was_emptied_does_not_sign_in(self):
        self.assertEqual(self.press("create", "bob"), "The account is created.")
        self.assertEqual(self.press("sign-out"), "You are signed out.")
        self.browser.remove_all_credentials()
        said = self.press("sign-in", "bob")
        self.assertEqual(said, "Nothing was done: it was cancelled, took too long, or no key here fits.")

    def test_a_name_that_is_taken_is_refused(self):
        self.assertEqual(self.press("create", "carol"), "The account is created.")
        self.assertEqual(self.press("sign-out"), "You are signed out.")
        self.assertNotEqual(self.press("create", "carol"), "The account is created.")
        self.assertEqual(len(self.browser.get_credentials()), 1)


if __name__ == "__main__":
    unittest.main()
