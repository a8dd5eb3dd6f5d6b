//! Functions that take a path.

use crate::{
    abi::{
        self, AT_FDCWD, EEXIST, ENODEV, ENOENT, ENOTDIR, O_CREAT, O_DIRECTORY, O_EXCL, O_PATH, SYSFS_MAGIC, c_char,
        c_int, c_long, c_uint, c_void,
    },
    descriptors::{self, show_as_device},
    paths::{PATH, Place, Run, Text},
    state::{fail, interpose, run, text},
};

type Path = *const c_char;
/// `struct stat`.
type Status = *mut u8;

/// A path of a program, and what to use in its place.
pub struct Target {
    pub place: Place,
    path: Text<PATH>,
    original: Path,
}

impl Target {
    /// The path to give to the next function. If it differs from the program's, it is absolute.
    pub fn path(&self) -> Path {
        match self.place {
            Place::Elsewhere | Place::Hidden => self.original,
            Place::Tree | Place::Node(_) => self.path.as_ptr().cast(),
        }
    }

    const fn elsewhere(original: Path) -> Self {
        Self { place: Place::Elsewhere, path: Text::EMPTY, original }
    }

    /// Whether it is in a file system of the kernel's objects.
    fn is_in_sysfs(&self, run: &Run) -> bool {
        self.place == Place::Tree && run.shown(self.path.bytes()).is_some_and(|path| path.starts_with(b"/sys/"))
    }
}

/// Finds out what a path means.
///
/// # Safety
/// `path` is null or a C string.
pub unsafe fn target(folder: c_int, path: Path) -> Target {
    let Some(run) = run() else { return Target::elsewhere(path) };
    // SAFETY: as the caller promises.
    let name = unsafe { text(path) };
    if name.len() >= PATH {
        return Target::elsewhere(path);
    }
    let mut joined = Text::<PATH>::EMPTY;
    let name = if name.starts_with(b"/") {
        name
    } else if folder == AT_FDCWD || name.is_empty() {
        return Target::elsewhere(path);
    } else {
        // udev walks through folders: it opens `hidraw` in the open folder `/sys/class`.
        let Some(folder) = descriptors::path(folder) else { return Target::elsewhere(path) };
        let is_joined = joined.push(folder.bytes()).and_then(|()| joined.push(b"/")).and_then(|()| joined.push(name));
        if is_joined.is_none() {
            return Target::elsewhere(path);
        }
        joined.bytes()
    };
    match (run.place(name), run.below(name)) {
        (place @ (Place::Tree | Place::Node(_)), Some(below)) => {
            // All spellings of the device lead to the socket.
            let below = if let Place::Node(number) = place { run.socket(number).unwrap_or(below) } else { below };
            Target { place, path: below, original: path }
        }
        (Place::Hidden, _) => Target { place: Place::Hidden, ..Target::elsewhere(path) },
        _ => Target::elsewhere(path),
    }
}

/// # Safety
/// That of `openat`.
unsafe fn open_with(folder: c_int, path: Path, flags: c_int, open: impl FnOnce(Path) -> c_int) -> c_int {
    // SAFETY: as the caller promises.
    let target = unsafe { target(folder, path) };
    match target.place {
        Place::Hidden => fail(ENOENT),
        Place::Node(_) if flags & O_DIRECTORY != 0 => fail(ENOTDIR),
        Place::Node(_) if flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL => fail(EEXIST),
        Place::Node(number) if flags & O_PATH == 0 => {
            run().map_or_else(|| fail(ENODEV), |run| descriptors::plug_in(run, number, flags))
        }
        _ => open(target.path()),
    }
}

interpose!(open open64: fn(path: Path, flags: c_int, mode: c_uint) -> c_int, or -1 => open_path);
unsafe fn open_path(
    next: unsafe extern "C" fn(Path, c_int, c_uint) -> c_int,
    path: Path,
    flags: c_int,
    mode: c_uint,
) -> c_int {
    // SAFETY: the caller's contract is that of the next function.
    unsafe { open_with(AT_FDCWD, path, flags, |path| next(path, flags, mode)) }
}

