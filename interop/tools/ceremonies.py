"""The manuals of fido2-cred and fido2-assert: registrations and sign-ins of every kind."""

import base64
import json
import os
import re

from pairs import PIN, both_sign_in, make, register, token, write
from steps import KEYFOB, RP, b64, bytes_of, check, equal, keyfob, output, run, sha256, url

kinds = ["es256", "eddsa"] + (["rs256"] if os.environ["RSA"] == "rsa" else [])
for kind in kinds:
    made, path, _ = register(f"ours-{kind}", kind, "--uv", "discouraged")
    document = both_sign_in(made, kind, "--uv", "discouraged", get=("-p",))
    write("signed", json.dumps(document))
    keyfob("verify", "signed", "--registration", path)
    both_sign_in(make(f"theirs-{kind}", kind), kind, "--uv", "discouraged", get=("-p",))
check("and keyfob verify verifies what keyfob sign-in prints", True)

# What the manuals' switches ask for, one after the other.
silent = both_sign_in(made, kind, "--uv", "discouraged", "--no-touch", judge=(), get=("-t", "up=false"))
write("silent", json.dumps(silent))
keyfob("verify", "silent", "--registration", path, code=12)
keyfob("verify", "silent", "--registration", path, "--no-touch")
old, _, _ = register("old", "es256", "--u2f", "--uv", "discouraged")
both_sign_in(old, "es256", "--u2f", "--uv", "discouraged", get=("-u", "-p"))
both_sign_in(make("theirs-old", "es256", "-u"), "es256", "--u2f", "--uv", "discouraged", get=("-u", "-p"))
_, _, verified = register("protected", "es256", "--protection", "optional-with-id", "--uv", "discouraged", judge=("-c", "2"))
check("keyfob verify tells the protection", verified["protection"] == "userVerificationOptionalWithCredentialIDList")
check("and fido2-cred -V -c 3 refuses it", run(["fido2-cred", "-V", "-c", "3", "-i", "protected.cred"]).returncode == 1)

keyfob("pin", "set", pins=(PIN,))
verified_user, _, verified = register("verified", "es256", "--uv", "required", judge=("-v",))
check("keyfob verify tells of the user", verified["userVerified"])
both_sign_in(verified_user, "es256", "--uv", "required", judge=("-p", "-v"), get=("-p", "-v"))

secret, path, verified = register("secret", "es256", "--secret", "--uv", "required", judge=("-h", "-v"))
check("keyfob verify tells that it makes secrets", verified["hmacSecret"])
salt = sha256(b"WebAuthn PRF\0" + b"disk")
write("salted", b64(sha256(b"salted")), RP, b64(bytes_of(secret.id)), b64(salt))
theirs = output(["fido2-assert", "-G", "-h", "-v", "-i", "salted", token.path], (PIN,)).splitlines()[4]
equal("keyfob secret and fido2-assert -G -h", b64(bytes_of(keyfob("secret", path, "--purpose", "disk", pins=(PIN,))["secret"])),
      theirs)

register("alice", "es256", "--passkey", judge=("-v",))
make("bob", "eddsa", "-r", "-v")
command = [KEYFOB, "sign-in", "--rp", RP, "--all", "--uv", "required", "--pin-fd", "0"]
ours = [json.loads(line) for line in output(command, (PIN,)).splitlines()]
write("any", b64(sha256(b"any")), RP)
theirs = output(["fido2-assert", "-G", "-r", "-v", "-i", "any", token.path], (PIN,)).split("\n")
users = [theirs[index + 4] for index in range(0, len(theirs) - 1, 5)]
equal("keyfob sign-in --all and fido2-assert -G -r: the users of both",
      [b64(bytes_of(one["response"]["response"]["userHandle"])) for one in ours], users)

# A signature that is not the key's.
forged = json.loads(open("ours-es256.json").read())
data = bytearray(bytes_of(forged["response"]["response"]["attestationObject"]))
data[-1] ^= 1
forged["response"]["response"]["attestationObject"] = url(data)
keyfob("verify", write("forged", json.dumps(forged)), code=12)
wrong = run([KEYFOB, "sign-in", "--rp", RP, "--uv", "required", "--pin-fd", "0"], ("999999",))
check("a wrong PIN has its exit code", wrong.returncode == 5 and re.search("7 attempts are left", wrong.stderr), wrong)
check("and fido2-token -I counts it too", token.info()["pin retries"] == "7")
