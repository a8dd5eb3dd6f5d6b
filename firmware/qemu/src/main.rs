//! A security key with its flash log, and a client that sets a PIN, registers, signs in, verifies and manages, in one
//! image: reports go from one to the other in memory. Prints what each step took, and ends with status 0 when all went
//! well. `firmware/run.sh` builds it and runs it under QEMU.
#![no_std]
#![no_main]

use core::{cell::Cell, panic::PanicInfo};

use semihosting::{println, process};

use crate::board::{Cost, Gauge};

mod board;
mod counting;
mod errands;
mod flash;
mod key;
#[cfg(all(target_arch = "arm", not(chip = "cortex-m0")))] // instructions of Thumb-2
#[path = "../../src/memory.rs"]
mod memory;
mod platform;

/// What a key and a client keep outside of their stacks.
struct Memory {
    /// The flash, which is RAM here.
    flash: [u8; flash::SIZE],
    key: [u8; 4096],
    client: [u8; 4096],
}

impl Memory {
    const fn new() -> Self {
        Self { flash: [0; flash::SIZE], key: [0; 4096], client: [0; 4096] }
    }
}

fn main() -> ! {
    let memory = board::memory();
    memory.flash.fill(0xFF); // erased
    let (now, gauge) = (Cell::new(0), Gauge::default());
    println!("{:30} {:>12} {:>7} {:>7}", "", "instructions", "client", "key");
    match errands::run_all(memory, &now, &gauge) {
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

/// Does a step, and prints what it took.
fn step<T>(gauge: &Gauge, name: &str, work: impl FnOnce() -> Result<T, &'static str>) -> Result<T, &'static str> {
    let (done, Cost { instructions, client, key }) = gauge.step(work);
    let end = if done.is_ok() { "" } else { ", failed" };
    println!("{name:30} {instructions:>12} {client:>7} {key:>7}{end}");
    done
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("PANIC: {info}");
    process::exit(101)
}