interpose!(__open_2 __open64_2: fn(path: Path, flags: c_int) -> c_int, or -1 => open_checked);
unsafe fn open_checked(next: unsafe extern "C" fn(Path, c_int) -> c_int, path: Path, flags: c_int) -> c_int {
    // SAFETY: the caller's contract is that of the next function.
    unsafe { open_with(AT_FDCWD, path, flags, |path| next(path, flags)) }
}

interpose!(openat openat64: fn(folder: c_int, path: Path, flags: c_int, mode: c_uint) -> c_int, or -1 => open_at);
unsafe fn open_at(
    next: unsafe extern "C" fn(c_int, Path, c_int, c_uint) -> c_int,
    folder: c_int,
    path: Path,
    flags: c_int,
    mode: c_uint,
) -> c_int {
    // SAFETY: the caller's contract is that of the next function.
    unsafe { open_with(folder, path, flags, |path| next(folder, path, flags, mode)) }
}

interpose!(__openat_2 __openat64_2: fn(folder: c_int, path: Path, flags: c_int) -> c_int, or -1 => open_at_checked);
unsafe fn open_at_checked(
    next: unsafe extern "C" fn(c_int, Path, c_int) -> c_int,
    folder: c_int,
    path: Path,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's contract is that of the next function.
    unsafe { open_with(folder, path, flags, |path| next(folder, path, flags)) }
}

interpose!(fopen fopen64: fn(path: Path, mode: Path) -> *mut c_void, or core::ptr::null_mut() => open_stream);
unsafe fn open_stream(next: unsafe extern "C" fn(Path, Path) -> *mut c_void, path: Path, mode: Path) -> *mut c_void {
    // SAFETY: as the caller promises.
    let target = unsafe { target(AT_FDCWD, path) };
    let fd = match target.place {
        Place::Hidden => fail(ENOENT),
        Place::Node(number) => {
            // SAFETY: the mode is a C string.
            let flags = if unsafe { text(mode) }.contains(&b'e') { abi::O_CLOEXEC } else { 0 };
            run().map_or_else(|| fail(ENODEV), |run| descriptors::plug_in(run, number, flags))
        }
        // SAFETY: the path is a C string, the mode is the caller's.
        _ => return unsafe { next(target.path(), mode) },
    };
    if fd < 0 {
        return core::ptr::null_mut();
    }
    // SAFETY: the file is open and nobody else has it.
    let stream = unsafe { abi::fdopen(fd, mode) };
    if stream.is_null() {
        // SAFETY: as above.
        unsafe { abi::close(fd) };
    }
    stream
}

/// Calls the next function, and makes the socket a device.
///
/// # Safety
/// `path` is null or a C string; `status` has room for the answer.
unsafe fn status_with(folder: c_int, path: Path, status: Status, look: impl FnOnce(Path) -> c_int) -> c_int {
    // SAFETY: as the caller promises.
    let target = unsafe { target(folder, path) };
    if target.place == Place::Hidden {
        return fail(ENOENT);
    }
    let result = look(target.path());
    if result == 0
        && let Place::Node(number) = target.place
        && let Some(run) = run()
    {
        // SAFETY: the next function has filled it.
        unsafe { show_as_device(run, number, status) };
    }
    result
}

interpose!(stat stat64 lstat lstat64: fn(path: Path, status: Status) -> c_int, or -1 => status_of_path);
unsafe fn status_of_path(next: unsafe extern "C" fn(Path, Status) -> c_int, path: Path, status: Status) -> c_int {
    // SAFETY: the caller's contract is that of the next function.
    unsafe { status_with(AT_FDCWD, path, status, |path| next(path, status)) }
}

// What programs call that were built for a C library older than 2.33.
interpose!(__xstat __xstat64 __lxstat __lxstat64:
    fn(version: c_int, path: Path, status: Status) -> c_int, or -1 => status_of_path_by_version);
