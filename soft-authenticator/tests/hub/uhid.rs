//! The key as a HID device of Linux. A socket of packets plays the kernel: one event in each packet, as in each call on
//! `/dev/uhid`.

use std::{fs::File, os::fd::OwnedFd};

use keyfob_core::transport::hid::REPORT_DESCRIPTOR;
use keyfob_soft_authenticator::devices::uhid::{self, EVENT_LEN, Error, Event};
use proptest::prelude::*;
use socket2::{Domain, Socket, Type};

use super::*;

/// An event with these bytes at these places, as long as the kernel writes them.
fn event(kind: u32, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut event = vec![0; EVENT_LEN];
    event[..4].copy_from_slice(&kind.to_ne_bytes());
    for (at, part) in parts {
        event[*at..at + part.len()].copy_from_slice(part);
    }
    event
}

/// What a program wrote to the hidraw device, which begins with the report id. `data` is at 4, `size` at 4100 and
/// `rtype` at 4102.
fn output(data: &[u8]) -> Vec<u8> {
    event(6, &[(4, data), (4100, &(data.len() as u16).to_ne_bytes()), (4102, &[1])])
}

struct Kernel(Socket);

impl Kernel {
    /// A key whose device is this kernel's.
    fn new() -> (Self, HubHandle, Events) {
        Self::with_touch(Touch::Auto)
    }

    fn with_touch(touch: Touch) -> (Self, HubHandle, Events) {
        let (device, kernel) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None).unwrap();
        device.set_nonblocking(true).unwrap();
        kernel.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        kernel.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        let device = File::from(OwnedFd::from(device));
        let (handle, events, _) = hub(Config::new([0xAA; 16]), touch, move |hub| hub.attach_uhid(device).unwrap());
        let mut kernel = Self(kernel);
        assert_eq!(kernel.read(), uhid::create());
        kernel.write(&event(2, &[]));
        (kernel, handle, events)
    }

    fn write(&mut self, event: &[u8]) {
        assert_eq!(self.0.write(event).unwrap(), event.len());
    }

    fn read(&mut self) -> Vec<u8> {
        let mut event = vec![0; EVENT_LEN];
        let len = self.0.read(&mut event).unwrap();
        event.truncate(len);
        event
    }

    /// A program opens the device and gets a channel.
    fn open(&mut self) -> [u8; 4] {
        self.write(&event(4, &[]));
        self.write(&output(&[&[0][..], &init(1)].concat()));
        self.report()[15..19].try_into().unwrap()
    }

    /// The next report of the key: `size` is at 4, `data` at 6.
    fn report(&mut self) -> [u8; REPORT_LEN] {
        let event = self.read();
        assert_eq!(event[..6], [&12u32.to_ne_bytes()[..], &64u16.to_ne_bytes()].concat());
        event[6..].try_into().unwrap()
    }
}

/// The places are those that the C compiler gives the members of `struct uhid_event` in `linux/uhid.h`.
#[test]
fn the_device_is_made_with_the_members_where_the_kernel_reads_them() {
    let made = uhid::create();
    let number = |at: usize| u32::from_ne_bytes(made[at..at + 4].try_into().unwrap());
    let short = |at: usize| u16::from_ne_bytes(made[at..at + 2].try_into().unwrap());
    assert_eq!(number(0), 11, "UHID_CREATE2");
    assert_eq!(made[4..32], *b"keyfob virtual security key\0", "name");
    assert_eq!((made[131], made[195], made[259]), (0, 0, 0), "name, phys and uniq end with a zero");
    assert_eq!((short(260), short(262)), (REPORT_DESCRIPTOR.len() as u16, 3), "rd_size, bus");
    assert_eq!([264, 268, 272, 276].map(number), [0x1209, 0xF1D0, 0x0100, 0], "vendor, product, version, country");
    assert_eq!(made[280..], REPORT_DESCRIPTOR, "rd_data");
    assert_eq!((EVENT_LEN, uhid::destroy()), (4380, 1u32.to_ne_bytes()));
}

#[test]
fn programs_open_the_device_exchange_reports_and_close_it_and_the_key_stays_plugged_in() {
    let (mut kernel, handle, events) = Kernel::new();
    use HubEvent::{Closed, Opened, PluggedIn, Unplugged};
    kernel.write(&event(4, &[]));
    assert_eq!(noted(&events, 2), [PluggedIn, Opened(Peer::Uhid)]);
    for ignored in [&init(9)[..], &[&[1][..], &init(9)].concat(), &[0; 70], &[]] {
        kernel.write(&output(ignored)); // another report id, another length
    }
    kernel.write(&event(99, &[])); // of a kernel to come
    kernel.write(&output(&[&[0][..], &init(1)].concat()));
    assert_eq!(kernel.report()[7..15], [1; 8]);
    kernel.write(&event(9, &[(4, &7u32.to_ne_bytes())])); // GET_REPORT: id at 4
    assert_eq!(kernel.read(), [&10u32.to_ne_bytes()[..], &7u32.to_ne_bytes(), &5u16.to_ne_bytes(), &[0, 0]].concat());
    kernel.write(&event(13, &[(4, &8u32.to_ne_bytes())])); // SET_REPORT
    assert_eq!(kernel.read(), [&14u32.to_ne_bytes()[..], &8u32.to_ne_bytes(), &5u16.to_ne_bytes()].concat());
    kernel.write(&event(5, &[]));
    assert_eq!(noted(&events, 3)[2], Closed(Peer::Uhid));
    kernel.write(&event(4, &[]));
    assert_eq!(noted(&events, 4)[3], Opened(Peer::Uhid), "not unplugged in between");
    handle.replug();
    assert_eq!(kernel.read(), uhid::destroy());
    assert_eq!(kernel.read(), uhid::create());
    assert_eq!(noted(&events, 7)[4..], [Closed(Peer::Uhid), Unplugged, PluggedIn]);
    kernel.write(&event(5, &[])); // of the device that is gone
    kernel.write(&event(3, &[]));
    kernel.write(&event(2, &[]));
    kernel.write(&event(4, &[]));
    assert_eq!(noted(&events, 8)[7..], [Opened(Peer::Uhid)]);
}

