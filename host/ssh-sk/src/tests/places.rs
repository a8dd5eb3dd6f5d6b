//! Where a key is: files and sockets, and what the environment says.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use keyfob::Address;
use keyfob_soft_authenticator::{
    Caps,
    devices::{
        KeyOptions, VIRTUAL_KEY_AAGUID, VirtualKey,
        hub::{Hub, HubHandle},
    },
    engine::Config,
    store::FileStore,
};
use socket2::{Domain, SockAddr, Socket, Type};

use super::*;
use crate::{
    abi::*,
    failure::Failure,
    key::Key,
    options::{Options, Passed},
    place::Place,
};

fn from(environment: &[(&str, &str)], passed: &[Passed<'_>]) -> Result<Place, c_int> {
    let environment: HashMap<&str, OsString> = environment.iter().map(|(name, value)| (*name, value.into())).collect();
    let read = Options::read_with(passed, |name| environment.get(name).cloned());
    read.map(|options| options.place).map_err(|failure| failure.code)
}

#[test]
fn the_environment_says_where_the_key_is_unless_an_option_does() {
    let file = |name: &str| Ok(Place::Store(name.into()));
    assert_eq!(from(&[("KEYFOB_STORE", "/a/key")], &[]), file("/a/key"));
    assert_eq!(from(&[("KEYFOB_STORE", "tcp:key")], &[]), file("tcp:key"), "any name of a file");
    let tcp = Ok(Place::Key(Address::Tcp("[::1]:7000".into())));
    assert_eq!(from(&[("KEYFOB_ADDRESS", "tcp:[::1]:7000"), ("KEYFOB_STORE", "")], &[]), tcp);
    assert_eq!(from(&[("KEYFOB_ADDRESS", "unix:/a/key")], &[]), Ok(Place::Key(Address::Unix("/a/key".into()))));
    assert_eq!(from(&[("KEYFOB_ADDRESS", "store:key")], &[]), file("key"));
    #[cfg(target_os = "linux")]
    assert_eq!(
        from(&[("KEYFOB_ADDRESS", "/dev/hidraw3")], &[]),
        Ok(Place::Key(Address::Hidraw("/dev/hidraw3".into())))
    );
    for wrong in ["tcp:", "tcp:localhost", "usb:1", "hidraw0", "/tmp/key"] {
        assert_eq!(from(&[("KEYFOB_ADDRESS", wrong)], &[]), Err(ERR_DEVICE_NOT_FOUND), "{wrong}");
    }
    assert_eq!(from(&[], &[]), Err(ERR_DEVICE_NOT_FOUND));
    let both = [("KEYFOB_STORE", "key"), ("KEYFOB_ADDRESS", "unix:key")];
    assert_eq!(from(&both, &[]), Err(ERR_DEVICE_NOT_FOUND));
    let device = Passed { name: c"device", value: c"store:other", required: true };
    assert_eq!(from(&both, &[device]), file("other"));
}

#[test]
fn a_socket_may_have_a_name_that_is_not_text() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::read(OsStr::from_bytes(b"unix:/a/\xff")).unwrap();
    assert_eq!(place, Place::Key(Address::Unix(OsStr::from_bytes(b"/a/\xff").into())));
}

#[test]
fn only_a_registration_makes_a_file() {
    let file = File::new();
    assert_eq!(load(&file.options(), None), Err(ERR_DEVICE_NOT_FOUND));
    let key = enroll(&File::new().options(), ECDSA, USER_PRESENCE, None).unwrap();
    assert_eq!(sign(&file.options(), &key, ECDSA, b"message", None), Err(ERR_DEVICE_NOT_FOUND));
    assert!(!file.path().exists());
    enroll(&file.options(), ECDSA, USER_PRESENCE, None).unwrap();
    assert!(file.path().exists());
}

