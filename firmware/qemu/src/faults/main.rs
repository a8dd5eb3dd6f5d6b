//! A key on a flash whose power fails, and whose client sends anything, in one image with stub cryptography: cuts the
//! power at every write and every erasure of every command that changes something, and sends random reports. Ends with
//! status 0 when nothing was lost. `firmware/faults.sh` builds it and runs it under QEMU.
#![no_std]
#![no_main]
// A test: a panic is a failure.
#![allow(clippy::disallowed_methods)]

use core::{cell::RefCell, panic::PanicInfo};

use semihosting::{println, process};

use crate::{flash::Medium, key::Bench, reports::Tape};

#[path = "../board.rs"]
#[allow(dead_code)] // nothing is measured here
mod board;
#[path = "../counting.rs"]
mod counting;
mod errands;
mod flash;
mod key;
#[cfg(all(target_arch = "arm", not(chip = "cortex-m0")))] // instructions of Thumb-2
#[path = "../../../src/memory.rs"]
mod memory;
mod reports;
mod sweep;

/// What the key and its client keep outside of their stacks.
struct Memory {
    flash: RefCell<Medium>,
    before: RefCell<Medium>,
    tape: RefCell<Tape>,
    key: [u8; 4096],
    client: [u8; 4096],
}

impl Memory {
    const fn new() -> Self {
        Self {
            flash: RefCell::new(Medium::new()),
            before: RefCell::new(Medium::new()),
            tape: RefCell::new(Tape::new()),
            key: [0; 4096],
            client: [0; 4096],
        }
    }
}

fn run(memory: &mut Memory) -> Result<(), &'static str> {
    let Memory { flash, before, tape, key, client } = memory;
    let mut bench = Bench { flash, tape, key, client, seed: 1, made: 0 };
    sweep::sweep(&mut bench, before)?;
    reports::send(&mut bench, before)
}

fn main() -> ! {
    match run(board::memory()) {
        Ok(()) => {
            println!("result: PASS");
            process::exit(0)
        }
        Err(why) => {
            println!("result: FAIL: {why}");
            process::exit(1)
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("PANIC: {info}");
    process::exit(101)
}
