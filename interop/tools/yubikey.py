"""The help of `ykman fido`: each of its commands, by keyfob and by YubiKey Manager's own code on the same key.

YubiKey Manager looks for keys of its maker only. Here it is handed the one key of this machine, as if it were one."""

import csv
import io
import re

from click.testing import CliRunner
from fido2.hid import CtapHidDevice
from ykman._cli.fido import fido
from ykman._cli.util import YkmanContextObject
from yubikit.core import TRANSPORT, Version
from yubikit.core.fido import FidoConnection
from yubikit.management import CAPABILITY, FORM_FACTOR, DeviceConfig, DeviceInfo

from steps import RP, bytes_of, check, device, equal, keyfob, replug


class Key:
    """A stand-in for YubiKey Manager's device: HID alone."""

    transport = TRANSPORT.USB

    def supports_connection(self, kind):
        return kind is FidoConnection

    def open_connection(self, kind):
        return next(CtapHidDevice.list_devices())


config = DeviceConfig({TRANSPORT.USB: CAPABILITY.FIDO2 | CAPABILITY.U2F}, None, None, None)
# With a serial number: without one, it compares the answers to two getInfos, of which some members change each time.
about = DeviceInfo(config, 1, Version(5, 7, 0), FORM_FACTOR.USB_C_BIO, config.enabled_capabilities, False)


def ykman(*arguments, code=0):
    obj = YkmanContextObject()
    obj.add_resolver("device", Key)
    obj.add_resolver("info", lambda: about)
    done = CliRunner().invoke(fido, list(arguments), obj=obj)
    passed = (done.exit_code == 0) == (code == 0)
    check(f"ykman fido {' '.join(arguments)}", passed, done.output + str(done.exception))
    return done.output


def info():
    lines = re.findall(r"^(.+?):\s+(.*)$", ykman("info"), re.M)
    return {name.strip(): value for name, value in lines}


pin = "12345678"
device()

# info
shown, theirs = keyfob("info"), info()
ours = shown["info"]
equal("the AAGUID", ours["aaguid"]["hex"], theirs["AAGUID"].replace("-", ""))
equal("the PIN", ours["options"]["clientPin"], theirs["PIN"] != "Not set")
equal("the shortest PIN", str(ours["minPINLength"]), theirs["Minimum PIN length"])
equal("room for credentials", str(ours["remainingDiscoverableCredentials"]), theirs["Credential storage remaining"])
equal("always verifies", ours["options"]["alwaysUv"], theirs["Always Require UV"] == "On")
equal("enterprise attestation", ours["options"]["ep"], theirs["Enterprise Attestation"] == "Enabled")

# access
keyfob("pin", "set", pins=("87654321",))
ykman("access", "change-pin", "--pin", "87654321", "--new-pin", pin)
keyfob("pin", "verify", pins=("00000000",), code=5)
ykman("access", "verify-pin", "--pin", "00000000", code=1)
equal("the attempts after a wrong PIN by each", f"{keyfob('pin', 'status')['retries']} attempt(s) remaining", info()["PIN"])
keyfob("pin", "verify", pins=(pin,))
equal("a right PIN resets them", info()["PIN"], "8 attempt(s) remaining")
ykman("access", "verify-pin", "--pin", pin)

# credentials
for rp, user in ((RP, "alice"), (RP, "bob"), ("example.com", "carol")):
    keyfob("register", "--rp", rp, "--user", user, "--display-name", user.title(), "--passkey", pins=(pin,))


def credentials():
    return keyfob("credentials", "list", pins=(pin,))["credentials"]


def rows():
    listed = csv.DictReader(io.StringIO(ykman("credentials", "list", "--csv", "--pin", pin).strip()))
    return [list(row.values()) for row in listed]


def same():
    return [[bytes_of(one["id"]).hex(), one["rpId"], one["userName"], one["userDisplayName"], bytes_of(one["userId"]).hex()]
            for one in credentials()]


equal("keyfob credentials list", same(), rows())
first, second, _ = credentials()
keyfob("credentials", "delete", first["id"][:8], "--yes", pins=(pin,))
equal("keyfob credentials delete", same(), rows())
ykman("credentials", "delete", bytes_of(second["id"]).hex()[:8], "--force", "--pin", pin)
equal("the same by ykman", same(), rows())

# fingerprints
def fingers():
    listed = keyfob("fingerprints", "list", pins=(pin,))["fingerprints"]
    return sorted((bytes_of(one["id"]).hex(), one["name"]) for one in listed)


def their_fingers():
    return sorted(re.findall(r"ID: (\w+) \((.*)\)", ykman("fingerprints", "list", "--pin", pin)))


keyfob("fingerprints", "add", "--name", "thumb", pins=(pin,))
ykman("fingerprints", "add", "index", "--pin", pin)
equal("keyfob fingerprints list", fingers(), their_fingers())
keyfob("fingerprints", "rename", "thumb", "--name", "left", pins=(pin,))
ykman("fingerprints", "rename", dict((name, id) for id, name in fingers())["index"], "right", "--pin", pin)
equal("the names that each has given", {name for _, name in fingers()} & {"left", "right"}, {"left", "right"})
keyfob("fingerprints", "delete", "left", "--yes", pins=(pin,))
ykman("fingerprints", "delete", "right", "--force", "--pin", pin)
equal("each has deleted one", fingers(), their_fingers())

# config, and the settings of access
keyfob("config", "always-verify", "on", pins=(pin,))
equal("keyfob config always-verify", info()["Always Require UV"], "On")
ykman("config", "toggle-always-uv", "--pin", pin)
equal("the same by ykman", keyfob("info")["info"]["options"]["alwaysUv"], False)
ykman("config", "enable-ep-attestation", "--pin", pin)
keyfob("config", "enterprise-attestation", pins=(pin,))
equal("keyfob config enterprise-attestation", info()["Enterprise Attestation"], "Enabled")
keyfob("config", "min-pin-length", "6", "--rp", RP, "--yes", pins=(pin,))
equal("keyfob config min-pin-length", info()["Minimum PIN length"], "6")
ykman("access", "set-min-length", "7", "--rp-id", RP, "--pin", pin)
equal("the same by ykman", keyfob("pin", "status")["minLength"], 7)
keyfob("config", "force-pin-change", pins=(pin,))
check("keyfob config force-pin-change", "must be changed" in ykman("info"))
keyfob("pin", "change", pins=(pin, "43214321"))
ykman("access", "force-change", "--pin", "43214321")
equal("the same by ykman", keyfob("pin", "status")["mustChange"], True)

# reset
replug()
keyfob("reset", "--yes")
equal("keyfob reset", info()["PIN"], "Not set")
keyfob("pin", "set", pins=(pin,))
replug()
ykman("reset", "--force")
equal("ykman fido reset", keyfob("pin", "status")["set"], False)
