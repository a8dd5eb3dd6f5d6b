//! The library that `keyfob run` loads into a command: it stands before functions of the C library, and makes them show
//! a virtual security key as a HID device of the kernel.
//!
//! | file | what it stands before |
//! |---|---|
//! | `files.rs` | what takes a path: open, stat, access, readlink, … |
//! | `descriptors.rs` | what takes an open file: fstat, fstatfs, ioctl |
//! | `transfer.rs` | what reads and writes one: read, write |
//! | `listing.rs` | what lists a folder: opendir, readdir, scandir, glob |
//! | `monitor.rs` | the socket of udev's events: socket, bind, recvmsg, … |
//!
//! An open device is a connected socket on which one packet is one report. So poll, select, epoll, close, dup and fork
//! work without this library. It keeps no list of open devices: a socket is one if its peer is the key.
//!
//! `paths.rs` decides what belongs to the key, `state.rs` has what the environment said, `abi.rs` the C library.
//! Functions with further arguments that are optional in C (`open`, `ioctl`) have a fixed number here: on the machines
//! that `build.rs` lists, both are called in the same way.
//!
//! Nothing here allocates, locks or panics, but for what `scandir` has to return: programs call these functions in signal
//! handlers, after `fork`, and before their own memory allocator is ready.
#![cfg_attr(embedded, no_std)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::string_slice,
    clippy::disallowed_methods
)]

mod abi;
mod descriptors;
mod files;
mod listing;
mod monitor;
mod paths;
mod state;
mod transfer;

/// Nothing here panics, but a program without the standard library has to say what happens if it did.
#[cfg(embedded)]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: abort has no conditions.
    unsafe { abi::abort() }
}

// The compiled `core` names this function, which would run if a panic unwound. It is hidden, because programs that link
// Rust's standard library dynamically have one of their own.
#[cfg(embedded)]
core::arch::global_asm!(".globl rust_eh_personality", ".hidden rust_eh_personality", "rust_eh_personality:");
