//! Functions that list a folder: `/dev` and some folders of `/sys` get entries for our keys, and `/dev` loses the hidraw
//! devices of other keys.

use core::{
    cell::UnsafeCell,
    mem, ptr,
    sync::atomic::{AtomicPtr, AtomicU8, Ordering},
};

use crate::{
    abi::{
        self, AT_FDCWD, Compare, DT_CHR, DT_DIR, DT_LNK, DirectoryEntry, GLOB_ALTDIRFUNC, Glob, c_char, c_int, c_long,
        c_void,
    },
    descriptors,
    files::target,
    paths::{Folder, Run},
    state::{interpose, run, text},
};

type Path = *const c_char;
/// `DIR`.
type Stream = *mut c_void;

/// How many of our folders can be listed at the same time. What is listed beyond that does not show the key.
const STREAMS: usize = 32;

/// A folder that is being listed. One thread at a time uses a stream, as POSIX has it.
struct Listing {
    /// Null if this place is free.
    stream: AtomicPtr<c_void>,
    folder: AtomicU8,
    /// How many of our entries were looked at: those of keys that are plugged in were returned.
    shown: AtomicU8,
    entry: UnsafeCell<DirectoryEntry>,
}

// SAFETY: only the thread that uses the stream uses the entry.
unsafe impl Sync for Listing {}

const NO_ENTRY: DirectoryEntry = DirectoryEntry { inode: 1, offset: i64::MAX, length: 0, kind: 0, name: [0; 256] };
static LISTINGS: [Listing; STREAMS] = [const {
    Listing {
        stream: AtomicPtr::new(ptr::null_mut()),
        folder: AtomicU8::new(0),
        shown: AtomicU8::new(0),
        entry: UnsafeCell::new(NO_ENTRY),
    }
}; STREAMS];

const FOLDERS: [Folder; 4] = [Folder::Dev, Folder::Class, Folder::Platform, Folder::Numbers];

/// Notes that a stream lists one of our folders.
fn begin(stream: Stream, path: &[u8]) {
    let Some(folder) = run().and_then(|run| run.folder(path)) else { return };
    let number = FOLDERS.iter().position(|known| *known == folder).and_then(|at| u8::try_from(at).ok());
    for listing in &LISTINGS {
        let free = ptr::null_mut();
        if listing.stream.compare_exchange(free, stream, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            listing.folder.store(number.unwrap_or_default(), Ordering::Relaxed);
            listing.shown.store(0, Ordering::Relaxed);
            return;
        }
    }
}

fn listing(stream: Stream) -> Option<&'static Listing> {
    let is_it = |listing: &&Listing| listing.stream.load(Ordering::Acquire) == stream;
    if stream.is_null() { None } else { LISTINGS.iter().find(is_it) }
}

impl Listing {
    fn folder(&self) -> Folder {
        FOLDERS.get(usize::from(self.folder.load(Ordering::Relaxed))).copied().unwrap_or(Folder::Dev)
    }

    /// The next entry of ours: one for each key that is plugged in, or one for all of them.
    fn entry(&self, run: &Run) -> *mut DirectoryEntry {
        let folder = self.folder();
        let is_of_key = matches!(folder, Folder::Dev | Folder::Numbers);
        let name = loop {
            let shown = self.shown.fetch_add(1, Ordering::Relaxed);
            let number = run.numbers().nth(usize::from(shown)).filter(|_| is_of_key || shown == 0);
            let Some(number) = number else {
                self.shown.store(shown, Ordering::Relaxed);
                return ptr::null_mut();
            };
            let is_there = || run.socket(number).is_some_and(|socket| descriptors::exists(socket.bytes()));
            if let Some(name) = run.entry(folder, number).filter(|_| !is_of_key || is_there()) {
                break name;
            }
        };
        let mut entry = DirectoryEntry { length: mem::size_of::<DirectoryEntry>() as u16, ..NO_ENTRY };
        entry.kind = match folder {
            Folder::Dev => DT_CHR,
            Folder::Class | Folder::Platform => DT_DIR,
            Folder::Numbers => DT_LNK,
        };
        entry.name.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = *from);
        // SAFETY: only the thread that uses the stream is here.
        unsafe { self.entry.get().write(entry) };
        self.entry.get()
    }
}

