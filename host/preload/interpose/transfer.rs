//! Reading and writing, where the end of a socket differs from the end of a device.
//!
//! A socket whose peer is gone is at its end: reading gives nothing, and writing raises SIGPIPE, which ends the program.
//! A device that is unplugged fails with an error. Programs know that one only: Firefox reads for ever where there is
//! nothing, in the belief that it is another program's report. A program to which an open key was sent over a socket, and
//! that has opened none itself, sees the end of a socket.

use core::{ops::RangeInclusive, slice};

use crate::{
    abi::{self, ECONNRESET, EINVAL, EIO, ENODEV, EPIPE, MSG_NOSIGNAL, POLLHUP, PollFile, c_int, c_void},
    descriptors::is_opened_key,
    state::{fail, interpose},
};

/// What a device takes in one write, in bytes: a report id and a byte at least, HID_MAX_BUFFER_SIZE of Linux at most.
const REPORT: RangeInclusive<usize> = 2..=16_384;

/// Whether an open key has been unplugged since.
pub fn is_unplugged(fd: c_int) -> bool {
    let error = abi::errno();
    let mut file = PollFile { fd, events: 0, found: 0 };
    // SAFETY: one file.
    let found = unsafe { abi::poll(&raw mut file, 1, 0) };
    abi::set_errno(error);
    found == 1 && file.found & POLLHUP != 0
}

/// What reading has given: for an unplugged key, the error of the kernel's device.
fn as_device(fd: c_int, wanted: usize, result: isize) -> isize {
    let is_at_end = result == 0 && wanted != 0 || result < 0 && abi::errno() == ECONNRESET;
    if is_at_end && is_opened_key(fd) {
        abi::set_errno(EIO);
        return -1;
    }
    result
}

interpose!(read: fn(fd: c_int, buffer: *mut c_void, length: usize) -> isize, or -1 => read_file);
unsafe fn read_file(
    next: unsafe extern "C" fn(c_int, *mut c_void, usize) -> isize,
    fd: c_int,
    buffer: *mut c_void,
    length: usize,
) -> isize {
    // SAFETY: the caller's contract is that of the next function.
    as_device(fd, length, unsafe { next(fd, buffer, length) })
}

// What programs call that are compiled with _FORTIFY_SOURCE.
interpose!(__read_chk: fn(fd: c_int, buffer: *mut c_void, length: usize, room: usize) -> isize, or -1
    => read_file_checked);
unsafe fn read_file_checked(
    next: unsafe extern "C" fn(c_int, *mut c_void, usize, usize) -> isize,
    fd: c_int,
    buffer: *mut c_void,
    length: usize,
    room: usize,
) -> isize {
    // SAFETY: the caller's contract is that of the next function.
    as_device(fd, length, unsafe { next(fd, buffer, length, room) })
}

interpose!(write: fn(fd: c_int, buffer: *const c_void, length: usize) -> isize, or -1 => write_file);
unsafe fn write_file(
    next: unsafe extern "C" fn(c_int, *const c_void, usize) -> isize,
    fd: c_int,
    buffer: *const c_void,
    length: usize,
) -> isize {
    if !is_opened_key(fd) {
        // SAFETY: the caller's contract is that of the next function.
        return unsafe { next(fd, buffer, length) };
    }
    if !REPORT.contains(&length) {
        // An empty packet would be the end of the socket.
        return fail(if is_unplugged(fd) { ENODEV } else { EINVAL }) as isize;
    }
    // SAFETY: the caller's contract is that of this function too.
    let result = unsafe { abi::send(fd, buffer, length, MSG_NOSIGNAL) };
    if result < 0 && matches!(abi::errno(), EPIPE | ECONNRESET) {
        abi::set_errno(ENODEV);
    }
    result
}

/// `struct iovec`.
#[repr(C)]
pub struct Part {
    pub start: *mut c_void,
    pub length: usize,
}
type Parts = *const Part;

/// The parts that there can be: UIO_MAXIOV.
const MOST_PARTS: usize = 1024;

/// As the kernel does it for a device: each part that is not empty is a report of its own.
///
/// # Safety
/// There are `count` parts at `parts`.
unsafe fn each(parts: Parts, count: usize, transfer: impl Fn(&Part) -> isize) -> isize {
    // SAFETY: as the caller promises.
    let parts = unsafe { slice::from_raw_parts(parts, count) };
    let mut total = 0_isize;
    for part in parts.iter().filter(|part| part.length != 0) {
        let moved = transfer(part);
        if moved < 0 {
            return if total == 0 { moved } else { total };
        }
        total = total.saturating_add(moved);
        if usize::try_from(moved) != Ok(part.length) {
            break;
        }
    }
    total
}

/// How many parts there are, if they are the key's to take.
fn of_key(fd: c_int, parts: Parts, count: c_int) -> Option<usize> {
    let count = usize::try_from(count).ok().filter(|count| *count <= MOST_PARTS)?;
    (!parts.is_null() && is_opened_key(fd)).then_some(count)
}

interpose!(readv: fn(fd: c_int, parts: Parts, count: c_int) -> isize, or -1 => read_parts);
unsafe fn read_parts(
    next: unsafe extern "C" fn(c_int, Parts, c_int) -> isize,
    fd: c_int,
    parts: Parts,
    count: c_int,
) -> isize {
    let Some(parts_of_key) = of_key(fd, parts, count) else {
        // SAFETY: the caller's contract is that of the next function.
        return unsafe { next(fd, parts, count) };
    };
    // SAFETY: as above.
    unsafe { each(parts, parts_of_key, |part| read(fd, part.start, part.length)) }
}

interpose!(writev: fn(fd: c_int, parts: Parts, count: c_int) -> isize, or -1 => write_parts);
unsafe fn write_parts(
    next: unsafe extern "C" fn(c_int, Parts, c_int) -> isize,
    fd: c_int,
    parts: Parts,
    count: c_int,
) -> isize {
    let Some(parts_of_key) = of_key(fd, parts, count) else {
        // SAFETY: the caller's contract is that of the next function.
        return unsafe { next(fd, parts, count) };
    };
    // SAFETY: as above.
    unsafe { each(parts, parts_of_key, |part| write(fd, part.start, part.length)) }
}