unsafe fn status_of_path_by_version(
    next: unsafe extern "C" fn(c_int, Path, Status) -> c_int,
    version: c_int,
    path: Path,
    status: Status,
) -> c_int {
    // SAFETY: the caller's contract is that of the next function.
    unsafe { status_with(AT_FDCWD, path, status, |path| next(version, path, status)) }
}

interpose!(fstatat fstatat64:
    fn(folder: c_int, path: Path, status: Status, flags: c_int) -> c_int, or -1 => status_at);
unsafe fn status_at(
    next: unsafe extern "C" fn(c_int, Path, Status, c_int) -> c_int,
    folder: c_int,
    path: Path,
    status: Status,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's contract is that of the next function.
    unsafe {
        let result = status_with(folder, path, status, |path| next(folder, path, status, flags));
        // AT_EMPTY_PATH: the status of the open file.
        if text(path).is_empty() { descriptors::corrected(folder, status, result) } else { result }
    }
}

interpose!(__fxstatat __fxstatat64:
    fn(version: c_int, folder: c_int, path: Path, status: Status, flags: c_int) -> c_int, or -1
    => status_at_by_version);
unsafe fn status_at_by_version(
    next: unsafe extern "C" fn(c_int, c_int, Path, Status, c_int) -> c_int,
    version: c_int,
    folder: c_int,
    path: Path,
    status: Status,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's contract is that of the next function.
    unsafe { status_with(folder, path, status, |path| next(version, folder, path, status, flags)) }
}

interpose!(statx: fn(folder: c_int, path: Path, flags: c_int, mask: c_uint, status: Status) -> c_int, or -1
    => extended_status);
unsafe fn extended_status(
    next: unsafe extern "C" fn(c_int, Path, c_int, c_uint, Status) -> c_int,
    folder: c_int,
    path: Path,
    flags: c_int,
    mask: c_uint,
    status: Status,
) -> c_int {
    // SAFETY: as the caller promises.
    let (target, is_open_file) = unsafe { (target(folder, path), text(path).is_empty()) };
    if target.place == Place::Hidden {
        return fail(ENOENT);
    }
    // SAFETY: the path is a C string, the rest is the caller's.
    let result = unsafe { next(folder, target.path(), flags, mask, status) };
    let Some(run) = run().filter(|_| result == 0) else { return result };
    let number = match target.place {
        Place::Node(number) => Some(number),
        // SAFETY: the next function has filled it.
        _ if is_open_file && unsafe { descriptors::is_socket(status) } => descriptors::node(run, folder),
        _ => None,
    };
    let Some(number) = number else { return result };
    if let Some(socket) = run.socket(number).filter(|_| is_open_file) {
        // The same file as by its path. If it is gone, the status stays as it is.
        // SAFETY: the path is a C string, and there is room for the status.
        unsafe { next(AT_FDCWD, socket.as_ptr().cast(), 0, mask, status) };
    }
    // SAFETY: the next function has filled it.
    unsafe { descriptors::show_as_device_extended(run, number, status) };
    result
}

interpose!(access euidaccess eaccess: fn(path: Path, mode: c_int) -> c_int, or -1 => access_path);
unsafe fn access_path(next: unsafe extern "C" fn(Path, c_int) -> c_int, path: Path, mode: c_int) -> c_int {
    // SAFETY: as the caller promises.
    let target = unsafe { target(AT_FDCWD, path) };
    // SAFETY: the path is a C string.
    if target.place == Place::Hidden { fail(ENOENT) } else { unsafe { next(target.path(), mode) } }
}

interpose!(faccessat: fn(folder: c_int, path: Path, mode: c_int, flags: c_int) -> c_int, or -1 => access_at);
unsafe fn access_at(
    next: unsafe extern "C" fn(c_int, Path, c_int, c_int) -> c_int,
    folder: c_int,
    path: Path,
    mode: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: as the caller promises.
    let target = unsafe { target(folder, path) };
    // SAFETY: the path is a C string.
    if target.place == Place::Hidden { fail(ENOENT) } else { unsafe { next(folder, target.path(), mode, flags) } }
}

