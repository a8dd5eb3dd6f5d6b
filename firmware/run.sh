#!/usr/bin/env bash
# Runs a key and a client on emulated chips: firmware/run.sh [CHIP...]
#
# Needs Rust with rustup, and QEMU 7 or later with qemu-system-arm and qemu-system-riscv32 (Debian: qemu-system-arm,
# qemu-system-misc). With --install as the first argument, installs QEMU with apt-get and adds Rust's targets.
#
# Chips: cortex-m0 (a Cortex-M0 on lm3s6965evb, code for Cortex-M0+), cortex-m4f (mps2-an386), cortex-m33 (mps2-an505),
# riscv (virt, RV32IMAC). Prints for each step its instructions,
# and the bytes of stack that the client and the key took. Then, in an image with stub cryptography, cuts the power at
# every write and every erasure of every command that changes something, and sends a million random reports (on
# cortex-m4f and riscv). On cortex-m4f it also runs a key at two priorities, as on a part at 64 MHz: an interrupt sends
# keep-alives and answers other channels while the engine computes; columns: milliseconds of the request, its longest
# pause, what others sent meanwhile, and the slowest answer to that. Ends with 1 when something fails or takes more stack than below, and with 77 without QEMU.
set -euo pipefail
cd "$(dirname "$0")"
MAX_KEY=5500

emulators() { command -v qemu-system-arm && command -v qemu-system-riscv32; }

if [ "${1:-}" = --install ]; then
    shift
    rustup target add thumbv6m-none-eabi thumbv7em-none-eabihf thumbv8m.main-none-eabihf riscv32imac-unknown-none-elf
    if ! emulators >/dev/null; then
        packages=(qemu-system-arm qemu-system-misc)
        # A qemu-utils that is newer than the distribution's is in the way of the distribution's emulators: it goes.
        apt-get update && { apt-get install -y --no-install-recommends "${packages[@]}" ||
            apt-get install -y --no-install-recommends "${packages[@]}" qemu-utils-; } || true
    fi
fi
emulators >/dev/null || { echo "QEMU is not installed and cannot be"; exit 77; }
[ "$#" -gt 0 ] || set -- cortex-m0 cortex-m4f cortex-m33 riscv

for chip; do
    images=(--bin keyfob-firmware-qemu) flags='' level=s
    max_client=5500 max_verify=6000 # bytes of stack: of the client in a ceremony, and of a verification
    case $chip in
        # 256 KB of flash: the small configurations of everything.
        cortex-m0) target=thumbv6m-none-eabi emulator=(qemu-system-arm -machine lm3s6965evb -cpu cortex-m0) level=z max_client=5800 max_verify=6400
            flags='--cfg=sha2_backend_soft="compact" --cfg=aes_backend_soft="compact"' ;;
        cortex-m4f) target=thumbv7em-none-eabihf emulator=(qemu-system-arm -machine mps2-an386) images=(--bins --features priorities) ;;
        cortex-m33) target=thumbv8m.main-none-eabihf emulator=(qemu-system-arm -machine mps2-an505) ;;
        riscv) target=riscv32imac-unknown-none-elf emulator=(qemu-system-riscv32 -machine virt -bios none)
            images=(--bins) ;;
        *) echo "no chip $chip; there are: cortex-m0 cortex-m4f cortex-m33 riscv"; exit 2 ;;
    esac
    echo "== $chip"
    RUSTFLAGS=$flags CARGO_PROFILE_RELEASE_OPT_LEVEL=$level KEYFOB_CHIP=$chip cargo build --quiet --locked --release \
        --manifest-path qemu/Cargo.toml --target "$target" "${images[@]}"
    # emulate IMAGE: runs it. One instruction is one nanosecond of the emulated clock, so that counts do not depend on
    # the machine.
    emulate() {
        timeout 600 "${emulator[@]}" -nographic -icount shift=0 -semihosting-config enable=on,target=native \
            -kernel "${CARGO_TARGET_DIR:-target}/$target/release/$1" </dev/null \
            2> >(grep -v 'Timer with period zero' >&2) # of a clock that is not set up yet
    }
    emulate keyfob-firmware-qemu |
        awk -v max_key="$MAX_KEY" -v max_client="$max_client" -v max_verify="$max_verify" '
            { print }
            /^result: PASS/ { passed = 1 }
            NF >= 4 && $NF ~ /^[0-9]+$/ && $(NF - 1) ~ /^[0-9]+$/ {
                max = /verified/ ? max_verify : max_client
                if (/^power-up/) max = $(NF - 1) # of the program that makes both ends
                if ($NF > max_key) { print "too much stack for the key: allowed are " max_key; over = 1 }
                if ($(NF - 1) > max) { print "too much stack for the client: allowed are " max; over = 1 }
            }
            END { exit over || !passed }'
    [ "${images[0]}" != --bins ] || emulate keyfob-firmware-faults
    [ "$chip" != cortex-m4f ] || emulate keyfob-firmware-priorities
done
