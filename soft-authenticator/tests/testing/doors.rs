//! The same key behind the doors of a hub, in real time: what a test says to it, while clients are connected.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use keyfob_core::{
    Status,
    auth_data::Flags,
    client::{Cause, ErrorCode},
    ctap2::Command,
    transport::hid::HidTransport,
    verify,
};
use keyfob_soft_authenticator::{
    devices::{
        KeyOptions, TcpPipe, Touch, VirtualKey,
        hub::{Hub, HubEvent, HubHandle},
    },
    testing::{Browser, Control, Lie, Step, TestCredential, TestError},
};
use serde_json::json;

use crate::{page::*, user::failed};

/// A key behind a TCP door until it is dropped.
struct Served {
    address: SocketAddr,
    hub: HubHandle,
    events: mpsc::Receiver<HubEvent>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.hub.stop();
    }
}

impl Served {
    fn new() -> Self {
        Self::keeping(false)
    }

    /// A key that stays plugged in without clients.
    fn keeping(stays: bool) -> Self {
        Self::through(true, move |hub| {
            if stays {
                hub.keep_plugged_in();
            }
        })
    }

    /// A key with one more door, which begins plugged in or not.
    fn through(is_plugged_in: bool, open: impl FnOnce(&mut Hub<'_, '_>) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (ready, is_ready) = mpsc::channel();
        let (told, events) = mpsc::channel();
        thread::spawn(move || {
            let options = KeyOptions { seed: Some(5), ..KeyOptions::workstation() };
            let mut memory = vec![0; options.config.buffer_len()];
            let (mut key, control) = VirtualKey::controlled(&mut memory, options).unwrap();
            if !is_plugged_in {
                control.unplug();
            }
            let mut hub = Hub::new(&mut key).unwrap();
            hub.listen_tcp(listener).unwrap();
            open(&mut hub);
            ready.send(hub.handle()).unwrap();
            hub.run(|event| drop(told.send(event))).unwrap();
        });
        Self { address, hub: is_ready.recv().unwrap(), events }
    }

    fn with_credential() -> Self {
        let served = Self::new();
        served.control().add(TestCredential::es256(RP, USER)).unwrap();
        served
    }

    fn control(&self) -> &Control {
        self.hub.control().unwrap()
    }

    fn page(&self) -> Browser {
        self.hub.browser("https://example.org")
    }

    /// Waits for an event.
    fn wait_for(&self, is_it: impl Fn(&HubEvent) -> bool) {
        while !is_it(&self.events.recv_timeout(Duration::from_secs(10)).expect("no such event")) {}
    }

    fn transport(&self) -> HidTransport<TcpPipe, impl FnMut() -> keyfob_core::Instant> {
        let start = Instant::now();
        let stream = TcpStream::connect(self.address).unwrap();
        HidTransport::new(TcpPipe::new(stream), move || keyfob_core::Instant::default().plus(start.elapsed()), [7; 8])
    }
}

fn discouraged() -> String {
    with(request(), "userVerification", json!("discouraged")).to_string()
}

#[test]
fn a_page_registers_and_signs_in_with_the_key_behind_the_doors() {
    let served = Served::new();
    let (account, _) = register(&served.page().create(creation().to_string()).unwrap()).unwrap();
    let flags = sign_in(&account, &served.page().get(request().to_string()).unwrap()).unwrap();
    assert!(flags.has(Flags::UV));
    let commands: Vec<_> = served.control().history().iter().map(|asked| asked.command).collect();
    assert!(commands.contains(&Command::MAKE_CREDENTIAL) && commands.contains(&Command::GET_ASSERTION));
}

#[test]
fn a_credential_that_is_put_in_while_a_client_is_connected_signs_in() {
    let served = Served::new();
    let mut transport = served.transport();
    transport.open().unwrap();
    assert!(served.page().get(request().to_string()).is_err());
    let held = served.control().add(TestCredential::es256(RP, USER).sign_count(7).backup_state(true)).unwrap();
    let flags = sign_in(&Account::of(&held), &served.page().get(request().to_string()).unwrap()).unwrap();
    assert!(flags.has(Flags::BE) && flags.has(Flags::BS));
    assert_eq!(served.control().credentials()[0].sign_count, 8);
    served.control().remove(&held.credential_id).unwrap();
    assert!(served.page().get(request().to_string()).is_err());
}

