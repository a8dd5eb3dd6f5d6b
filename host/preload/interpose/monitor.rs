//! The events of udev, with which programs notice that a key is plugged in or unplugged.
//!
//! They come over a netlink socket to which only root can send. In its place, a program gets a socket that is connected
//! to `keyfob run`, on which one packet is one event, as udev writes it. The functions here let it pass for the other:
//! it can be bound, filters are not applied (libudev filters once more by itself), and what comes is from udev.

use core::{
    mem, ptr,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{
    abi::{
        self, AF_NETLINK, Credentials, MessageHeader, NETLINK_KOBJECT_UEVENT, NetlinkAddress, SCM_CREDENTIALS,
        SOL_SOCKET, c_int, c_uint, c_void,
    },
    descriptors,
    state::{interpose, run},
};

/// The group of udev's events; another is that of the kernel's.
const UDEV: u32 = 2;
/// What a control message begins with (`struct cmsghdr`): its length, level and kind. Then come the credentials.
const CONTROL_HEADER: usize = mem::size_of::<usize>() + 2 * mem::size_of::<c_int>();
const CONTROL: usize = CONTROL_HEADER + mem::size_of::<Credentials>();

/// Whether this process has asked for a monitor: others are spared the question whether a socket is one.
static IS_ASKED_FOR: AtomicBool = AtomicBool::new(false);

/// Whether an open file is a monitor of ours.
fn is_monitor(fd: c_int) -> bool {
    IS_ASKED_FOR.load(Ordering::Relaxed)
        && run().and_then(|run| run.monitor()).is_some_and(|path| descriptors::leads_to(fd, path.bytes()))
}

interpose!(socket: fn(domain: c_int, kind: c_int, protocol: c_int) -> c_int, or -1 => open_socket);
unsafe fn open_socket(
    next: unsafe extern "C" fn(c_int, c_int, c_int) -> c_int,
    domain: c_int,
    kind: c_int,
    protocol: c_int,
) -> c_int {
    if domain == AF_NETLINK
        && protocol == NETLINK_KOBJECT_UEVENT
        && let Some(path) = run().and_then(|run| run.monitor())
    {
        IS_ASKED_FOR.store(true, Ordering::Relaxed);
        let error = abi::errno();
        let fd = descriptors::connect(path.bytes(), kind);
        if fd >= 0 {
            return fd;
        }
        abi::set_errno(error);
    }
    // SAFETY: no pointers.
    unsafe { next(domain, kind, protocol) }
}

interpose!(bind: fn(fd: c_int, address: *const c_void, length: c_uint) -> c_int, or -1 => bind_socket);
unsafe fn bind_socket(
    next: unsafe extern "C" fn(c_int, *const c_void, c_uint) -> c_int,
    fd: c_int,
    address: *const c_void,
    length: c_uint,
) -> c_int {
    // SAFETY: the caller's contract is that of the next function.
    if is_monitor(fd) { 0 } else { unsafe { next(fd, address, length) } }
}

interpose!(setsockopt:
    fn(fd: c_int, level: c_int, name: c_int, value: *const c_void, length: c_uint) -> c_int, or -1 => set_option);
unsafe fn set_option(
    next: unsafe extern "C" fn(c_int, c_int, c_int, *const c_void, c_uint) -> c_int,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    length: c_uint,
) -> c_int {
    // SAFETY: the caller's contract is that of the next function.
    if is_monitor(fd) { 0 } else { unsafe { next(fd, level, name, value, length) } }
}

interpose!(getsockname: fn(fd: c_int, address: *mut u8, length: *mut c_uint) -> c_int, or -1 => own_address);
unsafe fn own_address(
    next: unsafe extern "C" fn(c_int, *mut u8, *mut c_uint) -> c_int,
    fd: c_int,
    address: *mut u8,
    length: *mut c_uint,
) -> c_int {
    if !is_monitor(fd) || address.is_null() || length.is_null() {
        // SAFETY: the caller's contract is that of the next function.
        return unsafe { next(fd, address, length) };
    }
    // SAFETY: no conditions.
    let process = unsafe { abi::getpid() };
    // SAFETY: the length says how much room the address has.
    unsafe { *length = show_address(address, *length, process.cast_unsigned(), UDEV) };
    0
}

/// Writes a netlink address as far as there is room, and returns its length.
///
/// # Safety
/// `to` has room for `room` bytes.
unsafe fn show_address(to: *mut u8, room: c_uint, process: u32, groups: u32) -> c_uint {
    let address = NetlinkAddress { family: AF_NETLINK as u16, padding: 0, process, groups };
    let length = mem::size_of::<NetlinkAddress>();
    let shown = usize::try_from(room).unwrap_or_default().min(length);
    // SAFETY: both have this many bytes.
    unsafe { ptr::copy_nonoverlapping((&raw const address).cast::<u8>(), to, shown) };
    length as c_uint
}

interpose!(recvmsg: fn(fd: c_int, message: *mut MessageHeader, flags: c_int) -> isize, or -1 => receive);
unsafe fn receive(
    next: unsafe extern "C" fn(c_int, *mut MessageHeader, c_int) -> isize,
    fd: c_int,
    message: *mut MessageHeader,
    flags: c_int,
) -> isize {
    // How much room there is, which the next function replaces by what it has filled.
    // SAFETY: the message is one if the next function can use it.
    let (name, control) = if message.is_null() || unsafe { (*message).name.is_null() } {
        (0, 0)
    } else {
        // SAFETY: as above.
        unsafe { ((*message).name_length, (*message).control_length) }
    };
    // SAFETY: the caller's contract is that of the next function.
    let result = unsafe { next(fd, message, flags) };
    // What asks for no sender does not ask whether it is udev.
    if result >= 0 && name > 0 && is_monitor(fd) {
        // SAFETY: the message is the caller's, and so is the room that it named.
        unsafe { come_from_udev(&mut *message, name, control) };
    }
    result
}

/// Lets a message come from udev: its sender, and the credentials of root, where there is room for them.
///
/// # Safety
/// The name has room for `name` bytes, and what is not null of the control messages for `control` bytes. There are no
/// control messages yet: the peer sends none, and [`set_option`] lets the kernel add none.
unsafe fn come_from_udev(message: &mut MessageHeader, name: c_uint, control: usize) {
    // SAFETY: as the caller promises.
    message.name_length = unsafe { show_address(message.name, name, 0, UDEV) };
    if message.control.is_null() || control < CONTROL {
        return;
    }
    // SAFETY: the control message has this much room. Its parts may lie anywhere.
    unsafe {
        message.control.cast::<usize>().write_unaligned(CONTROL);
        let level: *mut c_int = message.control.add(mem::size_of::<usize>()).cast();
        level.write_unaligned(SOL_SOCKET);
        level.add(1).write_unaligned(SCM_CREDENTIALS);
        let root = Credentials { process: 0, user: 0, group: 0 };
        message.control.add(CONTROL_HEADER).cast::<Credentials>().write_unaligned(root);
    }
    message.control_length = CONTROL;
}
