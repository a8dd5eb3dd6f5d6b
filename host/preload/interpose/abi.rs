//! The C library's functions, numbers and layouts that this library uses, for 64-bit Linux. They are declared here and not
//! taken from the crate libc, because this library is built by one call of the compiler. Tests compare them with libc's.

#![allow(dead_code, unused_imports)] // the tests do not use all of it

pub use core::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void};

pub const ENOENT: c_int = 2;
pub const EINTR: c_int = 4;
pub const EIO: c_int = 5;
pub const EEXIST: c_int = 17;
pub const ENODEV: c_int = 19;
pub const ENOTDIR: c_int = 20;
pub const EINVAL: c_int = 22;
pub const EPIPE: c_int = 32;
pub const ENOSYS: c_int = 38;
pub const EADDRINUSE: c_int = 98;
pub const ECONNRESET: c_int = 104;

pub const AT_FDCWD: c_int = -100;
pub const AF_UNIX: c_int = 1;
pub const AF_NETLINK: c_int = 16;
pub const NETLINK_KOBJECT_UEVENT: c_int = 15;
pub const SOL_SOCKET: c_int = 1;
pub const SOL_NETLINK: c_int = 270;
pub const SO_PASSCRED: c_int = 16;
pub const SO_ATTACH_FILTER: c_int = 26;
pub const SO_DETACH_FILTER: c_int = 27;
pub const SO_LOCK_FILTER: c_int = 44;
pub const SCM_CREDENTIALS: c_int = 2;
pub const SOCK_DGRAM: c_int = 2;
pub const SOCK_RAW: c_int = 3;
pub const SOCK_SEQPACKET: c_int = 5;
pub const SOCK_CLOEXEC: c_int = O_CLOEXEC;
pub const SOCK_NONBLOCK: c_int = O_NONBLOCK;
pub const F_GETFD: c_int = 1;
pub const F_GETFL: c_int = 3;
pub const F_SETFL: c_int = 4;
pub const SEEK_END: c_int = 2;
pub const MSG_NOSIGNAL: c_int = 0x4000;
pub const POLLHUP: i16 = 0x10;

pub const O_RDONLY: c_int = 0;
pub const O_WRONLY: c_int = 1;
pub const O_CREAT: c_int = 0o100;
pub const O_EXCL: c_int = 0o200;
pub const O_NONBLOCK: c_int = 0o4000;
pub const O_CLOEXEC: c_int = 0o200_0000;
pub const O_PATH: c_int = 0o1000_0000;
#[cfg(target_arch = "aarch64")]
pub const O_DIRECTORY: c_int = 0o4_0000;
#[cfg(not(target_arch = "aarch64"))]
pub const O_DIRECTORY: c_int = 0o20_0000;

pub const S_IFMT: u32 = 0o17_0000;
pub const S_IFCHR: u32 = 0o2_0000;
pub const S_IFSOCK: u32 = 0o14_0000;
pub const DT_CHR: u8 = 2;
pub const DT_DIR: u8 = 4;
pub const DT_LNK: u8 = 10;
pub const SYSFS_MAGIC: c_long = 0x6265_6572;
pub const GLOB_ALTDIRFUNC: c_int = 0x200;

/// Where members of `struct stat` lie, in bytes.
#[cfg(target_arch = "x86_64")]
pub const STAT_MODE: usize = 24;
#[cfg(not(target_arch = "x86_64"))]
pub const STAT_MODE: usize = 16;
#[cfg(target_arch = "x86_64")]
pub const STAT_RDEV: usize = 40;
#[cfg(not(target_arch = "x86_64"))]
pub const STAT_RDEV: usize = 32;
/// Where members of `struct statx` lie, in bytes.
pub const STATX_MODE: usize = 28;
pub const STATX_RDEV_MAJOR: usize = 128;
pub const STATX_RDEV_MINOR: usize = 132;

/// `struct sockaddr_un`.
#[repr(C)]
pub struct SocketAddress {
    pub family: u16,
    pub path: [u8; 108],
}

/// `struct sockaddr_nl`.
#[repr(C)]
pub struct NetlinkAddress {
    pub family: u16,
    pub padding: u16,
    pub process: u32,
    pub groups: u32,
}

/// `struct msghdr`.
#[repr(C)]
pub struct MessageHeader {
    pub name: *mut u8,
    pub name_length: c_uint,
    pub parts: *mut c_void,
    pub part_count: usize,
    pub control: *mut u8,
    pub control_length: usize,
    pub flags: c_int,
}

/// `struct ucred`.
#[repr(C)]
pub struct Credentials {
    pub process: c_int,
    pub user: u32,
    pub group: u32,
}

/// `struct dirent`, which is `struct dirent64` on 64-bit machines.
#[repr(C)]
pub struct DirectoryEntry {
    pub inode: u64,
    pub offset: i64,
    pub length: u16,
    pub kind: u8,
    pub name: [u8; 256],
}

/// `glob_t`.
#[repr(C)]
pub struct Glob {
    pub path_count: usize,
    pub paths: *mut *mut c_char,
    pub offset: usize,
    pub flags: c_int,
    pub closedir: *const c_void,
    pub readdir: *const c_void,
    pub opendir: *const c_void,
    pub lstat: *const c_void,
    pub stat: *const c_void,
}

/// `struct pollfd`.
#[repr(C)]
pub struct PollFile {
    pub fd: c_int,
    pub events: i16,
    pub found: i16,
}

#[link(name = "c")]
#[link(name = "dl")] // where `dlsym` is before glibc 2.34
unsafe extern "C" {
    pub fn __errno_location() -> *mut c_int;
    pub fn abort() -> !;
    pub fn close(fd: c_int) -> c_int;
    pub fn connect(fd: c_int, address: *const SocketAddress, length: c_uint) -> c_int;
    pub fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
    pub fn dup3(fd: c_int, other: c_int, flags: c_int) -> c_int;
    pub fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    pub fn fdopen(fd: c_int, mode: *const c_char) -> *mut c_void;
    pub fn free(memory: *mut c_void);
    pub fn getenv(name: *const c_char) -> *const c_char;
    pub fn getpid() -> c_int;
    pub fn getpeername(fd: c_int, address: *mut SocketAddress, length: *mut c_uint) -> c_int;
    pub fn lseek(fd: c_int, offset: i64, whence: c_int) -> i64;
    pub fn malloc(bytes: usize) -> *mut c_void;
    pub fn poll(files: *mut PollFile, count: c_ulong, millis: c_int) -> c_int;
    pub fn qsort(base: *mut c_void, count: usize, size: usize, compare: Compare);
    pub fn realloc(memory: *mut c_void, bytes: usize) -> *mut c_void;
    pub fn send(fd: c_int, buffer: *const c_void, length: usize, flags: c_int) -> isize;
}

pub type Compare = unsafe extern "C" fn(*const c_void, *const c_void) -> c_int;
/// `RTLD_NEXT`.
pub const NEXT: *mut c_void = core::ptr::without_provenance_mut(usize::MAX);

/// The error of the calling thread.
pub fn errno() -> c_int {
    // SAFETY: the C library returns a pointer to a variable of this thread.
    let error = unsafe { __errno_location() };
    // SAFETY: the variable lives as long as the thread.
    unsafe { *error }
}

pub fn set_errno(value: c_int) {
    // SAFETY: the C library returns a pointer to a variable of this thread.
    let error = unsafe { __errno_location() };
    // SAFETY: the variable lives as long as the thread.
    unsafe { *error = value };
}
