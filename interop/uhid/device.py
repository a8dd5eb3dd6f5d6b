"""The kernel's hidraw device of a key: what it says, several programs that have it open, and its end. Without a library.
The process that started it replugs the key at SIGUSR1."""

import errno
import fcntl
import glob
import os
import select
import signal
import struct
import subprocess
import sys
import time

BROADCAST = b"\xff" * 4


def check(what, passed, shown=""):
    print(f"{'ok' if passed else 'FAILED'}: {what}{'' if passed else f': {shown}'}", flush=True)
    if not passed:
        sys.exit(1)


def request(number, size):
    """An ioctl of hidraw that reads `size` bytes."""
    return 2 << 30 | size << 16 | ord("H") << 8 | number


def nodes():
    return sorted(glob.glob("/dev/hidraw*"))


def wait_until(condition):
    end = time.monotonic() + 10
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def read(file, seconds=5):
    """The next report, or None if there is none in this time."""
    return os.read(file, 64) if select.select([file], [], [], seconds)[0] else None


def init(file, nonce):
    """Sends INIT on the broadcast channel."""
    os.write(file, b"\0" + BROADCAST + b"\x86\0\x08" + nonce + bytes(49))


def channel(file, nonce):
    init(file, nonce)
    report = read(file)
    check("INIT is answered", report and report[:15] == BROADCAST + b"\x86\0\x11" + nonce, report)
    return report[15:19]


def ping(file, channel, data):
    """The answer to PING."""
    os.write(file, b"\0" + channel + b"\x81" + struct.pack(">H", len(data)) + data[:57].ljust(57, b"\0"))
    for sequence, at in enumerate(range(57, len(data), 59)):
        os.write(file, b"\0" + channel + bytes([sequence]) + data[at:at + 59].ljust(59, b"\0"))
    answer = b""
    while len(answer) < len(data):
        report = read(file)
        if report is None:
            return None
        if report[:4] == channel:
            answer += report[7:] if report[4] & 0x80 else report[5:]
    return answer[:len(data)]


def events():
    return [line for line in open(os.environ["KEYFOB_LOG"]).read().splitlines() if line.startswith("uhid ")]


def what_it_says():
    check("there is one device", nodes() == ["/dev/hidraw0"], nodes())
    with open("/dev/hidraw0", "r+b", buffering=0) as file:
        info, name, size = bytearray(8), bytearray(64), bytearray(4)
        fcntl.ioctl(file, request(3, 8), info)
        check("its bus, vendor and product", struct.unpack("IHH", info) == (3, 0x1209, 0xF1D0), info)
        fcntl.ioctl(file, request(4, 64), name)
        check("its name", name.rstrip(b"\0") == b"keyfob virtual security key", name)
        fcntl.ioctl(file, request(1, 4), size)
        descriptor = bytearray(size + bytes(4096))
        fcntl.ioctl(file, request(2, 4 + 4096), descriptor)
        count = struct.unpack("I", size)[0]
        check("its report descriptor begins with the FIDO page", descriptor[4:7] == b"\x06\xd0\xf1", descriptor[:16])
        kept = open("/sys/class/hidraw/hidraw0/device/report_descriptor", "rb").read()
        check("and is that of sysfs", descriptor[4:4 + count] == kept, kept)
        start = time.monotonic()
        for number, what in ((7, "a feature report is not given"), (6, "nor taken")):
            try:
                # Both directions, unlike the others.
                fcntl.ioctl(file, request(number, 65) | 1 << 30, bytearray(65))
                check(what, False)
            except OSError as error:
                check(f"{what}: {os.strerror(error.errno)}", error.errno == errno.EIO)
        check("at once", time.monotonic() - start < 1)
    properties = subprocess.run(["udevadm", "info", "--query=property", "/dev/hidraw0"], capture_output=True, text=True)
    check("udev takes it for a security key, which a user at the machine may open",
          {"ID_FIDO_TOKEN=1", "ID_SECURITY_TOKEN=1"} <= set(properties.stdout.split())
          and "uaccess" in properties.stdout, properties)


def several_openers():
    before = len(events())
    files = [os.open(nodes()[0], os.O_RDWR) for _ in range(3)]
    first = channel(files[0], b"opener 1")
    seen = [read(file) for file in files[1:]]
    check("each opener sees the answer to one", all(report and report[7:15] == b"opener 1" for report in seen), seen)
    second = channel(files[1], b"opener 2")
    read(files[0])
    check("each has its own channel", first != second, first)
    os.close(files[2])
    check("one closes, and the others go on", ping(files[0], first, b"x" * 200) == b"x" * 200)
    while read(files[1], 0.2):
        pass
    os.close(files[0])
    check("the last one too", ping(files[1], second, b"y" * 200) == b"y" * 200)
    os.close(files[1])
    wait_until(lambda: "closed" in events()[-1])
    told = [line.split()[1] for line in events()[before:] if ":" not in line]
    check("the kernel tells of the first that opens and of the last that closes", told == ["opened", "closed"], told)


def long_messages(tries=50):
    """The kernel keeps 32 reports of its clients and 64 of the key, and drops the rest."""
    file = os.open(nodes()[0], os.O_RDWR)
    taken = channel(file, b"long one")
    data = bytes(range(256)) * 29 + bytes(185)
    lost, longest = 0, 0
    for _ in range(tries):
        start = time.monotonic()
        if ping(file, taken, data) != data:
            lost += 1
            taken = channel(file, b"long two")
        longest = max(longest, time.monotonic() - start)
    os.close(file)

    check(f"PING of 7,609 bytes, {tries} times: {lost} were lost, at most {longest:.2f} s", lost == 0)


def one_that_does_not_read():
    silent, file = os.open(nodes()[0], os.O_RDWR), os.open(nodes()[0], os.O_RDWR)
    taken = channel(file, b"a reader")
    check("an opener that reads nothing does not hold up another",
          all(ping(file, taken, bytes([number]) * 1000) == bytes([number]) * 1000 for number in range(20)))
    os.close(silent)
    os.close(file)


def replugs(count=100):
    start = time.monotonic()
    for number in range(count):
        file = os.open(nodes()[0], os.O_RDWR)
        old = os.fstat(file).st_ino
        channel(file, b"replug %d" % (number % 10)) if number == 0 else init(file, b"replug..")
        os.kill(os.getppid(), signal.SIGUSR1)
        poll = select.poll()
        poll.register(file, 0)
        gone = poll.poll(5000)
        if not gone or not gone[0][1] & (select.POLLHUP | select.POLLERR):
            check("whoever has it open learns that it is gone", False, gone)
        os.close(file)
        if not wait_until(lambda: [one for one in os.scandir("/dev") if one.name.startswith("hidraw") and one.inode() != old]):
            check(f"plugged in again, time {number + 1}", False, nodes())
        file = os.open(nodes()[0], os.O_RDWR)
        init(file, b"is back!")
        report = read(file)
        if not report or report[7:15] != b"is back!":
            check(f"it works again, time {number + 1}", False, report)
        os.close(file)
    took = time.monotonic() - start
    check(f"unplugged and plugged in {count} times by SIGUSR1, {took / count * 1000:.0f} ms each", True)


CHECKS = (what_it_says, several_openers, long_messages, one_that_does_not_read, replugs)
# All of them, or those that are named, as often as is said: `long_messages=10`.
asked = dict(argument.partition("=")[::2] for argument in sys.argv[1:])
for one in CHECKS:
    if not asked or one.__name__ in asked:
        count = asked.get(one.__name__)
        one(*([int(count)] if count else []))
