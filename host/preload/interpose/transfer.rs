//! Reading and writing, where the end of a socket differs from the end of a device.
//!
//! A socket whose peer is gone is at its end: reading gives nothing, and writing raises SIGPIPE, which ends the program.
//! A device that is unplugged fails with an error. Programs know that one only: Firefox reads for ever where there is
//! nothing, in the belief that it is another program's report. A program that has inherited an open key, and opened none
//! itself, sees the end of a socket.

use crate::{
    abi::{self, ECONNRESET, EIO, ENODEV, EPIPE, MSG_NOSIGNAL, POLLHUP, PollFile, c_int, c_void},
    descriptors::is_opened_key,
    state::interpose,
};

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
    // SAFETY: the caller's contract is that of this function too.
    let result = unsafe { abi::send(fd, buffer, length, MSG_NOSIGNAL) };
    if result < 0 && matches!(abi::errno(), EPIPE | ECONNRESET) {
        abi::set_errno(ENODEV);
    }
    result
}