interpose!(opendir: fn(path: Path) -> Stream, or ptr::null_mut() => open_folder);
unsafe fn open_folder(next: unsafe extern "C" fn(Path) -> Stream, path: Path) -> Stream {
    // SAFETY: as the caller promises.
    let stream = unsafe { next(target(AT_FDCWD, path).path()) };
    if !stream.is_null() {
        // SAFETY: as above.
        begin(stream, unsafe { text(path) });
    }
    stream
}

interpose!(fdopendir: fn(fd: c_int) -> Stream, or ptr::null_mut() => open_folder_of);
unsafe fn open_folder_of(next: unsafe extern "C" fn(c_int) -> Stream, fd: c_int) -> Stream {
    // SAFETY: the caller's contract is that of the next function.
    let stream = unsafe { next(fd) };
    if !stream.is_null()
        && run().is_some()
        && let Some(path) = descriptors::path(fd)
    {
        begin(stream, path.bytes());
    }
    stream
}

interpose!(closedir: fn(stream: Stream) -> c_int, or -1 => close_folder);
unsafe fn close_folder(next: unsafe extern "C" fn(Stream) -> c_int, stream: Stream) -> c_int {
    // Before the next function: then another thread may get a stream at the same address.
    if let Some(listing) = listing(stream) {
        listing.stream.store(ptr::null_mut(), Ordering::Release);
    }
    // SAFETY: the caller's contract is that of the next function.
    unsafe { next(stream) }
}

type Nothing = ();

interpose!(rewinddir: fn(stream: Stream) -> Nothing, or Nothing::default() => rewind_folder);
unsafe fn rewind_folder(next: unsafe extern "C" fn(Stream), stream: Stream) {
    if let Some(listing) = listing(stream) {
        listing.shown.store(0, Ordering::Relaxed);
    }
    // SAFETY: the caller's contract is that of the next function.
    unsafe { next(stream) };
}

interpose!(seekdir: fn(stream: Stream, position: c_long) -> Nothing, or Nothing::default() => seek_folder);
unsafe fn seek_folder(next: unsafe extern "C" fn(Stream, c_long), stream: Stream, position: c_long) {
    // Our entries come after all others, so they come again.
    if let Some(listing) = listing(stream) {
        listing.shown.store(0, Ordering::Relaxed);
    }
    // SAFETY: the caller's contract is that of the next function.
    unsafe { next(stream, position) };
}

interpose!(readdir readdir64: fn(stream: Stream) -> *mut DirectoryEntry, or ptr::null_mut() => read_folder);
unsafe fn read_folder(
    next: unsafe extern "C" fn(Stream) -> *mut DirectoryEntry,
    stream: Stream,
) -> *mut DirectoryEntry {
    let (Some(run), Some(listing)) = (run(), listing(stream)) else {
        // SAFETY: the caller's contract is that of the next function.
        return unsafe { next(stream) };
    };
    let error = abi::errno();
    loop {
        abi::set_errno(0);
        // SAFETY: the caller's contract is that of the next function.
        let entry = unsafe { next(stream) };
        if entry.is_null() {
            if abi::errno() != 0 {
                return entry;
            }
            abi::set_errno(error);
            return listing.entry(run);
        }
        // SAFETY: the entry is valid until the next call, and its name is a C string.
        let name = unsafe { text((&raw const (*entry).name).cast()) };
        if !run.hides(listing.folder(), name) {
            abi::set_errno(error);
            return entry;
        }
    }
}

/// `int (*)(const struct dirent *)`.
type Filter = Option<unsafe extern "C" fn(*const DirectoryEntry) -> c_int>;
type Entries = *mut *mut *mut DirectoryEntry;

interpose!(scandir scandir64:
    fn(path: Path, entries: Entries, filter: Filter, compare: Option<Compare>) -> c_int, or -1 => scan_folder);
