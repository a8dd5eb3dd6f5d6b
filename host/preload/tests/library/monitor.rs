//! The socket for events of udev.

use std::{
    env, fs, io, mem,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::net::UnixDatagram,
    },
    path::{Path, PathBuf},
    ptr, thread,
    time::Duration,
};

use super::is_inside;

/// What the directory's socket for events of udev sends.
const EVENT: &[u8] = b"libudev, an event";

/// Sends an event to every program that asks for them, until one of them makes the file `end`. Then closes the socket, and
/// makes the file `ended`.
pub fn greet(monitor: UnixDatagram, directory: &Path) {
    while !directory.join("end").exists() {
        for program in fs::read_dir(directory.join("udev")).into_iter().flatten().flatten() {
            if monitor.send_to(EVENT, program.path()).is_ok() {
                let _ = fs::remove_file(program.path());
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    drop(monitor);
    let _ = fs::write(directory.join("ended"), []);
}

#[test]
fn the_socket_for_events_of_udev_brings_those_of_the_key_as_udev_would() {
    if !is_inside("monitor::the_socket_for_events_of_udev_brings_those_of_the_key_as_udev_would") {
        return;
    }
    let open = |protocol| {
        // SAFETY: no pointers; a socket that is new belongs to nobody else.
        unsafe {
            let fd = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol);
            assert!(fd >= 0);
            OwnedFd::from_raw_fd(fd)
        }
    };
    let family = |socket: &OwnedFd| {
        // SAFETY: the address has as much room as the length says.
        unsafe {
            let mut address: libc::sockaddr_nl = mem::zeroed();
            let mut length = mem::size_of_val(&address) as u32;
            assert_eq!(libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut length), 0);
            (i32::from(address.nl_family), length, address.nl_pid)
        }
    };
    // SAFETY: plain calls; every length is that of what it belongs to, and the parts lie there while they run.
    unsafe {
        let monitor = open(libc::NETLINK_KOBJECT_UEVENT);
        let mut address: libc::sockaddr_nl = mem::zeroed();
        (address.nl_family, address.nl_groups) = (libc::AF_NETLINK as u16, 2);
        let length = mem::size_of_val(&address) as u32;
        assert_eq!(libc::bind(monitor.as_raw_fd(), (&raw const address).cast(), length), 0);
        assert_eq!(family(&monitor), (libc::AF_NETLINK, length, std::process::id()));
        let on = 1;
        let option = [libc::SO_PASSCRED, libc::SO_ATTACH_FILTER]
            .map(|option| libc::setsockopt(monitor.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const on).cast(), 4));
        assert_eq!(option, [0, 0]);
        address = mem::zeroed();
        let (mut event, mut control) = ([0_u8; 100], [0_u64; 10]);
        let mut part = libc::iovec { iov_base: event.as_mut_ptr().cast(), iov_len: event.len() };
        let mut message: libc::msghdr = mem::zeroed();
        (message.msg_name, message.msg_namelen) = ((&raw mut address).cast(), length);
        (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
        (message.msg_control, message.msg_controllen) = (control.as_mut_ptr().cast(), mem::size_of_val(&control));
        assert_eq!(libc::recvmsg(monitor.as_raw_fd(), &raw mut message, 0), EVENT.len() as isize);
        assert_eq!(&event[..EVENT.len()], EVENT);
        assert_eq!((i32::from(address.nl_family), address.nl_pid, address.nl_groups), (libc::AF_NETLINK, 0, 2));
        assert_eq!(message.msg_namelen, length);
        let head = libc::CMSG_FIRSTHDR(&raw const message);
        let kind = ((*head).cmsg_level, (*head).cmsg_type);
        assert_eq!(kind, (libc::SOL_SOCKET, libc::SCM_CREDENTIALS));
        let sender: libc::ucred = ptr::read_unaligned(libc::CMSG_DATA(head).cast());
        assert_eq!((sender.uid, sender.gid), (0, 0));
        assert!(libc::CMSG_NXTHDR(&raw const message, head).is_null());
        // Without room there is no sender, and nothing else is written.
        let second = open(libc::NETLINK_KOBJECT_UEVENT);
        control = [7; 10];
        (message.msg_namelen, message.msg_controllen) = (4, 8);
        address.nl_groups = 9;
        assert_eq!(libc::recvmsg(second.as_raw_fd(), &raw mut message, 0), EVENT.len() as isize);
        assert_eq!((control, address.nl_groups), ([7; 10], 9));
        // It does not hang up when `keyfob run` has gone.
        fs::write(directory().join("end"), []).unwrap();
        while !directory().join("ended").exists() {
            thread::sleep(Duration::from_millis(1));
        }
        for monitor in [&monitor, &second] {
            let mut waits = libc::pollfd { fd: monitor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            assert_eq!((libc::poll(&raw mut waits, 1, 100), waits.revents), (0, 0));
        }
    }
    assert_eq!(family(&open(libc::NETLINK_ROUTE)).0, libc::AF_NETLINK, "other sockets are the kernel's");
}

/// The run directory of this process.
fn directory() -> PathBuf {
    env::var(keyfob_preload::VARIABLE).unwrap().splitn(3, ':').nth(2).unwrap().into()
}

#[test]
fn a_socket_for_events_of_udev_is_like_the_kernels_in_all_else() {
    if !is_inside("monitor::a_socket_for_events_of_udev_is_like_the_kernels_in_all_else") {
        return;
    }
    // SAFETY: plain calls; every length is that of what it belongs to. One pointer is wrong, and goes to the kernel alone.
    unsafe {
        let open = |kind| {
            let fd = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | kind, libc::NETLINK_KOBJECT_UEVENT);
            assert!(fd >= 0);
            OwnedFd::from_raw_fd(fd)
        };
        let has_flag = |fd: &OwnedFd| libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) & libc::FD_CLOEXEC != 0;
        let is_blocking = |fd: &OwnedFd| libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) & libc::O_NONBLOCK == 0;
        let plain = open(0);
        let quick = open(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK);
        assert_eq!((has_flag(&plain), is_blocking(&plain)), (false, true));
        assert_eq!((has_flag(&quick), is_blocking(&quick)), (true, false));

        // A time limit is one.
        let wait = libc::timeval { tv_sec: 0, tv_usec: 100_000 };
        let (value, length) = ((&raw const wait).cast(), mem::size_of_val(&wait) as u32);
        let set = libc::setsockopt(plain.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVTIMEO, value, length);
        assert_eq!(set, 0);
        let mut event = [0_u8; 100];
        while libc::recv(plain.as_raw_fd(), event.as_mut_ptr().cast(), event.len(), 0) > 0 {}
        assert_eq!(io::Error::last_os_error().kind(), io::ErrorKind::WouldBlock);

        // A program that wants the kernel's events gets the kernel's socket.
        let mut address: libc::sockaddr_nl = mem::zeroed();
        (address.nl_family, address.nl_groups) = (libc::AF_NETLINK as u16, 1);
        let length = mem::size_of_val(&address) as u32;
        let domain = |fd: &OwnedFd| {
            let (mut domain, mut length) = (0, 4);
            let value = (&raw mut domain).cast();
            libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_DOMAIN, value, &raw mut length);
            domain
        };
        assert_eq!(domain(&quick), libc::AF_UNIX);
        assert_eq!(libc::bind(quick.as_raw_fd(), (&raw const address).cast(), length), 0);
        assert_eq!((domain(&quick), has_flag(&quick), is_blocking(&quick)), (libc::AF_NETLINK, true, false));

        // Wrong pointers are errors and not the end of the program.
        for socket in [&plain, &quick] {
            assert_eq!(libc::recvmsg(socket.as_raw_fd(), ptr::null_mut(), libc::MSG_DONTWAIT), -1);
        }
        let wrong: *mut libc::msghdr = ptr::without_provenance_mut(8);
        assert_eq!(libc::recvmsg(quick.as_raw_fd(), wrong, 0), -1);
        assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::EFAULT));

        // As many as there are descriptors, and none of them waits for anybody.
        for _ in 0..2000 {
            drop(open(0));
        }
        let many: Vec<_> = (0..300).map(|_| open(0)).collect();
        assert!(many.iter().all(|socket| domain(socket) == libc::AF_UNIX));
    }
}
