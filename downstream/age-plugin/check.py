"""age with age-plugin-keyfob, on virtual keys. The argument is keyfob; the folder is an empty one."""

import os
import pty
import shutil
import subprocess
import sys

KEYFOB = sys.argv[1]
SECRET = b"the combination is 12345\n"


def run(key, *command, typed=b"", file=b""):
    """Runs a command that sees a key with these switches. Returns its exit status, its output and what it told the person,
    who types this on the terminal when asked for a PIN."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", KEYFOB, "run", *key, "--", "setsid", "--wait", "--ctty", "sh", "-c", '"$@" <input', "sh", *command],
        stdin=terminal, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    told = b""
    while True:
        try:
            told += os.read(controller, 4096)
        except OSError:  # nobody has it open any more
            break
        if typed and b"PIN" in told:
            os.write(controller, typed)
            typed = b""
    output = process.stdout.read()
    os.close(controller)
    return process.wait(), output, told.decode(errors="replace")


def check(name, is_so, what=""):
    print(("ok: " if is_so else "FAILED: ") + name, flush=True)
    if not is_so:
        print(what)
        sys.exit(1)


def ok(name, result):
    check(name, result[0] == 0, result)
    return result


def refused(name, result, why):
    check(name, result[0] != 0 and why in result[2] and SECRET not in result[1], result)


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


write("input", SECRET)
finger = ["--store", "finger"]
ok("an identity is made", made := run(finger, "age-plugin-keyfob"))
write("identity", made[1])
recipient = made[1].split(b"recipient: ")[1].split(b"\n")[0].decode()
check("its recipient is one of the plugin", recipient.startswith("age1keyfob1"), made)
ok("a file is encrypted for it", run(finger, "age", "-r", recipient, "-o", "file", "/dev/stdin"))
result = ok("and opened with it", run(finger, "age", "-d", "-i", "identity", "file"))
check("to what it was", result[1] == SECRET, result)
check("with a touch", "Touch your security key." in result[2], result)

ok("a file is encrypted with the identity, in armour", run(finger, "age", "-e", "-a", "-i", "identity", "-o", "armour"))
result = ok("and opened", run(finger, "age", "-d", "-i", "identity", "armour"))
check("to what it was", result[1] == SECRET, result)

refused("another key does not open it", run([], "age", "-d", "-i", "identity", "file"), "no security key that is plugged in has this identity")
shutil.copy("finger", "copy")  # which counts the fingers that do not match
refused("nor is it opened where nobody touches the key",
        run(["--store", "copy", "--touch", "deny", "--uv", "mismatch"], "age", "-d", "-i", "identity", "file"), "keyfob plugin: ")
content = bytearray(open("file", "rb").read())
place = content.index(b"\n", content.index(b"-> keyfob")) + 3
content[place] = ord("A") if content[place] != ord("A") else ord("B")
write("damaged", content)
refused("nor where its stanza is damaged", run(finger, "age", "-d", "-i", "identity", "damaged"), "another secret")

pin = ["--store", "pin", "--pin", "864200", "--uv", "none"]
ok("an identity is made with a PIN", made := run(pin, "age-plugin-keyfob", typed=b"864200\n"))
write("identity-pin", made[1])
both = made[1].split(b"recipient: ")[1].split(b"\n")[0].decode()
ok("a file is encrypted with the PIN", run(pin, "age", "-r", both, "-o", "with-pin", "/dev/stdin", typed=b"864200\n"))
result = ok("and opened with it", run(pin, "age", "-d", "-i", "identity-pin", "with-pin", typed=b"864200\n"))
check("to what it was", result[1] == SECRET, result)
check("age has asked for the PIN", "PIN of your security key" in result[2], result)
refused("and not without", run(pin, "age", "-d", "-i", "identity-pin", "with-pin", typed=b"\n"), "PIN")

subprocess.run(["age-keygen", "-o", "plain"], check=True, capture_output=True)
plain = open("plain").read().split("public key: ")[1].split("\n")[0]
ok("a file has two recipients", run(finger, "age", "-r", recipient, "-r", plain, "-o", "two", "/dev/stdin"))
result = ok("the one opens it", run(finger, "age", "-d", "-i", "identity", "two"))
check("to what it was", result[1] == SECRET, result)
result = ok("and the other", run(finger, "age", "-d", "-i", "plain", "two"))
check("to what it was, without the key", result[1] == SECRET and "Touch" not in result[2], result)