#[test]
fn lies_and_forced_answers_reach_the_clients_of_a_door() {
    let served = Served::with_credential();
    let account = Account::of(&served.control().credentials()[0]);
    served.control().lie(Lie::BogusSignature);
    let lie = served.page().get(request().to_string()).unwrap();
    assert_eq!(sign_in(&account, &lie).err(), Some(verify::Error::Signature));
    served.control().tell_the_truth();
    served.control().answer_times(1, Command::GET_ASSERTION, Status::OTHER);
    assert_eq!(failed(served.page().get(request().to_string())).1, Cause::Status(Status::OTHER));
    assert!(sign_in(&account, &served.page().get(request().to_string()).unwrap()).is_ok());
}

#[test]
fn a_store_that_is_told_to_fail_fails_a_registration_and_the_next_one_succeeds() {
    let served = Served::new();
    served.control().fail_write(1);
    assert!(served.page().create(creation().to_string()).is_err());
    assert!(served.control().credentials().is_empty());
    served.page().create(creation().to_string()).unwrap();
}

#[test]
fn a_delay_takes_real_time_and_keep_alives_go_out_meanwhile() {
    let served = Served::with_credential();
    served.control().set_delay(Duration::from_millis(350));
    let start = Instant::now();
    served.page().get(request().to_string()).unwrap();
    let requests = u32::try_from(served.control().history().len()).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(349) * requests, "{requests} in {:?}", start.elapsed());
    let keep_alives = || {
        let is_one = |event: &HubEvent| matches!(event, HubEvent::FromKey(report) if report[4] == 0xBB);
        served.events.try_iter().filter(is_one).count()
    };
    assert!(keep_alives() >= 3 * requests as usize);
    served.control().set_keep_alives(false);
    served.page().get(request().to_string()).unwrap();
    assert_eq!(keep_alives(), 0);
}

#[test]
fn a_key_that_is_unplugged_closes_its_connections_and_takes_none_until_it_is_back() {
    for stays in [true, false] {
        let served = Served::keeping(stays);
        let mut transport = served.transport();
        transport.open().unwrap();
        served.control().unplug();
        served.wait_for(|event| *event == HubEvent::Unplugged);
        assert!(transport.ping(&mut [1; 8], 8).is_err(), "the connection is closed");
        assert!(served.transport().open().is_err(), "and so is the next one");
        assert_eq!(served.page().get(discouraged()), Err(TestError::Unplugged));
        served.control().plug_in();
        // A hub that keeps its key in has it in when it says so. The other one waits for a client.
        if stays {
            served.wait_for(|event| *event == HubEvent::PluggedIn);
        } else {
            thread::sleep(Duration::from_millis(50));
        }
        served.transport().open().unwrap();
    }
}

#[test]
fn a_key_behind_doors_can_be_taken_out_at_each_step() {
    let steps = [
        (Step::Request(Command::GET_INFO), 0),
        (Step::Request(Command::MAKE_CREDENTIAL), 0),
        (Step::Touch, 0),
        (Step::Response(Command::MAKE_CREDENTIAL), 1), // it is done, and the client never knows
    ];
    for (step, credentials) in steps {
        let served = Served::new();
        served.control().unplug_at(step);
        assert_eq!(served.page().create(creation().to_string()), Err(TestError::Unplugged), "{step:?}");
        assert_eq!(served.control().credentials().len(), credentials, "{step:?}");
        served.wait_for(|event| *event == HubEvent::Unplugged);
        served.control().plug_in();
        served.page().create(creation().to_string()).unwrap();
    }
}

#[test]
fn one_touch_answers_the_request_that_waits_and_no_other() {
    let served = Served::with_credential();
    served.control().set_touch(Touch::Never);
    assert_eq!(served.control().touch(true), Err(TestError::NotAsked));
    for consents in [true, false] {
        let page = served.page();
        let signs_in = thread::spawn(move || page.get(discouraged()));
        served.wait_for(|event| matches!(event, HubEvent::TouchAsked { .. }));
        assert!(served.control().waits_for_user());
        // Without an allow list the user is verified first, and touches the key once.
        served.control().touch(consents).unwrap();
        assert_eq!(signs_in.join().unwrap().is_ok(), consents);
        assert_eq!(served.control().touch(true), Err(TestError::NotAsked));
    }
}