unsafe fn scan_folder(
    next: unsafe extern "C" fn(Path, Entries, Filter, Option<Compare>) -> c_int,
    path: Path,
    entries: Entries,
    filter: Filter,
    compare: Option<Compare>,
) -> c_int {
    // SAFETY: as the caller promises.
    let (target, name) = unsafe { (target(AT_FDCWD, path), text(path)) };
    if run().is_none_or(|run| run.folder(name).is_none()) {
        // SAFETY: the path is a C string, the rest is the caller's.
        return unsafe { next(target.path(), entries, filter, compare) };
    }
    // SAFETY: as the caller promises.
    unsafe { scan(path, entries, filter, compare) }
}

/// `scandir` with this library's functions, because the C library's uses its own.
///
/// # Safety
/// That of `scandir`.
unsafe fn scan(path: Path, entries: Entries, filter: Filter, compare: Option<Compare>) -> c_int {
    const POINTER: usize = mem::size_of::<*mut DirectoryEntry>();
    // SAFETY: the path is a C string.
    let stream = unsafe { opendir(path) };
    if stream.is_null() {
        return -1;
    }
    let (mut list, mut count) = (ptr::null_mut::<*mut DirectoryEntry>(), 0_usize);
    loop {
        // SAFETY: the stream is open.
        let entry = unsafe { readdir(stream) };
        if entry.is_null() {
            break;
        }
        // SAFETY: the entry is valid until the next call.
        if filter.is_some_and(|filter| unsafe { filter(entry) } == 0) {
            continue;
        }
        // SAFETY: as above.
        let length = usize::from(unsafe { (*entry).length });
        let bytes = count.saturating_add(1).saturating_mul(POINTER);
        // SAFETY: the list came from here, the copy is as long as the entry, and is put behind the others.
        unsafe {
            let longer: *mut *mut DirectoryEntry = abi::realloc(list.cast(), bytes).cast();
            let copy = abi::malloc(length);
            if !longer.is_null() {
                list = longer;
            }
            if longer.is_null() || copy.is_null() {
                abi::free(copy);
                break;
            }
            ptr::copy_nonoverlapping(entry.cast::<u8>(), copy.cast(), length);
            list.add(count).write(copy.cast());
        }
        count = count.saturating_add(1);
    }
    // SAFETY: the stream is open, and the list has `count` pointers.
    unsafe {
        closedir(stream);
        if let Some(compare) = compare.filter(|_| count > 0) {
            abi::qsort(list.cast(), count, POINTER, compare);
        }
        *entries = list;
    }
    c_int::try_from(count).unwrap_or(-1)
}

type GlobError = *const c_void;

interpose!(glob glob64: fn(pattern: Path, flags: c_int, on_error: GlobError, result: *mut Glob) -> c_int, or -1
    => match_paths);
unsafe fn match_paths(
    next: unsafe extern "C" fn(Path, c_int, GlobError, *mut Glob) -> c_int,
    pattern: Path,
    flags: c_int,
    on_error: GlobError,
    result: *mut Glob,
) -> c_int {
    // SAFETY: as the caller promises.
    let name = unsafe { text(pattern) };
    let is_ours = [&b"/dev/"[..], b"/sys/"].iter().any(|root| name.starts_with(root));
    if !is_ours || flags & GLOB_ALTDIRFUNC != 0 || run().is_none() {
        // SAFETY: the caller's contract is that of the next function.
        return unsafe { next(pattern, flags, on_error, result) };
    }
    // SAFETY: the result is the caller's; the functions have the signatures that the members ask for.
    unsafe {
        (*result).opendir = opendir as *const c_void;
        (*result).readdir = readdir as *const c_void;
        (*result).closedir = closedir as *const c_void;
        (*result).stat = crate::files::stat as *const c_void;
        (*result).lstat = crate::files::lstat as *const c_void;
        next(pattern, flags | GLOB_ALTDIRFUNC, on_error, result)
    }
}
