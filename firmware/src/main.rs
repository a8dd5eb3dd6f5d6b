//! keyfob on a microcontroller: nothing but the machines, so that what they cost can be read off the program.
//!
//! Each machine is one function that is not inlined, called once with data the optimiser knows nothing about. With
//! cryptography behind a stand-in and no formatting, the program must hold neither a panic nor an allocation.
#![no_std]
#![no_main]

use core::hint::black_box;

mod machines;
mod stand_in;

/// The reset handler. It runs nowhere: it keeps every machine in the program.
#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    let mut buffer = black_box([0; 1024]);
    machines::decode_get_info(black_box(&buffer));
    machines::decode_make_credential(black_box(&buffer));
    machines::pin_uv_decapsulate(black_box(&mut buffer));
    loop {}
}

/// The linker keeps this function only if something can panic.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    keyfob_panicked()
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn keyfob_panicked() -> ! {
    loop {}
}
