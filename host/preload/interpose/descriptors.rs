//! The key as an open file, and functions that take one.

use core::{
    fmt::Write,
    mem, ptr,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{
    abi::{
        self, AF_UNIX, EINTR, EINVAL, ENODEV, ENOENT, F_SETFL, O_CLOEXEC, O_NONBLOCK, O_RDONLY, S_IFCHR, S_IFMT,
        S_IFSOCK, SEEK_END, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_SEQPACKET, STAT_MODE, STAT_RDEV, STATX_MODE,
        STATX_RDEV_MAJOR, STATX_RDEV_MINOR, SYSFS_MAGIC, SocketAddress, c_char, c_int, c_long, c_uint, c_ulong,
    },
    paths::{PATH, Place, Run, Text},
    state::{fail, interpose, run},
};

/// `struct stat`, or `struct statx`.
type Status = *mut u8;

/// Whether this process has opened the key or has got it from the one that started it: others are spared the question
/// whether a file is the key, which sandboxes of browsers do not allow.
static IS_OPENED: AtomicBool = AtomicBool::new(false);

const NO_ADDRESS: SocketAddress = SocketAddress { family: 0, path: [0; 108] };

/// Opens a key: a socket that is connected to it. It lets a program read and write, whatever the flags say.
pub fn plug_in(run: &Run, number: u32, flags: c_int) -> c_int {
    let Some(path) = run.socket(number) else { return fail(ENODEV) };
    let fd = connect(path.bytes(), flags & (SOCK_CLOEXEC | SOCK_NONBLOCK));
    if fd < 0 {
        return fail(if exists(path.bytes()) { ENODEV } else { ENOENT });
    }
    IS_OPENED.store(true, Ordering::Relaxed);
    leave_mark(run, b"/opened");
    fd
}

/// A socket for packets that is connected to the one at a path of the run directory. Of `flags`, SOCK_CLOEXEC and
/// SOCK_NONBLOCK count. Negative if there is none.
fn connect(path: &[u8], flags: c_int) -> c_int {
    // SAFETY: no pointers.
    let fd = unsafe { crate::monitor::socket(AF_UNIX, SOCK_SEQPACKET | flags & SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return fd;
    }
    if connect_to(fd, path).is_none() {
        // SAFETY: the socket was opened here.
        unsafe { abi::close(fd) };
        return -1;
    }
    // Only now, because a connection that would block fails instead.
    if flags & SOCK_NONBLOCK != 0 {
        // SAFETY: no pointers.
        unsafe { abi::fcntl(fd, F_SETFL, O_NONBLOCK) };
    }
    fd
}

/// Connects a socket to the one at a path of the run directory.
pub fn connect_to(fd: c_int, path: &[u8]) -> Option<()> {
    let address = address(path);
    loop {
        // SAFETY: the address is as long as it says.
        let result = unsafe { abi::connect(fd, &raw const address, mem::size_of::<SocketAddress>() as c_uint) };
        match result {
            0 => return Some(()),
            _ if abi::errno() == EINTR => {}
            _ => return None,
        }
    }
}

/// The address of a socket at a path.
pub fn address(path: &[u8]) -> SocketAddress {
    let mut address = SocketAddress { family: AF_UNIX as u16, ..NO_ADDRESS };
    address.path.iter_mut().zip(path).for_each(|(to, from)| *to = *from);
    address
}

/// The number of the key that an open file is.
pub fn key(run: &Run, fd: c_int) -> Option<u32> {
    let address = peer(fd)?;
    run.key(address.path.split(|byte| *byte == 0).next()?)
}

/// The numbers of files in which a program is given an open key, as shells do it.
const INHERITED: core::ops::Range<c_int> = 0..16;

/// The number of the key that an open file is, also where it was opened by O_PATH: such a file has no peer.
pub fn node(run: &Run, fd: c_int) -> Option<u32> {
    let by_path = || match run.place(path(fd)?.bytes()) {
        Place::Node(number) => Some(number),
        _ => None,
    };
    key(run, fd).or_else(by_path)
}

/// Whether this is the status of a socket.
///
/// # Safety
/// `status` is a filled `struct statx`.
pub unsafe fn is_socket(status: Status) -> bool {
    // SAFETY: the member lies there.
    u32::from(unsafe { status.add(STATX_MODE).cast::<u16>().read_unaligned() }) & S_IFMT == S_IFSOCK
}

/// Whether an open file is the key, in a process that has opened or inherited it.
pub fn is_opened_key(fd: c_int) -> bool {
    IS_OPENED.load(Ordering::Relaxed) && run().is_some_and(|run| key(run, fd).is_some())
}

/// Whether an open file is a socket whose peer has this path.
pub fn leads_to(fd: c_int, path: &[u8]) -> bool {
    // The rest of the address is zero, as it was before.
    peer(fd).is_some_and(|address| address.path.strip_prefix(path).is_some_and(|rest| rest.first() == Some(&0)))
}

/// Whether there is a file at a path of the run directory.
pub fn exists(path: &[u8]) -> bool {
    let mut name = Text::<PATH>::EMPTY;
    let error = abi::errno();
    // SAFETY: the path is a C string.
    let is_there = name.push(path).is_some() && unsafe { crate::files::access(name.as_ptr().cast(), 0) } == 0;
    abi::set_errno(error);
    is_there
}

/// The address of the socket to which an open file is connected, if it is one of a path.
fn peer(fd: c_int) -> Option<SocketAddress> {
    let error = abi::errno();
    let mut address = NO_ADDRESS;
    let mut length = mem::size_of::<SocketAddress>() as c_uint;
    // SAFETY: the address has as much room as the length says.
    let result = unsafe { abi::getpeername(fd, &raw mut address, &raw mut length) };
    abi::set_errno(error);
    (result == 0 && c_int::from(address.family) == AF_UNIX).then_some(address)
}

/// The path of an open file. `None` if it has none that could lead to the key.
pub fn path(fd: c_int) -> Option<Text<PATH>> {
    let mut link = Text::<32>::EMPTY;
    write!(link, "/proc/self/fd/{fd}").ok()?;
    let (error, mut buffer) = (abi::errno(), [0; PATH]);
    // Through the function of this library, which takes the run directory off.
    // SAFETY: the path is a C string, the buffer has as much room as it says.
    let length = unsafe { crate::files::readlink(link.as_ptr().cast(), buffer.as_mut_ptr(), PATH) };
    abi::set_errno(error);
    let mut path = Text::EMPTY;
    path.push(buffer.get(..usize::try_from(length).ok()?).filter(|path| path.starts_with(b"/"))?)?;
    Some(path)
}

/// # Safety
/// `status` is a filled `struct stat`.
pub unsafe fn show_as_device(run: &Run, number: u32, status: Status) {
    // SAFETY: these members lie there.
    unsafe {
        let mode: *mut u32 = status.add(STAT_MODE).cast();
        mode.write_unaligned(mode.read_unaligned() & !S_IFMT | S_IFCHR);
        status.add(STAT_RDEV).cast::<u64>().write_unaligned(run.device_number(number));
    }
}

/// # Safety
/// `status` is a filled `struct statx`.
pub unsafe fn show_as_device_extended(run: &Run, number: u32, status: Status) {
    // SAFETY: these members lie there.
    unsafe {
        let mode: *mut u16 = status.add(STATX_MODE).cast();
        mode.write_unaligned(mode.read_unaligned() & !(S_IFMT as u16) | S_IFCHR as u16);
        status.add(STATX_RDEV_MAJOR).cast::<u32>().write_unaligned(run.major);
        status.add(STATX_RDEV_MINOR).cast::<u32>().write_unaligned(number);
    }
}

/// The status of an open file: if it is a key's socket, that of the device.
///
/// # Safety
/// If the result is 0, `status` is a filled `struct stat`.
pub unsafe fn corrected(fd: c_int, status: Status, result: c_int) -> c_int {
    if result != 0 {
        return result;
    }
    // SAFETY: the member lies there.
    let mode = unsafe { status.add(STAT_MODE).cast::<u32>().read_unaligned() };
    if mode & S_IFMT == S_IFSOCK
        && let Some(run) = run()
        && let Some(number) = node(run, fd)
        && let Some(socket) = run.socket(number)
    {
        // The same file as by its path: programs compare the two.
        // SAFETY: the path is a C string, the status has room.
        if unsafe { crate::files::fstatat(abi::AT_FDCWD, socket_name(run, &socket), status, 0) } != 0 {
            // C libraries older than 2.33 have no such function.
            // SAFETY: the status is filled.
            unsafe { show_as_device(run, number, status) };
        }
    }
    result
}

/// The path by which programs know the socket.
fn socket_name(run: &Run, socket: &Text<PATH>) -> *const c_char {
    // The shown path is the end of the socket's, so it ends with the same NUL.
    run.shown(socket.bytes()).map_or(ptr::null(), |path| path.as_ptr().cast())
}

interpose!(fstat fstat64: fn(fd: c_int, status: Status) -> c_int, or -1 => status_of_file);
unsafe fn status_of_file(next: unsafe extern "C" fn(c_int, Status) -> c_int, fd: c_int, status: Status) -> c_int {
    // SAFETY: the caller's contract is that of the next function.
    unsafe { corrected(fd, status, next(fd, status)) }
}

interpose!(__fxstat __fxstat64: fn(version: c_int, fd: c_int, status: Status) -> c_int, or -1
    => status_of_file_by_version);
unsafe fn status_of_file_by_version(
    next: unsafe extern "C" fn(c_int, c_int, Status) -> c_int,
    version: c_int,
    fd: c_int,
    status: Status,
) -> c_int {
    // SAFETY: the caller's contract is that of the next function.
    unsafe { corrected(fd, status, next(version, fd, status)) }
}

interpose!(fstatfs fstatfs64: fn(fd: c_int, status: *mut c_long) -> c_int, or -1 => file_system);
unsafe fn file_system(
    next: unsafe extern "C" fn(c_int, *mut c_long) -> c_int,
    fd: c_int,
    status: *mut c_long,
) -> c_int {
    // SAFETY: the caller's contract is that of the next function.
    let result = unsafe { next(fd, status) };
    let is_ours = |path: &[u8]| path.starts_with(b"/sys/") && run().is_some_and(|run| run.place(path) == Place::Tree);
    if result == 0 && run().is_some() && path(fd).is_some_and(|path| is_ours(path.bytes())) {
        // udev wants to know that it reads objects of the kernel.
        // SAFETY: the next function has filled it, and its type stands first.
        unsafe { status.write_unaligned(SYSFS_MAGIC) };
    }
    result
}

/// The `ioctl`s of hidraw that read something: `_IOR('H', number, size)`.
const HIDRAW: c_ulong = 0x48;
const NAMES: [(c_ulong, &[u8]); 6] = [
    (1, b"/hidraw/descriptor"),
    (2, b"/hidraw/descriptor"),
    (3, b"/hidraw/info"),
    (4, b"/hidraw/name"),
    (5, b"/hidraw/phys"),
    (8, b"/hidraw/uniq"),
];
const DESCRIPTOR_SIZE: c_ulong = 1;
const DESCRIPTOR: c_ulong = 2;
const INFO: c_ulong = 3;

interpose!(ioctl: fn(fd: c_int, request: c_ulong, argument: *mut u8) -> c_int, or -1 => control);
unsafe fn control(
    next: unsafe extern "C" fn(c_int, c_ulong, *mut u8) -> c_int,
    fd: c_int,
    request: c_ulong,
    argument: *mut u8,
) -> c_int {
    let number = request & 0xFF;
    if request >> 8 & 0xFF == HIDRAW
        && let Some(run) = run()
        && let Some((_, file)) = NAMES.iter().find(|(known, _)| *known == number)
        && key(run, fd).is_some()
    {
        if crate::transfer::is_unplugged(fd) {
            return fail(ENODEV);
        }
        let size = usize::try_from(request >> 16 & 0x3FFF).unwrap_or_default();
        // SAFETY: the request says how much room the argument has.
        return unsafe { answer(run, number, file, argument, size) };
    }
    // SAFETY: the caller's contract is that of the next function.
    unsafe { next(fd, request, argument) }
}

/// Answers a request of hidraw from a file that has the bytes of its answer.
///
/// # Safety
/// `argument` has room for `size` bytes. For [`DESCRIPTOR`], its first 4 bytes are initialized.
unsafe fn answer(run: &Run, number: c_ulong, file: &[u8], argument: *mut u8, size: usize) -> c_int {
    let Some(path) = run.below(file) else { return fail(ENODEV) };
    // SAFETY: the path is a C string.
    let fd = unsafe { crate::files::open(path.as_ptr().cast(), O_RDONLY | O_CLOEXEC, 0) };
    if fd < 0 {
        return fail(ENODEV);
    }
    let result = match number {
        DESCRIPTOR_SIZE if size >= mem::size_of::<c_int>() => {
            // SAFETY: the file is open; the argument has room for a number.
            unsafe {
                let length = c_int::try_from(abi::lseek(fd, 0, SEEK_END)).unwrap_or_default();
                argument.cast::<c_int>().write_unaligned(length);
            }
            0
        }
        DESCRIPTOR if size >= mem::size_of::<u32>() => {
            // SAFETY: `struct hidraw_report_descriptor` begins with how many bytes the program wants.
            let wanted = unsafe { argument.cast::<u32>().read_unaligned() };
            let room = size.saturating_sub(mem::size_of::<u32>());
            match usize::try_from(wanted) {
                Ok(wanted) if wanted <= room => {
                    // SAFETY: the bytes follow that number.
                    let read = unsafe { crate::transfer::read(fd, argument.add(mem::size_of::<u32>()).cast(), wanted) };
                    if read < 0 { -1 } else { 0 }
                }
                _ => fail(EINVAL),
            }
        }
        DESCRIPTOR_SIZE | DESCRIPTOR => fail(EINVAL),
        _ => {
            // SAFETY: the argument has this much room.
            let read = unsafe { crate::transfer::read(fd, argument.cast(), size) };
            // The kernel returns the length of a text, and 0 for the numbers.
            if number == INFO && read >= 0 { 0 } else { c_int::try_from(read).unwrap_or(-1) }
        }
    };
    // SAFETY: the file was opened here.
    unsafe { abi::close(fd) };
    result
}

/// Leaves a mark for `keyfob run`: an empty file of this name.
fn leave_mark(run: &Run, name: &[u8]) {
    let error = abi::errno();
    if let Some(path) = run.below(name) {
        // SAFETY: the path is a C string.
        let fd = unsafe { crate::files::open(path.as_ptr().cast(), abi::O_WRONLY | abi::O_CREAT | O_CLOEXEC, 0o600) };
        if fd >= 0 {
            // SAFETY: the file was opened here.
            unsafe { abi::close(fd) };
        }
    }
    abi::set_errno(error);
}

/// Leaves the mark that a program has loaded the library.
extern "C" fn leave_loaded() {
    if let Some(run) = run() {
        leave_mark(run, b"/loaded");
        if INHERITED.into_iter().any(|fd| key(run, fd).is_some()) {
            IS_OPENED.store(true, Ordering::Relaxed);
        }
    }
}

// SAFETY: the loader calls the functions in this section, without arguments that they need.
#[used]
#[unsafe(link_section = ".init_array")]
static LEAVE_LOADED: extern "C" fn() = leave_loaded;