#[test]
fn what_was_written_to_a_device_that_is_gone_is_not_answered_on_the_next() {
    let (mut kernel, handle, _) = Kernel::new();
    kernel.open();
    handle.replug();
    assert_eq!([kernel.read(), kernel.read()], [uhid::destroy().to_vec(), uhid::create()]);
    // The kernel has kept these: another program opened the device, wrote, and closed it.
    for old in [event(4, &[]), output(&[&[0][..], &init(3)].concat()), event(5, &[]), event(3, &[])] {
        kernel.write(&old);
    }
    for new in [event(2, &[]), event(4, &[]), output(&[&[0][..], &init(2)].concat())] {
        kernel.write(&new);
    }
    assert_eq!(kernel.report()[7..15], [2; 8]);
}

/// hidraw keeps 64 reports and drops the rest: this answer has 129.
#[test]
fn reports_leave_one_per_millisecond() {
    let (mut kernel, _, _) = Kernel::new();
    let channel = kernel.open();
    for packet in 0..129u8 {
        let mut report = [packet; 1 + REPORT_LEN];
        report[0] = 0;
        report[1..5].copy_from_slice(&channel);
        match packet {
            0 => report[5..8].copy_from_slice(&[0x81, (MAX_MESSAGE >> 8) as u8, MAX_MESSAGE as u8]),
            _ => report[5] = packet - 1,
        }
        kernel.write(&output(&report));
    }
    let times: Vec<Instant> = (0..129).map(|_| (kernel.report(), Instant::now()).1).collect();
    let whole = times[128] - times[0];
    assert!(whole >= Duration::from_millis(120), "{whole:?}");
    assert!(whole < Duration::from_millis(1_000), "{whole:?}");
}

/// The kernel keeps 32 events and drops the rest. The socket that plays it keeps few more, and the hub 1,024.
#[test]
fn what_programs_write_is_read_while_the_key_is_busy_and_the_last_is_not_lost() {
    let (end, ended) = std::sync::mpsc::channel();
    let touch = Touch::Ask(Box::new(move |_| ended.recv_timeout(Duration::from_secs(20)).ok()));
    let (mut kernel, _, _) = Kernel::with_touch(touch);
    let channel = kernel.open();
    let mut report = [0; 1 + REPORT_LEN];
    report[1..5].copy_from_slice(&channel);
    report[5..9].copy_from_slice(&[0x90, 0, 1, Command::SELECTION.0]);
    kernel.write(&output(&report));
    report[5] = 0; // belongs to no message
    for _ in 0..3_000 {
        kernel.write(&output(&report));
    }
    kernel.write(&output(&[&[0][..], &init(2)].concat()));
    end.send(true).unwrap();
    let mut answers = std::iter::repeat_with(|| kernel.report()).filter(|report| report[4] != 0xBB);
    let mut answers = [answers.next().unwrap(), answers.next().unwrap()];
    answers.sort_by_key(|report| report[4] == 0x86);
    assert_eq!(answers[0][..8], [&channel[..], &[0x90, 0, 1, 0]].concat());
    assert_eq!(answers[1][7..15], [2; 8]);
}

/// The answers leave one per millisecond.
#[test]
fn a_program_that_asks_for_more_answers_than_fit_does_not_lose_those_of_the_next() {
    let (mut kernel, _, _) = Kernel::new();
    let channel = kernel.open();
    let mut ping = [0; 1 + REPORT_LEN];
    ping[1..5].copy_from_slice(&channel);
    ping[5..8].copy_from_slice(&[0x81, 0, 1]);
    for _ in 0..2_000 {
        kernel.write(&output(&ping));
    }
    kernel.write(&output(&[&[0][..], &init(2)].concat()));
    let is_answered = std::iter::repeat_with(|| kernel.report()).take(2_001).any(|report| report[7..15] == [2; 8]);
    assert!(is_answered);
}

#[test]
fn the_device_goes_with_the_hub() {
    let (mut kernel, handle, _) = Kernel::new();
    kernel.open();
    handle.stop();
    assert_eq!(kernel.read(), uhid::destroy());
    assert_eq!(kernel.read(), [], "nothing has the device open");
}

proptest! {
    #[test]
    fn what_a_program_wrote_is_read_as_it_was_written(data in prop::collection::vec(any::<u8>(), 0..=4096)) {
        let written = output(&data);
        prop_assert_eq!(Event::parse(&written), Ok(Event::Output(&data)));
    }

    #[test]
    fn any_bytes_are_an_event_or_an_error(kind in 0..16u32, rest in prop::collection::vec(any::<u8>(), 0..5000)) {
        let bytes = [&kind.to_ne_bytes()[..], &rest].concat();
        match Event::parse(&bytes) {
            Ok(Event::Output(data)) => prop_assert!(data.len() <= 4096 && bytes.len() > 4101),
            Err(Error::Short { len }) => prop_assert!(len == bytes.len() && len < 4102),
            Err(Error::Size(size)) => prop_assert!(size > 4096),
            _ => {}
        }
    }
}
