"""The manual of fido2-token: each of its lines, by keyfob and by fido2-token on the same key."""

import os
import re

from steps import RP, KEYFOB, Token, b64, bytes_of, check, equal, keyfob, options_of, output, replug, run

token = Token()


def info():
    return keyfob("info")


def credentials(*arguments):
    return keyfob("credentials", "list", *arguments, pins=(token.pin,))["credentials"]


# -L, -I, -V
listed = keyfob("list")["keys"][0]
shown = f"{listed['address']}: vendor=0x{listed['vendorId']:04x}, product=0x{listed['productId']:04x} ({listed['name']})"
theirs = output(["fido2-token", "-L"]).strip()
# libfido2 puts the manufacturer's name and the product's side by side; HID has them as one.
equal("keyfob list and fido2-token -L", re.sub(r"[^\w=,:/]+", " ", shown), re.sub(r"[^\w=,:/]+", " ", theirs))
ours, theirs = info()["info"], token.info()
equal("keyfob info: versions", ", ".join(ours["versions"]), theirs["version strings"])
equal("keyfob info: extensions", ", ".join(ours["extensions"]), theirs["extension strings"])
equal("keyfob info: the AAGUID", ours["aaguid"]["hex"], theirs["aaguid"])
equal("keyfob info: options", options_of(info()), theirs["options"])
equal("keyfob info: the longest message", str(ours["maxMsgSize"]), theirs["maxmsgsiz"])
equal("keyfob info: firmware", hex(ours["firmwareVersion"]), theirs["fwversion"])
equal("keyfob info: transports", ", ".join(ours["transports"]), theirs["transport strings"])
check("both print a version", output([KEYFOB, "--version"]) and run(["fido2-token", "-V"]).returncode == 0)

# -S, -C: each sets or changes a PIN that the other then takes.
keyfob("pin", "set", pins=("12345678",))
token("-C", pins=("12345678", "87654321", "87654321"))
keyfob("pin", "change", pins=("87654321", "12341234"))
token.pin = "12341234"
keyfob("pin", "verify", pins=("00000000",), code=5)
check("fido2-token -C refuses a wrong PIN", token.refuses("-C", pins=("00000000", "1234", "1234")))
equal("the attempts that are left, after a wrong PIN by each", str(keyfob("pin", "status")["retries"]),
      token.info()["pin retries"])
keyfob("pin", "verify", pins=(token.pin,))
equal("a right one resets them", token.info()["pin retries"], "8")

# -L -r, -L -k, -I -c, -I -k -i, -S -c, -D
for rp, user in ((RP, "alice"), (RP, "bob"), ("example.com", "carol")):
    keyfob("register", "--rp", rp, "--user", user, "--display-name", user.title(), "--blob", pins=(token.pin,))
equal("keyfob credentials list and fido2-token -L -r: the sites", sorted({one["rpId"] for one in credentials()}),
      sorted(line.split()[2] for line in token("-L", "-r").splitlines()))
theirs = [line.split()[1:] for line in token("-L", "-k", RP).splitlines()]
ours = [[b64(bytes_of(one["id"])), one["userDisplayName"], b64(bytes_of(one["userId"])),
         {-7: "es256", -8: "eddsa"}[one["algorithm"]]] for one in credentials("--rp", RP)]
equal("keyfob credentials list --rp and fido2-token -L -k", ours, [line[:4] for line in theirs])
listed = keyfob("credentials", "list", pins=(token.pin,))
theirs = token("-I", "-c")
equal("the credentials, and the room for more", [str(listed["existing"]), str(listed["remaining"])],
      re.findall(r"rk\(s\): (\d+)", theirs))
alice, bob, carol = (one for name in ("alice", "bob", "carol") for one in credentials() if one["userName"] == name)
theirs = token("-I", "-k", RP, "-i", b64(bytes_of(alice["id"])))
shown = keyfob("credentials", "show", alice["id"], "--blob-key", pins=(token.pin,))
equal("keyfob credentials show and fido2-token -I -k -i", b64(bytes_of(shown["id"])) + "\n" + shown["publicKeyPem"], theirs)
keyfob("credentials", "rename", alice["id"], "--name", "anna", "--display-name", "Anna", pins=(token.pin,))
check("fido2-token lists the name that keyfob has given", " Anna " in token("-L", "-k", RP))
token("-S", "-c", "-i", b64(bytes_of(alice["id"])), "-k", b64(bytes_of(alice["userId"])), "-n", "alma", "-p", "Alma")
check("and keyfob that of fido2-token", [one for one in credentials() if one["userDisplayName"] == "Alma"])

# -S -b, -G -b, -L -b, -D -b: by the site, by the credential and by a key.
for name, length in (("blob", 700), ("other", 300), ("third", 90)):
    with open(name, "wb") as file:
        file.write(os.urandom(length))
put = ("--rp", "example.com")
keyfob("blobs", "put", "blob", *put, pins=(token.pin,))
token("-G", "-b", "-n", "example.com", "read")
equal("fido2-token -G -b -n reads what keyfob blobs put --rp has stored", open("blob", "rb").read(), open("read", "rb").read())
keyfob("blobs", "put", "other", "--rp", RP, pins=(token.pin,), code=9)
check("of two credentials, fido2-token too wants to know which", token.refuses("-S", "-b", "-n", RP, "other"))
token("-S", "-b", "-n", RP, "-i", b64(bytes_of(alice["id"])), "other")
got = keyfob("blobs", "get", "--rp", RP, "--credential", alice["id"], pins=(token.pin,))
equal("keyfob blobs get --credential reads what fido2-token -S -b -i has stored", bytes_of(got["blob"]), open("other", "rb").read())
with open("key", "w") as file:
    file.write(b64(os.urandom(32)) + "\n")
