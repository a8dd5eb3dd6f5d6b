//! The authenticator over a front that an interrupt shares: what the interrupt receives while the engine computes is
//! about the request of that time, and of no other.

use std::{cell::RefCell, rc::Rc, time::Duration};

use keyfob_core::{
    Instant, Status,
    ctap2::Command,
    transport::hid::{DeviceConfig, Front, HidCommand, Packet, REPORT_LEN},
};
use keyfob_soft_authenticator::{
    engine::Wait,
    hid::{FrontLock, HidAuthenticator, SharedFront},
};

use super::harness::*;

const CHANNEL: u32 = 1;

#[derive(Clone)]
struct Lock(Rc<RefCell<Front>>);

impl FrontLock for Lock {
    fn lock<R>(&self, work: impl FnOnce(&mut Front) -> R) -> R {
        work(&mut self.0.borrow_mut())
    }
}

struct Two {
    key: HidAuthenticator<'static, Bench, SharedFront<Lock>>,
    front: Lock,
    now: Instant,
}

impl Two {
    fn new() -> Self {
        let key = Key::new();
        let device = HidAuthenticator::device(&key.engine, DeviceConfig::default());
        let front = Lock(Rc::new(RefCell::new(Front::new(device))));
        let mut two = Self { key: HidAuthenticator::over(SharedFront(front.clone()), key.engine), front, now: key.now };
        two.interrupt(Packet::Initialization { channel: !0, command: HidCommand::INIT, len: 8, data: &[1; 8] });
        assert!(two.sent().is_some());
        two
    }

    /// The interrupt receives a packet.
    fn interrupt(&mut self, packet: Packet<'_>) {
        assert!(self.front.lock(|front| front.receive(self.now, &packet.report())));
    }

    fn send(&mut self, command: HidCommand, message: &[u8]) {
        let len = message.len() as u16;
        self.interrupt(Packet::Initialization { channel: CHANNEL, command, len, data: message });
        let rest = message.get(57..).unwrap_or_default();
        for (sequence, data) in (0..).zip(rest.chunks(59)) {
            self.interrupt(Packet::Continuation { channel: CHANNEL, sequence, data });
        }
    }

    /// The interrupt sends a report.
    fn sent(&mut self) -> Option<[u8; REPORT_LEN]> {
        self.front.lock(|front| front.transmit(self.now))
    }

    /// The thread works, and the interrupt sends, until the request is answered. Returns the status.
    fn answer(&mut self) -> Option<Status> {
        let mut status = None;
        for _ in 0..1_000 {
            if self.key.waits_for() == Some(Wait::Touch) {
                self.key.touch(self.now, true);
            }
            self.key.turn(self.now);
            while let Some(report) = self.sent() {
                if let Packet::Initialization { channel: CHANNEL, command: HidCommand::CBOR, data, .. } =
                    Packet::parse(&report)
                {
                    status = data.first().copied().map(Status);
                }
            }
            if status.is_some() && !self.front.lock(|front| front.is_busy()) {
                return status;
            }
            self.now = self.now.plus(Duration::from_millis(1));
        }
        None
    }

    /// A registration that the thread has begun and that is not finished.
    fn pending(&mut self) {
        self.send(HidCommand::CBOR, &message(Command::MAKE_CREDENTIAL, &registration(b"u")));
        self.key.turn(self.now);
        assert!(self.key.waits_for().is_some());
    }
}

#[test]
fn a_request_is_answered_whole_over_both_halves() {
    let mut two = Two::new();
    two.pending();
    assert_eq!(two.answer(), Some(Status::OK));
    two.send(HidCommand::CBOR, &[0x04]);
    assert_eq!(two.answer(), Some(Status::OK));
}

#[test]
fn a_request_behind_an_init_is_not_given_up_for_the_one_before_it() {
    let mut two = Two::new();
    two.pending();
    two.send(HidCommand::INIT, &[2; 8]);
    two.send(HidCommand::CBOR, &message(Command::MAKE_CREDENTIAL, &registration(b"v")));
    assert_eq!(two.answer(), Some(Status::OK));
}

#[test]
fn a_cancel_that_came_too_late_does_not_cancel_the_next_request() {
    let mut two = Two::new();
    two.pending();
    // The interrupt takes it while the thread computes the answer; the thread's next turn finds it.
    let front = two.front.clone();
    two.key.touch(two.now, true);
    while two.key.waits_for() == Some(Wait::Processing) {
        let cancel = Packet::Initialization { channel: CHANNEL, command: HidCommand::CANCEL, len: 0, data: &[] };
        assert!(front.lock(|front| front.receive(two.now, &cancel.report())));
        two.key.tick(two.now);
    }
    assert_eq!(two.answer(), Some(Status::OK), "the registration was finished");
    two.send(HidCommand::CBOR, &message(Command::MAKE_CREDENTIAL, &registration(b"v")));
    assert_eq!(two.answer(), Some(Status::OK));
}

#[test]
fn a_cancel_in_time_is_acted_on_at_the_next_turn() {
    let mut two = Two::new();
    two.pending();
    two.send(HidCommand::CANCEL, &[]);
    two.key.turn(two.now);
    assert_eq!(two.answer(), Some(Status::KEEPALIVE_CANCEL));
}
