"""Debian's Chromium, with a key."""

from browser import Browser, serve

# Not the scripts in /usr/bin: chromedriver ends the process that it started, and no other.
SHELL, FULL = "/usr/lib/chromium/chromium-headless-shell", "/usr/lib/chromium/chromium"
FLAGS = ("--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-background-networking "
         "--disable-component-update --disable-sync --no-first-run --no-default-browser-check").split()


def open_chromium(keyfob, binary, *switches, log=None):
    """Chromium with a page on localhost, and a key that has these switches."""
    page = serve()
    options = {"binary": binary, "args": [*FLAGS, f"--webauthn-permit-enterprise-attestation={page.rstrip('/')}"]}
    command = [keyfob, "run", *switches, "--", "chromedriver", "--port=0"]
    return Browser(command, {"browserName": "chrome", "goog:chromeOptions": options}, page, log)