interpose!(statfs statfs64: fn(path: Path, status: *mut c_long) -> c_int, or -1 => file_system);
unsafe fn file_system(
    next: unsafe extern "C" fn(Path, *mut c_long) -> c_int,
    path: Path,
    status: *mut c_long,
) -> c_int {
    // SAFETY: as the caller promises.
    let target = unsafe { target(AT_FDCWD, path) };
    // SAFETY: the path is a C string.
    let result = unsafe { next(target.path(), status) };
    if result == 0 && run().is_some_and(|run| target.is_in_sysfs(run)) {
        // SAFETY: the next function has filled it, and its type stands first.
        unsafe { status.write_unaligned(SYSFS_MAGIC) };
    }
    result
}

interpose!(getxattr lgetxattr: fn(path: Path, name: Path, value: *mut c_void, size: usize) -> isize, or -1
    => attribute);
unsafe fn attribute(
    next: unsafe extern "C" fn(Path, Path, *mut c_void, usize) -> isize,
    path: Path,
    name: Path,
    value: *mut c_void,
    size: usize,
) -> isize {
    // SAFETY: the caller's contract is that of the next function.
    unsafe { next(target(AT_FDCWD, path).path(), name, value, size) }
}

interpose!(listxattr llistxattr: fn(path: Path, names: *mut c_char, size: usize) -> isize, or -1 => attributes);
unsafe fn attributes(
    next: unsafe extern "C" fn(Path, *mut c_char, usize) -> isize,
    path: Path,
    names: *mut c_char,
    size: usize,
) -> isize {
    // SAFETY: the caller's contract is that of the next function.
    unsafe { next(target(AT_FDCWD, path).path(), names, size) }
}

/// Reads a link, and takes the run directory off its text before the text is cut off where the buffer ends. The kernel
/// leaves what is behind the text as it was, so the text is shortened in a buffer of this library's.
///
/// # Safety
/// `look` is `readlink` with a buffer, how much of it to fill, and how large it is. There are `room` bytes at `buffer`.
unsafe fn link_with(buffer: *mut u8, size: usize, room: usize, look: impl Fn(*mut u8, usize, usize) -> isize) -> isize {
    /// PATH_MAX: no link has a longer text.
    const LONGEST: usize = 4096;
    let Some(run) = run().filter(|_| (1..=room).contains(&size)) else { return look(buffer, size, room) };
    let (error, mut whole) = (abi::errno(), [0; LONGEST]);
    let length = usize::try_from(look(whole.as_mut_ptr(), LONGEST, LONGEST)).unwrap_or_default();
    let Some(shown) = whole.get(..length).and_then(|text| run.shown(text)) else {
        abi::set_errno(error);
        return look(buffer, size, room);
    };
    let count = shown.len().min(size);
    // SAFETY: there are `size` bytes at the caller's buffer, because there is no less room.
    unsafe { core::ptr::copy_nonoverlapping(shown.as_ptr(), buffer, count) };
    isize::try_from(count).unwrap_or(-1)
}

interpose!(readlink: fn(path: Path, buffer: *mut u8, size: usize) -> isize, or -1 => read_link);
unsafe fn read_link(
    next: unsafe extern "C" fn(Path, *mut u8, usize) -> isize,
    path: Path,
    buffer: *mut u8,
    size: usize,
) -> isize {
    // SAFETY: the caller's contract is that of the next function.
    unsafe {
        let target = target(AT_FDCWD, path);
        link_with(buffer, size, size, |buffer, size, _| next(target.path(), buffer, size))
    }
}

interpose!(__readlink_chk: fn(path: Path, buffer: *mut u8, size: usize, room: usize) -> isize, or -1
    => read_link_checked);
unsafe fn read_link_checked(
    next: unsafe extern "C" fn(Path, *mut u8, usize, usize) -> isize,
    path: Path,
    buffer: *mut u8,
    size: usize,
    room: usize,
) -> isize {
    // SAFETY: the caller's contract is that of the next function, which ends the program if `size` is more than `room`.
    unsafe {
        let target = target(AT_FDCWD, path);
        link_with(buffer, size, room, |buffer, size, room| next(target.path(), buffer, size, room))
    }
}