keyfob("blobs", "put", "third", "--blob-key", "key", pins=(token.pin,))
token("-G", "-b", "-k", "key", "third-read")
equal("the same by a key of the caller's", open("third", "rb").read(), open("third-read", "rb").read())
with open("bobs", "w") as file:
    file.write(keyfob("credentials", "show", bob["id"], "--blob-key", pins=(token.pin,))["blobKey"])
token("-S", "-b", "-k", "bobs", "third")
got = keyfob("blobs", "get", "--blob-key", "bobs", pins=(token.pin,))
equal("and by the key that keyfob credentials show --blob-key shows", bytes_of(got["blob"]), open("third", "rb").read())
ours = keyfob("blobs", "list", pins=(token.pin,))
# fido2-token 1.12 tells the lengths, and of no blob the credential (libfido2, pull request 646).
theirs = re.findall(r"^\d+: +\d+ +(\d+) ", token("-L", "-b"), re.M)
lengths = sorted(str(one["length"]) for one in ours["blobs"])
equal("keyfob blobs list and fido2-token -L -b: the lengths, with one that no credential opens",
      (lengths, ours["others"]), (["300", "700", "90"], len(theirs) - 3))
equal("of the same blobs", sorted(lengths + ["90"]), sorted(theirs))
keyfob("blobs", "delete", *put, "--yes", pins=(token.pin,))
check("fido2-token misses a blob that keyfob has deleted", token.refuses("-G", "-b", "-n", "example.com", "read"))
token("-D", "-b", "-k", "key")
keyfob("blobs", "get", "--blob-key", "key", pins=(token.pin,), code=9)
keyfob("credentials", "delete", carol["id"], "--yes", pins=(token.pin,))
check("fido2-token misses a credential that keyfob has deleted", "example.com" not in token("-L", "-r"))
token("-D", "-i", b64(bytes_of(bob["id"])))
equal("and keyfob one that fido2-token has deleted", [one["id"] for one in credentials()], [alice["id"]])

# -L -e, -S -e, -S -e -i -n, -D -e
def fingers():
    return [[b64(bytes_of(one["id"])), one["name"]] for one in keyfob("fingerprints", "list", pins=(token.pin,))["fingerprints"]]


def their_fingers():
    return [line.split(": ", 1)[1].split(" ") for line in token("-L", "-e").splitlines()]


added = keyfob("fingerprints", "add", "--name", "thumb", pins=(token.pin,))
token("-S", "-e")
equal("keyfob fingerprints list and fido2-token -L -e", fingers(), their_fingers())
keyfob("fingerprints", "rename", added["id"], "--name", "left", pins=(token.pin,))
check("fido2-token has the name of keyfob", [b64(bytes_of(added["id"])), "left"] in their_fingers(), their_fingers())
token("-S", "-e", "-i", b64(bytes_of(added["id"])), "-n", "right")
check("and keyfob that of fido2-token", [b64(bytes_of(added["id"])), "right"] in fingers(), fingers())
keyfob("fingerprints", "delete", "right", "--yes", pins=(token.pin,))
token("-D", "-e", "-i", their_fingers()[-1][0])
equal("each has deleted one", fingers(), their_fingers())

# -S -u, -D -u, -S -a, -S -m, -S -l, -S -f
config = lambda *arguments: keyfob("config", *arguments, pins=(token.pin,))
for state, switch in (("on", True), ("off", False)):
    config("always-verify", state)
    equal(f"keyfob config always-verify {state}", token.info()["options"]["alwaysUv"], switch)
    token("-S" if not switch else "-D", "-u")
    equal("fido2-token -S -u and -D -u", info()["info"]["options"]["alwaysUv"], not switch)
config("always-verify", "off")
config("enterprise-attestation")
equal("keyfob config enterprise-attestation", token.info()["options"]["ep"], True)
token("-S", "-a")
config("min-pin-length", "--rp", RP)
token("-S", "-m", f"{RP},example.com")
config("min-pin-length", "6", "--yes")
equal("keyfob config min-pin-length", token.info()["minpinlen"], "6")
token("-S", "-l", "7")
equal("fido2-token -S -l", keyfob("pin", "status")["minLength"], 7)
config("force-pin-change")
equal("keyfob config force-pin-change", token.info()["pin change required"], "true")
keyfob("pin", "change", pins=(token.pin, "43214321"))
token.pin = "43214321"
token("-S", "-f")
equal("fido2-token -S -f", keyfob("pin", "status")["mustChange"], True)

# -R
replug()
keyfob("reset", code=15)
keyfob("reset", "--yes")
token.pin = None
equal("keyfob reset: the PIN is gone", token.info()["options"]["clientPin"], False)
keyfob("pin", "set", pins=("123456",))
replug()
token("-R")
equal("fido2-token -R", keyfob("pin", "status")["set"], False)