#[test]
fn a_jump_of_the_clock_ends_the_users_time_at_once() {
    let served = Served::with_credential();
    served.control().set_touch(Touch::Never);
    let page = served.page();
    let start = Instant::now();
    let signs_in = thread::spawn(move || page.get(discouraged()));
    served.wait_for(|event| matches!(event, HubEvent::TouchAsked { .. }));
    served.control().advance(Duration::from_secs(31));
    assert_eq!(failed(signs_in.join().unwrap()).0, ErrorCode::Timeout);
    served.control().jump_at(Step::Touch, Duration::from_secs(31));
    assert_eq!(failed(served.page().get(discouraged())).0, ErrorCode::Timeout);
    assert!(start.elapsed() < Duration::from_secs(10));
}

/// The times are far over those of the test, which would not see its end otherwise.
#[test]
fn a_touch_after_a_time_comes_when_the_test_lets_it_pass() {
    let served = Served::with_credential();
    served.control().set_touch(Touch::After(Duration::from_secs(25)));
    let start = Instant::now();
    let page = served.page();
    let signs_in = thread::spawn(move || page.get(discouraged()));
    served.wait_for(|event| matches!(event, HubEvent::TouchAsked { .. }));
    served.control().advance(Duration::from_secs(20));
    thread::sleep(Duration::from_millis(100));
    assert!(served.control().waits_for_user(), "5 s are left");
    served.control().advance(Duration::from_secs(5));
    signs_in.join().unwrap().unwrap();
    served.control().jump_at(Step::Touch, Duration::from_secs(25));
    served.page().get(discouraged()).unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
    // One who waits already has waited since it asked.
    served.control().set_touch(Touch::Never);
    served.events.try_iter().for_each(drop);
    let page = served.page();
    let signs_in = thread::spawn(move || page.get(discouraged()));
    served.wait_for(|event| matches!(event, HubEvent::TouchAsked { .. }));
    served.control().advance(Duration::from_secs(20));
    served.control().set_touch(Touch::After(Duration::from_secs(20)));
    signs_in.join().unwrap().unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
    // Without the test, time passes by itself.
    served.control().set_touch(Touch::After(Duration::from_millis(300)));
    let start = Instant::now();
    served.page().get(discouraged()).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(299));
}

#[test]
fn a_user_who_is_not_verified_makes_ceremonies_fail_until_they_are() {
    let served = Served::with_credential();
    served.control().set_user_verified(false);
    let required = with(request(), "userVerification", json!("required")).to_string();
    for _ in 0..6 {
        assert!(served.page().get(required.clone()).is_err());
    }
    served.control().set_user_verified(true);
    served.page().get(required).unwrap();
}

/// The engine has found it and waits for the touch.
#[test]
fn a_credential_that_is_removed_while_its_request_waits_does_not_sign() {
    let served = Served::with_credential();
    served.control().set_touch(Touch::Never);
    let page = served.page();
    let id = served.control().credentials()[0].credential_id.clone();
    let options = with(request_of(&[&id]), "userVerification", json!("discouraged")).to_string();
    let signs_in = thread::spawn(move || page.get(options));
    served.wait_for(|event| matches!(event, HubEvent::TouchAsked { .. }));
    served.control().remove(&id).unwrap();
    served.control().touch(true).unwrap();
    let failed = failed(signs_in.join().unwrap());
    assert!(matches!(failed.1, Cause::Status(_)), "{failed:?}");
}

