//! What the emulated boards bring: an entry, large memory, a counter of instructions, and a stack whose depth can be
//! seen.

use core::{cell::Cell, hint::black_box, ptr};

use crate::Memory;

/// What the stack is filled with before it grows.
const PAINT: u32 = 0xA5A5_5A5A;
/// How far down it is filled, in bytes from its start.
const PAINTED: usize = 24 << 10;
/// Bytes below the frame of [`paint`] that it leaves alone.
const MARGIN: usize = 64;

unsafe extern "C" {
    /// Where the stack starts, from the runtime's linker script.
    static _stack_start: u32;
}

/// The program's memory. To be called once.
pub fn memory() -> &'static mut Memory {
    static mut MEMORY: Memory = Memory::new();
    let memory = &raw mut MEMORY;
    // SAFETY: the program has one thread and calls this once.
    unsafe { &mut *memory }
}

fn floor() -> *const u32 {
    (&raw const _stack_start).wrapping_byte_sub(PAINTED)
}

/// Fills the stack below the caller.
#[inline(never)]
fn paint() {
    let here = 0_u32;
    let (mut at, end) = (floor().cast_mut(), black_box(&raw const here).wrapping_byte_sub(MARGIN));
    while at.cast_const() < end {
        // SAFETY: between the floor and the stack pointer nothing lies. Statics end below the floor.
        unsafe { ptr::write_volatile(at, PAINT) };
        at = at.wrapping_add(1);
    }
}

/// The lowest address that the stack has reached since it was filled.
#[inline(never)]
fn lowest() -> usize {
    let mut at = floor();
    // SAFETY: as in `paint`; the stack pointer's own frame ends the loop.
    while unsafe { ptr::read_volatile(at) } == PAINT {
        at = at.wrapping_add(1);
    }
    at.addr()
}

/// What a step takes: instructions, and the stack of the client and of the key, which runs within the client's calls.
#[derive(Default)]
pub struct Gauge {
    top: Cell<usize>,
    client: Cell<usize>,
    key: Cell<usize>,
    count: Cell<u32>,
    /// Instructions that measuring took.
    own: Cell<u64>,
}

/// The cost of a step.
pub struct Cost {
    /// Instructions.
    pub instructions: u64,
    /// Bytes of stack, without the key's.
    pub client: usize,
    /// Bytes of the key's stack.
    pub key: usize,
}

impl Gauge {
    /// Measures a step. Steps within it do not count into its stack, but into its instructions.
    #[inline(never)]
    pub fn step<T>(&self, work: impl FnOnce() -> T) -> (T, Cost) {
        let (top, client, key) = (self.top.get(), self.client.get(), self.key.get());
        self.reached();
        paint();
        let here = 0_u32;
        self.top.set(black_box(&raw const here).addr());
        self.client.set(0);
        self.key.set(0);
        let (outer, own) = (self.count.replace(count()), self.own.replace(0));
        let done = work();
        let instructions = since(self.count.get()).saturating_sub(self.own.get());
        self.reached();
        let cost = Cost { instructions, client: self.client.get(), key: self.key.get() };
        self.top.set(top);
        self.client.set(client);
        self.key.set(key);
        self.count.set(outer);
        self.own.set(own + self.own.get());
        paint();
        (done, cost)
    }

    /// Runs a piece of the key.
    #[inline(never)]
    pub fn key<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = count();
        self.reached();
        paint();
        let here = 0_u32;
        let top = black_box(&raw const here).addr();
        self.own.set(self.own.get() + since(before));
        let done = work();
        let before = count();
        self.key.set(self.key.get().max(top.saturating_sub(lowest())));
        paint();
        self.own.set(self.own.get() + since(before));
        done
    }

    fn reached(&self) {
        self.client.set(self.client.get().max(self.top.get().saturating_sub(lowest())));
    }
}

#[cfg(target_arch = "arm")]
mod chip {
    use cortex_m::peripheral::{Peripherals, SYST, syst::SystClkSource};

    /// Instructions in a tick of the board's clock of 25 MHz, at one in a nanosecond; the board of the Cortex-M0 begins
    /// with 12.5 MHz.
    const INSTRUCTIONS: u64 = if cfg!(chip = "cortex-m0") { 80 } else { 40 };

    #[cortex_m_rt::entry]
    fn main() -> ! {
        if let Some(mut peripherals) = Peripherals::take() {
            peripherals.SYST.set_clock_source(SystClkSource::Core);
            peripherals.SYST.set_reload(0x00FF_FFFF);
            peripherals.SYST.clear_current();
            peripherals.SYST.enable_counter();
        }
        crate::main()
    }

    /// A count that goes on with the instructions. It wraps.
    pub fn count() -> u32 {
        !SYST::get_current()
    }

    /// The instructions since a count: exact to a tick, and less than 600 million.
    pub fn since(before: u32) -> u64 {
        u64::from(count().wrapping_sub(before) & 0x00FF_FFFF) * INSTRUCTIONS
    }
}

#[cfg(target_arch = "riscv32")]
mod chip {
    use riscv::register::minstret;

    #[riscv_rt::entry]
    fn main() -> ! {
        crate::main()
    }

    /// A count that goes on with the instructions. It wraps.
    pub fn count() -> u32 {
        minstret::read() as u32
    }

    /// The instructions since a count: less than four thousand million.
    pub fn since(before: u32) -> u64 {
        u64::from(count().wrapping_sub(before))
    }
}

use chip::{count, since};
