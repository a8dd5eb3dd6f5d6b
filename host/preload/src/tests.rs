//! What the library decides without calling anything, and its layouts beside those of the crate libc.

use super::paths::{Folder, KEYS, Place, Run};

fn run() -> Run {
    Run::parse(b"245:3:/tmp/keyfob-1").unwrap()
}

#[test]
fn the_environment_names_a_device_number_and_an_absolute_folder() {
    for wrong in ["", "245", "245:3", "245:3:", "245:3:tmp", "a:3:/tmp", "245:-3:/tmp", "245:3000000000000:/tmp"] {
        assert!(Run::parse(wrong.as_bytes()).is_none(), "{wrong}");
    }
    let longest = |length: usize| format!("1:2:/{}", "x".repeat(length - 1));
    assert!(Run::parse(longest(crate::MAX_DIRECTORY).as_bytes()).is_some());
    assert!(Run::parse(longest(crate::MAX_DIRECTORY + 1).as_bytes()).is_none());
    let socket = Run::parse(b"1:0:/tmp/a").unwrap().socket(u32::MAX).unwrap();
    assert_eq!(socket.bytes(), b"/tmp/a/dev/hidraw4294967295");
}

#[test]
fn a_path_belongs_to_the_key_by_its_whole_components_however_it_is_spelled() {
    use Place::{Elsewhere, Hidden, Node, Tree};
    let cases = [
        ("/dev/hidraw3", Node(3)),
        ("//dev/.//hidraw3", Node(3)),
        ("/dev/hidraw3/", Node(3)),
        ("/dev/hidraw10", Node(10)),
        ("/dev/hidraw11", Hidden),
        ("/dev/hidraw03", Hidden),
        ("/dev/hidraw30", Hidden),
        ("/dev/hidraw0", Hidden),
        ("/dev/hidraw", Elsewhere),
        ("/dev/hidrawx", Elsewhere),
        ("/dev/hidraw3/x", Elsewhere),
        ("/dev/../dev/hidraw3", Elsewhere),
        ("/device/hidraw3", Elsewhere),
        ("dev/hidraw3", Elsewhere),
        ("/dev", Elsewhere),
        ("/", Elsewhere),
        ("", Elsewhere),
        ("/sys/class/hidraw", Tree),
        ("/sys/class/hidraw/hidraw0", Tree),
        ("/sys/class/hidraw/hidraw3/device/uevent", Tree),
        ("/sys/class/hidraw2", Elsewhere),
        ("/sys/class", Elsewhere),
        ("/sys/devices/platform/keyfob/usb1", Tree),
        ("/sys/devices/platform/keyfobs", Elsewhere),
        ("/sys/devices/platform", Elsewhere),
        ("/sys/dev/char/245:3/uevent", Tree),
        ("/sys/dev/char/245:10", Tree),
        ("/sys/dev/char/245:30", Elsewhere),
        ("/sys/dev/char/24:3", Elsewhere),
        ("/sys/dev/char/245:+3", Elsewhere),
        ("/run/udev/data/c245:3", Tree),
        ("/run/udev/data/b245:3", Elsewhere),
        ("/run/udev/data", Elsewhere),
    ];
    for (path, place) in cases {
        assert_eq!(run().place(path.as_bytes()), place, "{path}");
    }
}