/// A socket of packets plays the kernel: one event in each.
#[cfg(target_os = "linux")]
#[test]
fn a_hid_device_goes_with_the_key_and_comes_back_with_it() {
    use std::{fs::File, io::Read, os::fd::OwnedFd};

    use keyfob_soft_authenticator::devices::uhid::{EVENT_LEN, create, destroy};
    use socket2::{Domain, Socket, Type};

    for is_plugged_in in [true, false] {
        let (device, mut kernel) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None).unwrap();
        device.set_nonblocking(true).unwrap();
        let device = File::from(OwnedFd::from(device));
        let served = Served::through(is_plugged_in, move |hub| hub.attach_uhid(device).unwrap());
        let mut next = |millis| {
            kernel.set_read_timeout(Some(Duration::from_millis(millis))).unwrap();
            let mut event = vec![0; EVENT_LEN];
            kernel.read(&mut event).map(|len| event[..len].to_vec())
        };
        assert_eq!(next(5000).unwrap(), create());
        if is_plugged_in {
            served.control().unplug();
        }
        assert_eq!(next(5000).unwrap(), destroy());
        assert!(next(100).is_err(), "it stays away");
        served.control().plug_in();
        assert_eq!(next(5000).unwrap(), create());
        served.hub.replug();
        assert_eq!((next(5000).unwrap(), next(5000).unwrap()), (destroy().to_vec(), create()));
    }
}

/// A card in a reader has the same verbs.
#[test]
fn a_card_answers_late_otherwise_or_not_at_all() {
    const GET_INFO: [u8; 7] = [0x80, 0x10, 0x00, 0, 1, 0x04, 0];
    let options = KeyOptions { seed: Some(5), ..KeyOptions::workstation() };
    let mut memory = vec![0; options.config.buffer_len()];
    let (mut key, control) = VirtualKey::controlled(&mut memory, options).unwrap();
    key.enter_field().unwrap();
    let mut ask = |command: &[u8]| {
        key.receive_apdu(command);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(1) {
            key.work();
            if let Some(response) = key.transmit_apdu() {
                return Some(response);
            }
        }
        None
    };
    ask(b"\x00\xA4\x04\x00\x08\xA0\x00\x00\x06\x47\x2F\x00\x01\x00").expect("it is selected");
    control.answer_times(1, Command::GET_INFO, Status::OTHER);
    assert_eq!(ask(&GET_INFO).unwrap(), [Status::OTHER.0, 0x90, 0]);
    control.set_delay(Duration::from_millis(150));
    let start = Instant::now();
    assert_eq!(ask(&GET_INFO).unwrap()[0], 0);
    // The key's clock counts whole milliseconds.
    assert!(start.elapsed() >= Duration::from_millis(149));
    control.set_delay(Duration::ZERO);
    control.unplug_at(Step::Response(Command::GET_INFO));
    assert_eq!(ask(&GET_INFO), None);
    assert!(!control.is_plugged_in());
    assert_eq!(ask(&GET_INFO), None);
    assert_eq!(control.history().len(), 3, "what is unplugged is asked nothing");
}

/// One packet of CTAPHID.
fn packet(channel: [u8; 4], command: u8, payload: &[u8]) -> [u8; 64] {
    let header = [command | 0x80, 0, u8::try_from(payload.len()).unwrap()];
    let mut report = [&channel[..], &header, payload].concat();
    report.resize(64, 0);
    report.try_into().unwrap()
}

#[test]
fn what_another_client_sends_neither_shortens_a_delay_nor_gets_its_keep_alives() {
    let options = KeyOptions { seed: Some(5), ..KeyOptions::workstation() };
    let mut memory = vec![0; options.config.buffer_len()];
    let (mut key, control) = VirtualKey::controlled(&mut memory, options).unwrap();
    let mut open = || {
        key.receive(&packet([0xFF; 4], 0x06, b"a nonce!"));
        let answer = key.transmit().unwrap();
        <[u8; 4]>::try_from(&answer[15..19]).unwrap()
    };
    let [ours, other] = [open(), open()];
    control.set_delay(Duration::from_millis(300));
    let start = Instant::now();
    key.receive(&packet(ours, 0x10, &[4])); // getInfo
    key.receive(&packet(other, 0x10, &[4]));
    key.receive(&packet(other, 0x11, b"")); // CANCEL
    let mut keep_alives = 0;
    loop {
        key.work();
        match key.transmit() {
            Some(report) if report[4] == 0xBB => {
                assert_eq!(report[..4], ours);
                keep_alives += 1;
            }
            Some(report) if report[..4] == ours => break,
            _ => assert!(start.elapsed() < Duration::from_secs(5)),
        }
    }
    assert!(
        start.elapsed() >= Duration::from_millis(299) && keep_alives >= 2,
        "{keep_alives} in {:?}",
        start.elapsed()
    );
}