interpose!(readlinkat: fn(folder: c_int, path: Path, buffer: *mut u8, size: usize) -> isize, or -1 => read_link_at);
unsafe fn read_link_at(
    next: unsafe extern "C" fn(c_int, Path, *mut u8, usize) -> isize,
    folder: c_int,
    path: Path,
    buffer: *mut u8,
    size: usize,
) -> isize {
    // SAFETY: the caller's contract is that of the next function.
    unsafe {
        let target = target(folder, path);
        link_with(buffer, size, size, |buffer, size, _| next(folder, target.path(), buffer, size))
    }
}

interpose!(__readlinkat_chk:
    fn(folder: c_int, path: Path, buffer: *mut u8, size: usize, room: usize) -> isize, or -1 => read_link_at_checked);
unsafe fn read_link_at_checked(
    next: unsafe extern "C" fn(c_int, Path, *mut u8, usize, usize) -> isize,
    folder: c_int,
    path: Path,
    buffer: *mut u8,
    size: usize,
    room: usize,
) -> isize {
    // SAFETY: the caller's contract is that of the next function, which ends the program if `size` is more than `room`.
    unsafe {
        let target = target(folder, path);
        link_with(buffer, size, room, |buffer, size, room| next(folder, target.path(), buffer, size, room))
    }
}

/// Takes the run directory off a path that the C library has resolved.
///
/// # Safety
/// `resolved` is null or a C string that may be written.
unsafe fn shown_path(resolved: *mut c_char) -> *mut c_char {
    // SAFETY: as the caller promises.
    let path = unsafe { text(resolved) };
    if let Some(shown) = run().and_then(|run| run.shown(path)).map(<[u8]>::len) {
        let taken_off = path.len().saturating_sub(shown);
        // SAFETY: the rest of the string, and its end.
        unsafe { core::ptr::copy(resolved.add(taken_off), resolved, shown.saturating_add(1)) };
    }
    resolved
}

/// A path for `realpath`, which follows links by itself.
///
/// # Safety
/// `path` is null or a C string.
unsafe fn resolve(path: Path, next: impl FnOnce(Path) -> *mut c_char) -> *mut c_char {
    // SAFETY: as the caller promises.
    let target = unsafe { target(AT_FDCWD, path) };
    if target.place == Place::Hidden {
        abi::set_errno(ENOENT);
        return core::ptr::null_mut();
    }
    // SAFETY: the C library's result is null or a string of the caller's.
    unsafe { shown_path(next(target.path())) }
}

interpose!(realpath: fn(path: Path, resolved: *mut c_char) -> *mut c_char, or core::ptr::null_mut() => real_path);
unsafe fn real_path(
    next: unsafe extern "C" fn(Path, *mut c_char) -> *mut c_char,
    path: Path,
    resolved: *mut c_char,
) -> *mut c_char {
    // SAFETY: the caller's contract is that of the next function.
    unsafe { resolve(path, |path| next(path, resolved)) }
}

interpose!(__realpath_chk: fn(path: Path, resolved: *mut c_char, room: usize) -> *mut c_char,
    or core::ptr::null_mut() => real_path_checked);
unsafe fn real_path_checked(
    next: unsafe extern "C" fn(Path, *mut c_char, usize) -> *mut c_char,
    path: Path,
    resolved: *mut c_char,
    room: usize,
) -> *mut c_char {
    // SAFETY: the caller's contract is that of the next function.
    unsafe { resolve(path, |path| next(path, resolved, room)) }
}

interpose!(canonicalize_file_name: fn(path: Path) -> *mut c_char, or core::ptr::null_mut() => canonical_path);
unsafe fn canonical_path(next: unsafe extern "C" fn(Path) -> *mut c_char, path: Path) -> *mut c_char {
    // SAFETY: the caller's contract is that of the next function.
    unsafe { resolve(path, |path| next(path)) }
}