#[test]
fn a_file_that_cannot_be_opened_is_not_told_as_one_that_is_missing() {
    let file = File::new();
    let why = |path: &str| {
        let place = Place::Store(file.folder.path().join(path));
        place.with(false, |_| Ok(())).unwrap_err().why.unwrap()
    };
    assert!(why("key").starts_with("there is no key in "), "{}", why("key"));
    // As with a folder that this user may not search, which root may.
    std::fs::write(file.path(), "a letter").unwrap();
    assert!(why("key/key").starts_with("cannot open "), "{}", why("key/key"));
}

#[test]
fn a_file_that_is_no_key_is_left_as_it_is() {
    let file = File::new();
    std::fs::write(file.path(), "a letter").unwrap();
    assert_eq!(enroll(&file.options(), ECDSA, USER_PRESENCE, None), Err(ERR_DEVICE_NOT_FOUND));
    assert_eq!(std::fs::read(file.path()).unwrap(), b"a letter");
}

#[test]
fn a_file_that_another_program_has_open_is_waited_for_but_not_for_long() {
    let file = File::new();
    let open = FileStore::open(file.path()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(200));
            drop(open);
        });
        enroll(&file.options(), ECDSA, USER_PRESENCE, None).unwrap();
    });
    let _open = FileStore::open(file.path()).unwrap();
    let start = Instant::now();
    assert_eq!(enroll(&file.options(), ECDSA, USER_PRESENCE, None), Err(ERR_DEVICE_NOT_FOUND));
    assert!(start.elapsed() >= Duration::from_secs(3));
}

/// A key behind a socket, until it is dropped.
struct Served {
    hub: HubHandle,
    thread: Option<thread::JoinHandle<()>>,
}

impl Served {
    fn new(config: Config<'static>, listen: impl FnOnce(&mut Hub<'_, '_>) + Send + 'static) -> Self {
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let mut memory = vec![0; config.buffer_len()];
            let mut key = VirtualKey::new(&mut memory, KeyOptions::new(config)).unwrap();
            let mut hub = Hub::new(&mut key).unwrap();
            listen(&mut hub);
            ready.send(hub.handle()).unwrap();
            hub.run(|_| ()).unwrap();
        });
        Self { hub: is_ready.recv().unwrap(), thread: Some(thread) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.hub.stop();
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn a_key_that_is_served_over_tcp_or_a_unix_socket_makes_keys_and_signs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp:{}", listener.local_addr().unwrap());
    let config = Config::workstation(VIRTUAL_KEY_AAGUID);
    let tcp = Served::new(config, |hub| hub.listen_tcp(listener).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let path = format!("unix:{}", socket.display());
    let unix = Served::new(config, move |hub| hub.listen_unix(&socket).unwrap());
    for address in [&address, &path] {
        let key = enroll(&List::at(address), ED25519, USER_PRESENCE, None).unwrap();
        assert!(sign(&List::at(address), &key, ED25519, b"message", None).is_ok(), "{address}");
    }
    drop((tcp, unix));
    for address in [&address, &path] {
        assert_eq!(enroll(&List::at(address), ED25519, USER_PRESENCE, None), Err(ERR_DEVICE_NOT_FOUND), "{address}");
    }
}

#[test]
fn what_the_key_does_not_have_is_unsupported_and_what_it_cannot_verify_is_said() {
    let without = |missing| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let options = List::at(&format!("tcp:{}", listener.local_addr().unwrap()));
        let config = Config::arculus_like(VIRTUAL_KEY_AAGUID);
        let caps = config.caps.without(missing).consistent();
        (Served::new(Config { caps, ..config }, |hub| hub.listen_tcp(listener).unwrap()), options)
    };
    let (_served, options) = without(Caps::DISCOVERABLE);
    assert!(enroll(&options, ECDSA, USER_PRESENCE, None).is_ok());
    assert_eq!(enroll(&options, ED25519, USER_PRESENCE, None), Err(ERR_UNSUPPORTED), "no Ed25519");
    let resident = USER_PRESENCE | RESIDENT_KEY;
    assert_eq!(enroll(&options, ECDSA, resident | FORCE_OPERATION, None), Err(ERR_UNSUPPORTED), "none are kept");
    // There is no PIN, and so none to ask for.
    let verified = USER_PRESENCE | USER_VERIFICATION;
    for pin in [None, Some(c"123456")] {
        assert_eq!(enroll(&options, ECDSA, verified, pin), Err(ERR_GENERAL));
    }
    let (_served, unprotected) = without(Caps::CRED_PROTECT);
    assert!(enroll(&unprotected, ECDSA, USER_PRESENCE, None).is_ok());
    for flags in [verified, resident | FORCE_OPERATION] {
        assert_eq!(enroll(&unprotected, ECDSA, flags, None), Err(ERR_UNSUPPORTED), "{flags:#x}");
    }
}

