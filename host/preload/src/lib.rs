//! The library that `keyfob run` loads into a command with `LD_PRELOAD`, as bytes.
//!
//! It makes virtual security keys look like HID devices of the kernel: `/dev/hidrawN`, `/sys/class/hidraw` and the
//! entries and events of udev. It needs no rights, no kernel module and no daemon. Its source is in `interpose/`; this crate builds
//! and embeds it.
//!
//! [`VARIABLE`] tells the library where the run directory is. The run directory has
//!
//! | file | what it is |
//! |---|---|
//! | `dev/hidrawN` | a Unix socket of type SOCK_SEQPACKET, on which one packet is one report, for each key that is plugged in |
//! | `monitor` | a Unix socket of type SOCK_DGRAM, which sends the events of udev |
//! | `udev/…` | made by the library: the sockets to which they are sent |
//! | `sys/…`, `run/…` | what the library shows in place of `/sys/…` and `/run/…` |
//! | `hidraw/descriptor`, `info`, `name`, `phys`, `uniq` | what the `ioctl`s of hidraw answer |
//! | `loaded`, `opened` | made by the library when a program has loaded it, and when one has opened the key |

/// The library for the machine that this crate was built for. `None` where it does not work: other systems than Linux,
/// 32-bit machines.
#[cfg(has_library)]
pub const LIBRARY: Option<&[u8]> = Some(include_bytes!(concat!(env!("OUT_DIR"), "/libkeyfob_preload.so")));
/// The library for the machine that this crate was built for. `None` where it does not work: other systems than Linux,
/// 32-bit machines.
#[cfg(not(has_library))]
pub const LIBRARY: Option<&[u8]> = None;

/// The environment variable that the library reads. Its value is `MAJOR:MINOR:DIRECTORY`: the device number that the
/// first key shows, whose minor number is also the number of its hidraw device, and the absolute path of the run directory.
/// The other keys have the next numbers.
pub const VARIABLE: &str = "KEYFOB_RUN";

/// How many keys there can be at a time.
pub const KEYS: u32 = 8;

/// The longest path of a run directory, in bytes. A path of a Unix socket has at most 107.
pub const MAX_DIRECTORY: usize = 80;

/// The folder of the key below `/sys/devices/platform`.
pub const DEVICE: &str = "keyfob";

#[cfg(all(test, has_library))]
#[path = "../interpose/abi.rs"]
mod abi;
#[cfg(all(test, has_library))]
#[allow(dead_code)]
#[path = "../interpose/paths.rs"]
mod paths;
#[cfg(all(test, has_library))]
mod tests;
