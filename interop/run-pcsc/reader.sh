# reader.sh DRIVER COMMAND...: in namespaces of its own, configures pcscd for the one reader of this driver and runs a
# command, which may start it.
set -euo pipefail

mount -t tmpfs tmpfs /run
mkdir /run/pcscd /run/readers /run/usb
# The loopback interface of a new namespace is down.
python3 - <<'UP'
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
UP
cat >/run/readers/vpcd <<READERS
FRIENDLYNAME "Virtual PCD"
DEVICENAME /dev/null:35963
LIBPATH $1
CHANNELID 35963
READERS
# No drivers for USB, so that no reader of the machine is opened.
export PCSCLITE_HP_DROPDIR=/run/usb
shift
"$@"
