//! The library in a process: each test starts itself again, with the library, and then is the program that looks for a
//! key.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]
#![allow(clippy::disallowed_methods)]

use std::{
    env,
    ffi::{CStr, CString},
    fs,
    io::{self, Read, Seek},
    mem,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, symlink},
        unix::net::UnixDatagram,
    },
    path::{Path, PathBuf},
    process::Command,
    ptr, slice,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

mod monitor;

const NODE: &str = "/dev/hidraw77";
const DEVICE: &str = "/sys/devices/platform/keyfob/device";
/// What the directory has in place of a report descriptor.
const DESCRIPTOR: &[u8] = b"a report descriptor";

/// A report at which the key is unplugged.
const UNPLUG: &[u8] = b"unplug";

/// Runs a test of this name in a process that has the library. Returns whether this is that process.
fn is_inside(name: &str) -> bool {
    if env::var_os(keyfob_preload::VARIABLE).is_some() {
        return true;
    }
    static DIRECTORIES: AtomicU32 = AtomicU32::new(0);
    let number = DIRECTORIES.fetch_add(1, Ordering::Relaxed);
    let directory = env::temp_dir().join(format!("keyfob-library-{}-{number}", std::process::id()));
    let file = |path: &str, content: &[u8]| {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    file("library.so", keyfob_preload::LIBRARY.unwrap());
    file("hidraw/descriptor", DESCRIPTOR);
    file("hidraw/info", &[3, 0, 0, 0, 9, 0x12, 1, 0]);
    file("hidraw/name", b"a key\0");
    file("hidraw/phys", b"a port\0");
    file("hidraw/uniq", b"\0");
    file(&format!("{}/uevent", &DEVICE[1..]), b"DEVNAME=hidraw77\n");
    fs::create_dir_all(directory.join("sys/class/hidraw")).unwrap();
    fs::create_dir_all(directory.join("dev")).unwrap();
    symlink("../../devices/platform/keyfob/device", directory.join("sys/class/hidraw/hidraw77")).unwrap();
    let listener = listen(&directory.join("dev/hidraw77"));
    thread::spawn(move || echo(&listener));
    let (monitor, home) = (UnixDatagram::bind(directory.join("monitor")).unwrap(), directory.clone());
    fs::create_dir(directory.join("udev")).unwrap();
    thread::spawn(move || monitor::greet(monitor, &home));
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("LD_PRELOAD", directory.join("library.so"))
        .env(keyfob_preload::VARIABLE, format!("245:77:{}", directory.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    assert!(directory.join("loaded").exists(), "the library says that it was loaded");
    fs::remove_dir_all(directory).unwrap();
    false
}

/// A listening socket of type SOCK_SEQPACKET.
fn listen(path: &Path) -> OwnedFd {
    // SAFETY: plain calls; the address is filled as they need it.
    unsafe {
        let fd = libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0);
        let mut address: libc::sockaddr_un = mem::zeroed();
        address.sun_family = libc::AF_UNIX as u16;
        let path = CString::new(path.to_str().unwrap()).unwrap();
        ptr::copy_nonoverlapping(path.as_ptr(), address.sun_path.as_mut_ptr(), path.as_bytes().len());
        let length = mem::size_of_val(&address) as u32;
        assert_eq!(libc::bind(fd, ptr::from_ref(&address).cast(), length), 0);
        assert_eq!(libc::listen(fd, 8), 0);
        OwnedFd::from_raw_fd(fd)
    }
}

/// Sends every packet back, of one connection after another. Hangs up at [`UNPLUG`], whatever else has come.
fn echo(listener: &OwnedFd) {
    loop {
        let mut packet = [0; 128];
        // SAFETY: plain calls; the packet has as much room as they are told.
        unsafe {
            let fd = libc::accept(listener.as_raw_fd(), ptr::null_mut(), ptr::null_mut());
            loop {
                let length = libc::read(fd, packet.as_mut_ptr().cast(), packet.len());
                if length <= 0 || packet.starts_with(UNPLUG) {
                    break;
                }
                libc::write(fd, packet.as_ptr().cast(), length as usize);
            }
            libc::close(fd);
        }
    }
}

fn open() -> fs::File {
    fs::OpenOptions::new().read(true).write(true).open(NODE).unwrap()
}

#[test]
fn an_open_device_carries_whole_packets_and_blocks_or_not() {
    if !is_inside("an_open_device_carries_whole_packets_and_blocks_or_not") {
        return;
    }
    use std::io::Write;
    let mut key = open();
    assert_eq!(key.write(&[7; 65]).unwrap(), 65);
    assert_eq!(key.write(&[8; 64]).unwrap(), 64);
    let mut packet = [0; 128];
    assert_eq!(key.read(&mut packet).unwrap(), 65);
    assert_eq!(key.read(&mut packet[..10]).unwrap(), 10, "the rest of the report is lost");
    assert_eq!(packet[..10], [8; 10]);
    drop(key);
    let mut key = fs::OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(NODE).unwrap();
    assert_eq!(key.read(&mut packet).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    // SAFETY: no pointers.
    let flags = unsafe { libc::fcntl(key.as_raw_fd(), libc::F_GETFD) };
    assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC, "the standard library asks for it");
}

#[test]
fn a_write_that_no_device_takes_fails_and_does_not_unplug() {
    if !is_inside("a_write_that_no_device_takes_fails_and_does_not_unplug") {
        return;
    }
    use std::io::Write;
    let mut key = open();
    for length in [0, 1, 16_385, 100_000] {
        assert_eq!(key.write(&vec![7; length]).unwrap_err().raw_os_error(), Some(libc::EINVAL), "{length}");
    }
    assert_eq!(key.write(&[8; 64]).unwrap(), 64);
    let mut packet = [0; 64];
    assert_eq!((key.read(&mut packet).unwrap(), packet), (64, [8; 64]), "nothing came before it");
    let (mut other, mut end) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_eq!((other.write(b"").unwrap(), other.write(b"1").unwrap()), (0, 1), "others take them");
    assert_eq!(end.read(&mut packet).unwrap(), 1);
}

#[test]
fn each_part_of_a_vector_is_a_report() {
    if !is_inside("each_part_of_a_vector_is_a_report") {
        return;
    }
    use std::io::{IoSlice, IoSliceMut, Write};
    let mut key = open();
    let parts = [&[1; 64][..], &[], &[2; 65], &[3]].map(IoSlice::new);
    assert_eq!(key.write_vectored(&parts[..3]).unwrap(), 64 + 65);
    let (mut one, mut two, mut three) = ([0; 64], [0; 65], [0; 64]);
    let read = key.read_vectored(&mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)]).unwrap();
    assert_eq!((read, one, two), (64 + 65, [1; 64], [2; 65]));
    assert_eq!(key.write_vectored(&parts).unwrap(), 64 + 65, "what came before the part that fails");
    assert_eq!(key.write_vectored(&parts[3..]).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    // A part that is not filled is the last one.
    assert_eq!(key.read_vectored(&mut [IoSliceMut::new(&mut two), IoSliceMut::new(&mut three)]).unwrap(), 64);
    assert_eq!((two[..64] == one, three), (true, [0; 64]));
}

#[test]
fn a_device_that_is_unplugged_fails_as_one_and_ends_no_program() {
    if !is_inside("a_device_that_is_unplugged_fails_as_one_and_ends_no_program") {
        return;
    }
    use std::io::Write;
    // SAFETY: no pointers. Rust's standard library ignores the signal, most programs do not.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    for is_unread in [false, true] {
        let (mut key, mut packet) = (open(), [0; 64]);
        assert_eq!(key.read(&mut []).unwrap(), 0, "nothing was asked for");
        key.write_all(UNPLUG).unwrap();
        if is_unread {
            // What nobody reads makes the end of the socket another one.
            let _ = key.write(&[1; 64]);
        }
        assert_eq!(key.read(&mut packet).unwrap_err().raw_os_error(), Some(libc::EIO));
        assert_eq!(key.read(&mut packet).unwrap_err().raw_os_error(), Some(libc::EIO));
        for length in [64, 0] {
            assert_eq!(key.write(&packet[..length]).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        }
        let parts = [io::IoSlice::new(&[1; 65])];
        assert_eq!(key.write_vectored(&parts).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        let mut parts = [io::IoSliceMut::new(&mut packet)];
        assert_eq!(key.read_vectored(&mut parts).unwrap_err().raw_os_error(), Some(libc::EIO));
        let mut size = 0i32;
        // SAFETY: the request has room for a number.
        let result = unsafe { libc::ioctl(key.as_raw_fd(), 0x8004_4801, &raw mut size) };
        assert_eq!((result, io::Error::last_os_error().raw_os_error()), (-1, Some(libc::ENODEV)));
    }
    let (mut socket, other) = std::os::unix::net::UnixStream::pair().unwrap();
    drop(other);
    assert_eq!(socket.read(&mut [0; 64]).unwrap(), 0, "other sockets end as they do");
}

#[test]
fn a_program_that_inherits_an_open_key_sees_that_it_is_unplugged() {
    if !is_inside("a_program_that_inherits_an_open_key_sees_that_it_is_unplugged") {
        return;
    }
    use std::io::Write;
    let mut key = open();
    key.write_all(UNPLUG).unwrap();
    let fails = |command: &mut Command| {
        let output = command.env("LC_ALL", "C").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = fails(Command::new("cat").stdin(key.try_clone().unwrap()));
    assert!(code == Some(1) && said.contains("Input/output error"), "{code:?}: {said}");
    let (code, said) = fails(Command::new("dd").args(["if=/dev/zero", "bs=64", "count=1"]).stdout(key));
    assert!(code == Some(1) && said.contains("No such device"), "{code:?}: {said}");
}

#[test]
fn the_device_is_a_character_device_by_path_and_when_it_is_open() {
    if !is_inside("the_device_is_a_character_device_by_path_and_when_it_is_open") {
        return;
    }
    let number = libc::makedev(245, 77);
    let key = open();
    for metadata in [fs::metadata(NODE), fs::symlink_metadata(NODE), key.metadata()] {
        let metadata = metadata.unwrap();
        assert!(metadata.file_type().is_char_device());
        assert_eq!(metadata.rdev(), number);
    }
    // SAFETY: the path is a C string, and the status has room for the answer.
    unsafe {
        let path = c"/dev/hidraw77".as_ptr();
        let (mut by_path, mut by_file): (libc::stat, libc::stat) = (mem::zeroed(), mem::zeroed());
        assert_eq!(libc::stat(path, &mut by_path), 0);
        assert_eq!(libc::fstat(key.as_raw_fd(), &mut by_file), 0);
        for status in [by_path, by_file] {
            assert_eq!((status.st_mode & libc::S_IFMT, status.st_rdev), (libc::S_IFCHR, number));
        }
        assert_eq!((by_path.st_dev, by_path.st_ino), (by_file.st_dev, by_file.st_ino));
        assert_eq!(libc::fstatat(libc::AT_FDCWD, path, &mut by_path, libc::AT_SYMLINK_NOFOLLOW), 0);
        assert_eq!(by_path.st_rdev, number);
        assert_eq!(libc::fstatat(key.as_raw_fd(), c"".as_ptr(), &mut by_file, libc::AT_EMPTY_PATH), 0);
        assert_eq!(by_file.st_rdev, number);
        assert_eq!(libc::access(path, libc::R_OK | libc::W_OK), 0);
        assert_eq!(libc::flock(key.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB), 0);
    }
    let (by_path, by_file) = (fs::metadata(NODE).unwrap(), key.metadata().unwrap());
    assert_eq!((by_path.dev(), by_path.ino()), (by_file.dev(), by_file.ino()), "by statx too");
    let only_path = fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(NODE).unwrap();
    // SAFETY: the path is a C string, and the status has room for the answer.
    unsafe {
        let mut status: libc::stat = mem::zeroed();
        assert_eq!(libc::fstat(only_path.as_raw_fd(), &mut status), 0);
        assert_eq!((status.st_mode & libc::S_IFMT, status.st_rdev), (libc::S_IFCHR, number));
        status = mem::zeroed();
        assert_eq!(libc::fstatat(only_path.as_raw_fd(), c"".as_ptr(), &mut status, libc::AT_EMPTY_PATH), 0);
        assert_eq!((status.st_mode & libc::S_IFMT, status.st_rdev), (libc::S_IFCHR, number));
    }
    assert_eq!(only_path.metadata().unwrap().rdev(), number);
    let new = fs::OpenOptions::new().write(true).create_new(true).open(NODE).unwrap_err();
    assert_eq!(new.raw_os_error(), Some(libc::EEXIST), "a device is not made");
    let other = fs::metadata("/dev/null").unwrap();
    assert_eq!(other.rdev(), libc::makedev(1, 3), "other devices stay as they are");
    let (socket, _) = std::os::unix::net::UnixStream::pair().unwrap();
    // SAFETY: the status has room for the answer.
    unsafe {
        let mut status: libc::stat = mem::zeroed();
        assert_eq!(libc::fstat(socket.as_raw_fd(), &mut status), 0);
        assert_eq!(status.st_mode & libc::S_IFMT, libc::S_IFSOCK, "so do other sockets");
    }
}

#[test]
fn the_ioctls_of_hidraw_are_answered() {
    if !is_inside("the_ioctls_of_hidraw_are_answered") {
        return;
    }
    let request = |number: u64, size: u64| 2 << 30 | size << 16 | 0x48 << 8 | number;
    let key = open();
    let ask = |request: u64, buffer: &mut [u8]| {
        // SAFETY: the buffer is as long as the request says.
        unsafe { libc::ioctl(key.as_raw_fd(), request, buffer.as_mut_ptr()) }
    };
    let mut size = [0; 4];
    assert_eq!(ask(request(1, 4), &mut size), 0);
    assert_eq!(u32::from_ne_bytes(size), DESCRIPTOR.len() as u32);
    let mut descriptor = [0xEE; 4100];
    descriptor[..4].copy_from_slice(&size);
    assert_eq!(ask(request(2, 4100), &mut descriptor), 0);
    assert_eq!(&descriptor[4..4 + DESCRIPTOR.len()], DESCRIPTOR);
    assert_eq!(descriptor[4 + DESCRIPTOR.len()], 0xEE);
    descriptor[..4].copy_from_slice(&5000_u32.to_ne_bytes());
    assert_eq!(ask(request(2, 4100), &mut descriptor), -1, "more than there is room for");
    let mut info = [0; 8];
    assert_eq!(ask(request(3, 8), &mut info), 0);
    assert_eq!(info, [3, 0, 0, 0, 9, 0x12, 1, 0]);
    for (number, length, expected) in
        [(4, 256, &b"a key\0"[..]), (4, 3, b"a k"), (4, 6, b"a key\0"), (5, 64, b"a port\0"), (8, 64, b"\0")]
    {
        let mut text = vec![0xEE; length];
        assert_eq!(ask(request(number, length as u64), &mut text), expected.len() as i32);
        assert_eq!(&text[..expected.len()], expected);
        assert!(text[expected.len()..].iter().all(|byte| *byte == 0xEE));
    }
    assert_eq!(ask(request(99, 4), &mut size), -1);
    let other = fs::File::open("/dev/null").unwrap();
    // SAFETY: the buffer is as long as the request says.
    assert_eq!(unsafe { libc::ioctl(other.as_raw_fd(), request(1, 4), size.as_mut_ptr()) }, -1);
}

#[test]
fn folders_of_the_kernel_have_the_device() {
    if !is_inside("folders_of_the_kernel_have_the_device") {
        return;
    }
    let path = "/sys/class/hidraw/hidraw77";
    assert_eq!(fs::read_to_string(format!("{path}/uevent")).unwrap(), "DEVNAME=hidraw77\n");
    assert_eq!(fs::canonicalize(path).unwrap(), PathBuf::from(DEVICE));
    assert_eq!(fs::canonicalize(NODE).unwrap(), PathBuf::from(NODE));
    assert_eq!(fs::read_link(path).unwrap(), PathBuf::from("../../devices/platform/keyfob/device"));
    let folder = fs::File::open(DEVICE).unwrap();
    let by_number = CString::new(format!("/proc/self/fd/{}", folder.as_raw_fd())).unwrap();
    for room in [12, DEVICE.len(), 200, 4096] {
        let mut text = [0_u8; 4096];
        // SAFETY: the path is a C string, and the buffer has as much room as it is told.
        let length = unsafe { libc::readlink(by_number.as_ptr(), text.as_mut_ptr().cast(), room) };
        let shown = &DEVICE.as_bytes()[..room.min(DEVICE.len())];
        assert_eq!((length as usize, &text[..shown.len()]), (shown.len(), shown), "as much as there is room for");
        assert!(text[shown.len()..].iter().all(|byte| *byte == 0), "nothing is written behind the text");
    }
    let link = fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd())).unwrap();
    assert_eq!(link, PathBuf::from(DEVICE), "programs ask where an open file is");
    // SAFETY: the status has room for the answer.
    let kind = |fd: i32| unsafe {
        let mut status: libc::statfs = mem::zeroed();
        assert_eq!(libc::fstatfs(fd, &mut status), 0);
        status.f_type
    };
    assert_eq!(kind(folder.as_raw_fd()), libc::SYSFS_MAGIC);
    let elsewhere = fs::File::open("/").unwrap();
    assert_ne!(kind(elsewhere.as_raw_fd()), libc::SYSFS_MAGIC);
    // As udev walks: folder by folder, from the root.
    let mut walk: OwnedFd = elsewhere.into();
    for part in [c"sys", c"class", c"hidraw", c"hidraw77", c"uevent"] {
        let flags = libc::O_PATH | libc::O_CLOEXEC;
        // SAFETY: the path is a C string.
        let next = unsafe { libc::openat(walk.as_raw_fd(), part.as_ptr(), flags) };
        assert!(next >= 0, "{part:?}: {}", io::Error::last_os_error());
        // SAFETY: the file was opened here.
        walk = unsafe { OwnedFd::from_raw_fd(next) };
    }
    for missing in ["/sys/class/hidraw/hidraw0", "/dev/hidraw76", "/dev/hidraw770"] {
        assert_eq!(fs::metadata(missing).unwrap_err().kind(), io::ErrorKind::NotFound, "{missing}");
        assert_eq!(fs::File::open(missing).unwrap_err().kind(), io::ErrorKind::NotFound, "{missing}");
        assert_eq!(fs::canonicalize(missing).unwrap_err().kind(), io::ErrorKind::NotFound, "{missing}");
    }
    assert_eq!(fs::read_dir(NODE).unwrap_err().kind(), io::ErrorKind::NotADirectory);
}

#[test]
fn a_stream_on_the_device_reads_and_writes() {
    if !is_inside("a_stream_on_the_device_reads_and_writes") {
        return;
    }
    // SAFETY: C strings and buffers as long as they are told.
    unsafe {
        let stream = libc::fopen(c"/dev/hidraw77".as_ptr(), c"r+".as_ptr());
        assert!(!stream.is_null());
        libc::setvbuf(stream, ptr::null_mut(), libc::_IONBF, 0);
        let mut packet = [9_u8; 64];
        assert_eq!(libc::fwrite(packet.as_ptr().cast(), 1, 64, stream), 64);
        packet = [0; 64];
        assert_eq!(libc::fread(packet.as_mut_ptr().cast(), 1, 64, stream), 64);
        assert_eq!(packet, [9; 64]);
        libc::fclose(stream);
    }
    let mut file = fs::File::open("/sys/class/hidraw/hidraw77/uevent").unwrap();
    file.rewind().unwrap();
}

/// Paths that `glob` finds.
fn globbed(pattern: &CStr) -> Vec<String> {
    // SAFETY: the result is filled before it is read, and freed after.
    unsafe {
        let mut result: libc::glob_t = mem::zeroed();
        let code = libc::glob(pattern.as_ptr(), 0, None, &mut result);
        if code == libc::GLOB_NOMATCH {
            return Vec::new();
        }
        assert_eq!(code, 0);
        let paths = slice::from_raw_parts(result.gl_pathv, result.gl_pathc);
        let paths = paths.iter().map(|path| CStr::from_ptr(*path).to_str().unwrap().to_owned()).collect();
        libc::globfree(&mut result);
        paths
    }
}

#[test]
fn every_way_to_list_a_folder_shows_the_device_once() {
    if !is_inside("every_way_to_list_a_folder_shows_the_device_once") {
        return;
    }
    for (folder, name) in [
        ("/dev", "hidraw77"),
        ("/sys/class", "hidraw"),
        ("/sys/class/hidraw", "hidraw77"),
        ("/sys/devices/platform", "keyfob"),
        ("/sys/dev/char", "245:77"),
    ] {
        let listed = || fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(listed().filter(|entry| entry == name).count(), 1, "{folder}");
        assert!(listed().count() < 40 || folder != "/sys/class/hidraw");
    }
    let kind = |entry: fs::DirEntry| (entry.file_name() == "hidraw77").then(|| entry.file_type().unwrap());
    assert!(fs::read_dir("/dev").unwrap().find_map(|entry| kind(entry.unwrap())).unwrap().is_char_device());

    assert_eq!(globbed(c"/dev/hidraw*"), ["/dev/hidraw77"]);
    assert_eq!(globbed(c"/sys/class/hid*/hidraw*"), ["/sys/class/hidraw/hidraw77"]);
    assert_eq!(globbed(c"/dev/nul?"), ["/dev/null"]);
    assert_eq!(globbed(c"/dev/hidraw7"), [""; 0]);

    unsafe extern "C" fn is_hidraw(entry: *const libc::dirent) -> i32 {
        // SAFETY: `scandir` gives an entry.
        let name = unsafe { CStr::from_ptr((*entry).d_name.as_ptr()) };
        i32::from(name.to_bytes().starts_with(b"hidraw"))
    }
    // SAFETY: the list has as many entries as the call returns, and all are freed once.
    unsafe {
        let mut list = ptr::null_mut();
        let count = scandir(c"/dev".as_ptr(), &mut list, Some(is_hidraw), None);
        assert_eq!(count, 1);
        assert_eq!(CStr::from_ptr((**list).d_name.as_ptr()), c"hidraw77");
        libc::free((*list).cast());
        libc::free(list.cast());

        let stream = libc::opendir(c"/dev".as_ptr());
        let count = |stream: *mut libc::DIR| {
            let mut count = 0;
            loop {
                let entry = libc::readdir(stream);
                if entry.is_null() {
                    return count;
                }
                count += i32::from(CStr::from_ptr((*entry).d_name.as_ptr()) == c"hidraw77");
            }
        };
        assert_eq!((count(stream), count(stream)), (1, 0));
        libc::rewinddir(stream);
        assert_eq!(count(stream), 1);
        libc::rewinddir(stream);
        let start = libc::telldir(stream);
        assert_eq!(count(stream), 1);
        libc::seekdir(stream, start);
        assert_eq!(count(stream), 1, "it comes again");
        libc::closedir(stream);

        let folder = libc::open(c"/dev".as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY);
        let stream = libc::fdopendir(folder);
        assert_eq!(count(stream), 1);
        libc::closedir(stream);
    }
    // Streams that are closed make room for others.
    for _ in 0..100 {
        assert_eq!(globbed(c"/dev/hidraw*").len(), 1);
    }
}

type Filter = unsafe extern "C" fn(*const libc::dirent) -> i32;
unsafe extern "C" {
    fn scandir(
        path: *const libc::c_char,
        list: *mut *mut *mut libc::dirent,
        filter: Option<Filter>,
        compare: Option<unsafe extern "C" fn()>,
    ) -> i32;
}

#[test]
fn without_a_run_directory_the_library_changes_nothing() {
    let name = "without_a_run_directory_the_library_changes_nothing";
    if env::var_os("KEYFOB_TEST_INSIDE").is_some() {
        assert_eq!(fs::metadata("/dev/null").unwrap().rdev(), libc::makedev(1, 3));
        assert!(!fs::read_dir("/dev").unwrap().any(|entry| entry.unwrap().file_name() == "hidraw77"));
        assert!(fs::metadata(DEVICE).is_err());
        return;
    }
    let library = env::temp_dir().join(format!("keyfob-library-{}.so", std::process::id()));
    fs::write(&library, keyfob_preload::LIBRARY.unwrap()).unwrap();
    for variable in [None, Some("nonsense")] {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", name, "--nocapture"]).env("LD_PRELOAD", &library).env("KEYFOB_TEST_INSIDE", "1");
        variable.map(|value| command.env(keyfob_preload::VARIABLE, value));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    }
    fs::remove_file(library).unwrap();
}