/// Why the key at this address cannot be asked.
fn no_key_at(address: &str) -> Failure {
    let place = Place::read(OsStr::new(address)).unwrap();
    place.with(true, |port| Key::new(port, None).map(|_| ())).unwrap_err()
}

#[test]
#[cfg(target_os = "linux")]
fn a_device_that_is_no_security_key_is_not_found() {
    for device in ["/dev/null", "/dev/ptmx", "/dev/hidraw4711"] {
        assert_eq!(no_key_at(device).code, ERR_DEVICE_NOT_FOUND, "{device}");
    }
    assert!(no_key_at("/dev/ptmx").why.unwrap().contains("it is not a security key"));
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_below_dev_is_left_as_it_is() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "a letter").unwrap();
    for address in [path.display().to_string(), format!("/dev/..{}", path.display())] {
        let failure = no_key_at(&address);
        assert_eq!(failure.code, ERR_DEVICE_NOT_FOUND);
        assert!(failure.why.unwrap().ends_with("it is not a security key (a file is store:FILE)"), "{address}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"a letter");
}

#[test]
fn a_unix_socket_that_accepts_no_more_is_not_waited_for_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let address = SockAddr::unix(&path).unwrap();
    let socket = || Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    let listener = socket();
    listener.bind(&address).unwrap();
    listener.listen(0).unwrap();
    let mut clients = Vec::new();
    loop {
        let client = socket();
        client.set_nonblocking(true).unwrap();
        if client.connect(&address).is_err() {
            break;
        }
        clients.push(client);
    }
    let (answer, answers) = std::sync::mpsc::channel();
    thread::spawn(move || answer.send(no_key_at(&format!("unix:{}", path.display()))));
    let failure = answers.recv_timeout(Duration::from_secs(60)).expect("it still waits");
    assert_eq!(failure.code, ERR_DEVICE_NOT_FOUND);
    #[cfg(target_os = "linux")]
    assert!(failure.why.unwrap().ends_with("cannot be reached: timed out"));
}

/// Answers INIT if it may, and is gone.
fn gone(answers_init: bool) -> Failure {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp:{}", listener.local_addr().unwrap());
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut client, _) = listener.accept().unwrap();
            let (mut init, mut answer) = ([0; 64], [0; 64]);
            client.read_exact(&mut init).unwrap();
            if answers_init {
                // The broadcast channel, INIT, 17 bytes, the nonce; a channel, versions and the capability CBOR.
                answer[..7].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF, 0x86, 0, 17]);
                answer[7..15].copy_from_slice(&init[7..15]);
                answer[15..24].copy_from_slice(&[1, 2, 3, 4, 2, 1, 0, 0, 4]);
                client.write_all(&answer).unwrap();
                client.read_exact(&mut init).unwrap();
            }
        });
        no_key_at(&address)
    })
}

#[test]
fn a_key_that_goes_away_is_not_told_as_something_that_is_no_key() {
    let no_key = "what is there does not answer as a security key";
    let (silent, away) = (gone(false), gone(true));
    assert_eq!((silent.code, away.code), (ERR_DEVICE_NOT_FOUND, ERR_GENERAL));
    assert!(silent.why.unwrap().starts_with(no_key));
    assert!(!away.why.unwrap().contains(no_key));
}
