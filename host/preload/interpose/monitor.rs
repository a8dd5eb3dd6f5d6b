//! The events of udev, with which programs notice that a key is plugged in or unplugged.
//!
//! They come over a netlink socket to which only root can send. In its place, a program gets a Unix socket for datagrams
//! with a name in the run directory, to which `keyfob run` sends each event as udev writes it. The functions here let it
//! pass for the other: it can be bound, filters are not applied (libudev filters once more by itself), and what comes is
//! from udev. It is connected to the socket of `keyfob run`, so nobody else can send to it, and it is known by that.
//! Like the other, it never hangs up.

use core::{
    fmt::Write,
    mem, ptr,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use crate::{
    abi::{
        self, AF_NETLINK, AF_UNIX, Credentials, EADDRINUSE, F_GETFD, F_GETFL, MessageHeader, NETLINK_KOBJECT_UEVENT,
        NetlinkAddress, O_CLOEXEC, SCM_CREDENTIALS, SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_LOCK_FILTER, SO_PASSCRED,
        SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_RAW, SOL_NETLINK, SOL_SOCKET, c_int, c_uint, c_void,
    },
    descriptors,
    paths::Run,
    state::{Next, interpose, run},
};

/// The group of udev's events.
const UDEV: u32 = 2;
/// What a control message begins with (`struct cmsghdr`): its length, level and kind. Then come the credentials.
const CONTROL_HEADER: usize = mem::size_of::<usize>() + 2 * mem::size_of::<c_int>();
const CONTROL: usize = CONTROL_HEADER + mem::size_of::<Credentials>();
/// How many names are tried. A name is in use where processes of several namespaces have the same number.
const NAMES: u32 = 100;

/// Whether this process has asked for a monitor: others are spared the question whether a socket is one.
static IS_ASKED_FOR: AtomicBool = AtomicBool::new(false);
/// The number of the next monitor of this process.
static NUMBER: AtomicU32 = AtomicU32::new(0);

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
        && let Some(run) = run()
    {
        let error = abi::errno();
        if let Some(fd) = monitor(run, kind) {
            return fd;
        }
        abi::set_errno(error);
    }
    // SAFETY: no pointers.
    unsafe { next(domain, kind, protocol) }
}

/// A socket to which `keyfob run` sends events. Of `flags`, SOCK_CLOEXEC and SOCK_NONBLOCK count.
fn monitor(run: &Run, flags: c_int) -> Option<c_int> {
    // SAFETY: no pointers.
    let fd = unsafe { socket(AF_UNIX, SOCK_DGRAM | flags & (SOCK_CLOEXEC | SOCK_NONBLOCK), 0) };
    if fd < 0 {
        return None;
    }
    if name(run, fd).and_then(|()| descriptors::connect_to(fd, run.monitor()?.bytes())).is_none() {
        // SAFETY: the socket was opened here.
        unsafe { abi::close(fd) };
        return None;
    }
    IS_ASKED_FOR.store(true, Ordering::Relaxed);
    Some(fd)
}

/// Gives a socket a name of its own in the run directory.
fn name(run: &Run, fd: c_int) -> Option<()> {
    // SAFETY: no conditions.
    let process = unsafe { abi::getpid() };
    for _ in 0..NAMES {
        let mut path = run.monitors()?;
        write!(path, "{process}-{}", NUMBER.fetch_add(1, Ordering::Relaxed)).ok()?;
        let address = descriptors::address(path.bytes());
        let length = mem::size_of_val(&address) as c_uint;
        // SAFETY: the address is as long as it says.
        if unsafe { bind(fd, (&raw const address).cast(), length) } == 0 {
            return Some(());
        }
        if abi::errno() != EADDRINUSE {
            break;
        }
    }
    None
}

/// Puts a real netlink socket in the place of a monitor. Negative if that fails.
fn give_up(fd: c_int) -> c_int {
    static SOCKET: Next = Next::new(c"socket");
    let next = SOCKET.find();
    if next.is_null() {
        return -1;
    }
    // SAFETY: this is the signature of `socket`.
    let next = unsafe { mem::transmute::<*mut c_void, unsafe extern "C" fn(c_int, c_int, c_int) -> c_int>(next) };
    // SAFETY: no pointers; the new socket is closed under its first number.
    unsafe {
        let is_closed_on_exec = abi::fcntl(fd, F_GETFD) & 1 != 0;
        let flags = abi::fcntl(fd, F_GETFL) & SOCK_NONBLOCK;
        let new = next(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_KOBJECT_UEVENT);
        let result = if new < 0 { new } else { abi::dup3(new, fd, if is_closed_on_exec { O_CLOEXEC } else { 0 }) };
        if new >= 0 {
            abi::close(new);
        }
        result
    }
}

interpose!(bind: fn(fd: c_int, address: *const c_void, length: c_uint) -> c_int, or -1 => bind_socket);
unsafe fn bind_socket(
    next: unsafe extern "C" fn(c_int, *const c_void, c_uint) -> c_int,
    fd: c_int,
    address: *const c_void,
    length: c_uint,
) -> c_int {
    let is_whole = usize::try_from(length).is_ok_and(|length| length >= mem::size_of::<NetlinkAddress>());
    if is_whole && !address.is_null() && is_monitor(fd) {
        // SAFETY: the address is as long as the caller says.
        let groups = unsafe { address.cast::<NetlinkAddress>().read_unaligned() }.groups;
        // libudev asks for no group where udev does not run.
        if groups == 0 || groups & UDEV != 0 {
            return 0;
        }
        // The events of the kernel, which have another form, and are not the key's.
        if give_up(fd) < 0 {
            return -1;
        }
    }
    // SAFETY: the caller's contract is that of the next function.
    unsafe { next(fd, address, length) }
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
    // What a Unix socket does not have, or would do in another way.
    let is_other = match level {
        SOL_NETLINK => true,
        SOL_SOCKET => matches!(name, SO_PASSCRED | SO_ATTACH_FILTER | SO_DETACH_FILTER | SO_LOCK_FILTER),
        _ => false,
    };
    // SAFETY: the caller's contract is that of the next function.
    if is_other && is_monitor(fd) { 0 } else { unsafe { next(fd, level, name, value, length) } }
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
    // Before the message is read: one that cannot be read is an error of the next function.
    if !is_monitor(fd) || message.is_null() {
        // SAFETY: the caller's contract is that of the next function.
        return unsafe { next(fd, message, flags) };
    }
    // How much room there is, which the next function replaces by what it has filled.
    // SAFETY: the message is the caller's.
    let (name, control) = unsafe { ((*message).name_length, (*message).control_length) };
    // SAFETY: the caller's contract is that of the next function.
    let result = unsafe { next(fd, message, flags) };
    if result >= 0 {
        // Some C libraries have a length of 32 bits, and anything behind it.
        let control = control & 0xFFFF_FFFF;
        // SAFETY: the message is the caller's, and so is the room that it named.
        unsafe { come_from_udev(&mut *message, name, control) };
    }
    result
}

/// Lets a message come from udev: its sender, and the credentials of root, where there is room for them.
///
/// # Safety
/// What is not null of the name has room for `name` bytes, and of the control messages for `control` bytes.
unsafe fn come_from_udev(message: &mut MessageHeader, name: c_uint, control: usize) {
    if !message.name.is_null() {
        // SAFETY: as the caller promises.
        message.name_length = unsafe { show_address(message.name, name, 0, UDEV) };
    }
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