#[test]
fn a_socket_in_the_run_directory_is_that_of_its_key() {
    let run = run();
    assert_eq!((crate::KEYS, run.numbers()), (KEYS, 3..3 + KEYS));
    for number in run.numbers() {
        assert_eq!(run.key(run.socket(number).unwrap().bytes()), Some(number));
    }
    for other in
        ["/tmp/keyfob-1/dev/hidraw11", "/tmp/keyfob-1/dev/hidraw", "/tmp/keyfob-11/dev/hidraw3", "/dev/hidraw3"]
    {
        assert_eq!(run.key(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn a_program_does_not_see_the_run_directory_in_paths() {
    let run = run();
    let below = run.below(b"/sys/class/hidraw").unwrap();
    assert_eq!(below.bytes(), b"/tmp/keyfob-1/sys/class/hidraw");
    assert_eq!(run.shown(below.bytes()), Some(&b"/sys/class/hidraw"[..]));
    assert_eq!(run.shown(b"/tmp/keyfob-1/hidraw/name"), None, "what has no path in the system keeps its own");
    assert_eq!(run.shown(b"/tmp/keyfob-11/sys/class"), None);
    assert_eq!(run.shown(b"/tmp/keyfob-1sys/class"), None);
    assert!(run.below(&[b'/'; super::paths::PATH]).is_none(), "too long");
}

#[test]
fn a_folder_gets_our_entries_and_dev_loses_other_keys() {
    let run = run();
    let cases = [
        ("/dev", Some((Folder::Dev, "hidraw3"))),
        ("/dev/", Some((Folder::Dev, "hidraw3"))),
        ("/sys/class/", Some((Folder::Class, "hidraw"))),
        ("/sys/devices/platform", Some((Folder::Platform, "keyfob"))),
        ("/sys/dev/char", Some((Folder::Numbers, "245:3"))),
        ("/sys", None),
        ("dev", None),
        ("/dev/pts", None),
    ];
    for (path, expected) in cases {
        let folder = run.folder(path.as_bytes());
        assert_eq!(
            folder.map(|folder| (folder, run.entry(folder, 3).unwrap().bytes().to_vec())),
            expected.map(|(f, e)| (f, e.as_bytes().to_vec())),
            "{path}"
        );
    }
    assert!(run.hides(Folder::Dev, b"hidraw3") && run.hides(Folder::Dev, b"hidraw14"));
    assert!(!run.hides(Folder::Dev, b"hidraw") && !run.hides(Folder::Dev, b"null"));
    assert!(run.hides(Folder::Class, b"hidraw") && !run.hides(Folder::Class, b"hidraw1"));
}

#[test]
fn the_layouts_are_those_of_the_c_library() {
    use core::mem::{offset_of, size_of};

    use super::abi;
    assert_eq!(abi::STAT_MODE, offset_of!(libc::stat, st_mode));
    assert_eq!(abi::STAT_RDEV, offset_of!(libc::stat, st_rdev));
    assert_eq!(abi::STAT_MODE, offset_of!(libc::stat64, st_mode));
    assert_eq!(abi::STAT_RDEV, offset_of!(libc::stat64, st_rdev));
    assert_eq!(abi::STATX_MODE, offset_of!(libc::statx, stx_mode));
    assert_eq!(abi::STATX_RDEV_MAJOR, offset_of!(libc::statx, stx_rdev_major));
    assert_eq!(abi::STATX_RDEV_MINOR, offset_of!(libc::statx, stx_rdev_minor));
    assert_eq!(size_of::<abi::SocketAddress>(), size_of::<libc::sockaddr_un>());
    assert_eq!(offset_of!(abi::SocketAddress, path), offset_of!(libc::sockaddr_un, sun_path));
    assert_eq!(size_of::<abi::NetlinkAddress>(), size_of::<libc::sockaddr_nl>());
    assert_eq!(offset_of!(abi::NetlinkAddress, process), offset_of!(libc::sockaddr_nl, nl_pid));
    assert_eq!(offset_of!(abi::NetlinkAddress, groups), offset_of!(libc::sockaddr_nl, nl_groups));
    assert_eq!(size_of::<abi::MessageHeader>(), size_of::<libc::msghdr>());
    assert_eq!(offset_of!(abi::MessageHeader, name_length), offset_of!(libc::msghdr, msg_namelen));
    assert_eq!(offset_of!(abi::MessageHeader, control), offset_of!(libc::msghdr, msg_control));
    assert_eq!(offset_of!(abi::MessageHeader, control_length), offset_of!(libc::msghdr, msg_controllen));
    assert_eq!(offset_of!(abi::MessageHeader, flags), offset_of!(libc::msghdr, msg_flags));
    assert_eq!(size_of::<abi::Credentials>(), size_of::<libc::ucred>());
    assert_eq!(size_of::<abi::DirectoryEntry>(), size_of::<libc::dirent64>());
    assert_eq!(offset_of!(abi::DirectoryEntry, length), offset_of!(libc::dirent64, d_reclen));
    assert_eq!(offset_of!(abi::DirectoryEntry, kind), offset_of!(libc::dirent64, d_type));
    assert_eq!(offset_of!(abi::DirectoryEntry, name), offset_of!(libc::dirent64, d_name));
    assert_eq!(size_of::<abi::Glob>(), size_of::<libc::glob_t>());
    assert_eq!(offset_of!(abi::Glob, flags), offset_of!(libc::glob_t, gl_flags));
    assert_eq!(offset_of!(libc::statfs, f_type), 0);
    assert_eq!(size_of::<abi::c_long>(), libc_size_of_type());
    let numbers = [
        (abi::EADDRINUSE, libc::EADDRINUSE),
        (abi::SOL_NETLINK, libc::SOL_NETLINK),
        (abi::SO_PASSCRED, libc::SO_PASSCRED),
        (abi::SO_ATTACH_FILTER, libc::SO_ATTACH_FILTER),
        (abi::SO_DETACH_FILTER, libc::SO_DETACH_FILTER),
        (abi::SO_LOCK_FILTER, libc::SO_LOCK_FILTER),
        (abi::SOCK_DGRAM, libc::SOCK_DGRAM),
        (abi::SOCK_RAW, libc::SOCK_RAW),
        (abi::F_GETFD, libc::F_GETFD),
        (abi::F_GETFL, libc::F_GETFL),
        (abi::ENOENT, libc::ENOENT),
        (abi::EINTR, libc::EINTR),
        (abi::ENODEV, libc::ENODEV),
        (abi::ENOTDIR, libc::ENOTDIR),
        (abi::EINVAL, libc::EINVAL),
        (abi::ENOSYS, libc::ENOSYS),
        (abi::AT_FDCWD, libc::AT_FDCWD),
        (abi::AF_UNIX, libc::AF_UNIX),
        (abi::AF_NETLINK, libc::AF_NETLINK),
        (abi::NETLINK_KOBJECT_UEVENT, libc::NETLINK_KOBJECT_UEVENT),
        (abi::SOL_SOCKET, libc::SOL_SOCKET),
        (abi::SCM_CREDENTIALS, libc::SCM_CREDENTIALS),
        (abi::SOCK_SEQPACKET, libc::SOCK_SEQPACKET),
        (abi::SOCK_CLOEXEC, libc::SOCK_CLOEXEC),
        (abi::SOCK_NONBLOCK, libc::SOCK_NONBLOCK),
        (abi::F_SETFL, libc::F_SETFL),
        (abi::SEEK_END, libc::SEEK_END),
        (abi::O_RDONLY, libc::O_RDONLY),
        (abi::O_WRONLY, libc::O_WRONLY),
        (abi::O_CREAT, libc::O_CREAT),
        (abi::O_NONBLOCK, libc::O_NONBLOCK),
        (abi::O_CLOEXEC, libc::O_CLOEXEC),
        (abi::O_PATH, libc::O_PATH),
        (abi::O_DIRECTORY, libc::O_DIRECTORY),
        (abi::GLOB_ALTDIRFUNC, libc::GLOB_ALTDIRFUNC),
    ];
    assert!(numbers.iter().all(|(ours, theirs)| ours == theirs), "{numbers:?}");
    assert_eq!((abi::S_IFMT, abi::S_IFCHR, abi::S_IFSOCK), (libc::S_IFMT, libc::S_IFCHR, libc::S_IFSOCK));
    assert_eq!((abi::DT_CHR, abi::DT_DIR, abi::DT_LNK), (libc::DT_CHR, libc::DT_DIR, libc::DT_LNK));
    assert_eq!(abi::SYSFS_MAGIC, libc::SYSFS_MAGIC);
    for (major, minor) in [(245, 3), (0xFFF, 0xFF), (0x1234_5678, 0x9ABC_DEF0)] {
        let run = Run::parse(format!("{major}:{minor}:/tmp").as_bytes()).unwrap();
        assert_eq!(run.device_number(minor), libc::makedev(major, minor));
    }
}

/// The bytes in `f_type` of `struct statfs`.
fn libc_size_of_type() -> usize {
    core::mem::offset_of!(libc::statfs, f_bsize)
}
