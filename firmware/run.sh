#!/usr/bin/env bash
# Runs a key and a client on emulated chips: firmware/run.sh [CHIP...]
#
# Needs Rust with rustup, and QEMU 7 or later with qemu-system-arm and qemu-system-riscv32 (Debian: qemu-system-arm,
# qemu-system-misc). With --install as the first argument, installs QEMU with apt-get and adds Rust's targets.
#
# Chips: cortex-m4f (mps2-an386), cortex-m33 (mps2-an505), riscv (virt, RV32IMAC). Prints for each step its instructions,
# and the bytes of stack that the client and the key took. Then, in an image with stub cryptography, cuts the power at
# every write and every erasure of every command that changes something, and sends a million random reports (on
# cortex-m4f and riscv). Ends with 1 when something fails or takes more stack than below, and with 77 without QEMU.
set -euo pipefail
cd "$(dirname "$0")"
MAX_KEY=5500
MAX_CLIENT=7000

emulators() { command -v qemu-system-arm && command -v qemu-system-riscv32; }

if [ "${1:-}" = --install ]; then
    shift
    rustup target add thumbv7em-none-eabihf thumbv8m.main-none-eabihf riscv32imac-unknown-none-elf
    if ! emulators >/dev/null; then
        packages=(qemu-system-arm qemu-system-misc)
        # A qemu-utils that is newer than the distribution's is in the way of the distribution's emulators: it goes.
        apt-get update && { apt-get install -y --no-install-recommends "${packages[@]}" ||
            apt-get install -y --no-install-recommends "${packages[@]}" qemu-utils-; } || true
    fi
fi
emulators >/dev/null || { echo "QEMU is not installed and cannot be"; exit 77; }
[ "$#" -gt 0 ] || set -- cortex-m4f cortex-m33 riscv

for chip; do
    case $chip in
        cortex-m4f) target=thumbv7em-none-eabihf emulator=(qemu-system-arm -machine mps2-an386) ;;
        cortex-m33) target=thumbv8m.main-none-eabihf emulator=(qemu-system-arm -machine mps2-an505) ;;
        riscv) target=riscv32imac-unknown-none-elf emulator=(qemu-system-riscv32 -machine virt -bios none) ;;
        *) echo "no chip $chip; there are: cortex-m4f cortex-m33 riscv"; exit 2 ;;
    esac
    echo "== $chip"
    KEYFOB_CHIP=$chip cargo build --quiet --locked --release --manifest-path qemu/Cargo.toml --target "$target"
    # emulate IMAGE: runs it. One instruction is one nanosecond of the emulated clock, so that counts do not depend on
    # the machine.
    emulate() {
        timeout 600 "${emulator[@]}" -nographic -icount shift=0 -semihosting-config enable=on,target=native \
            -kernel "${CARGO_TARGET_DIR:-target}/$target/release/$1" </dev/null
    }
    emulate keyfob-firmware-qemu |
        awk -v max_key="$MAX_KEY" -v max_client="$MAX_CLIENT" '
            { print }
            /^result: PASS/ { passed = 1 }
            NF >= 4 && $NF ~ /^[0-9]+$/ && $(NF - 1) ~ /^[0-9]+$/ {
                if ($NF > max_key) { print "too much stack for the key: allowed are " max_key; over = 1 }
                if ($(NF - 1) > max_client) { print "too much stack for the client: allowed are " max_client; over = 1 }
            }
            END { exit over || !passed }'
    [ "$chip" = cortex-m33 ] || emulate keyfob-firmware-faults
done
