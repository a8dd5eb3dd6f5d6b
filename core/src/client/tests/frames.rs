//! Every report of every answer in a ceremony over CTAPHID: lost, doubled, the last of its message, or behind those of
//! a foreign channel. A typed error or the result, in time, and the next ceremony on the same channel works.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    time::Duration,
};

use super::{
    extensions::{GetExtensions, MakeExtensions, PrfInput},
    *,
};
use crate::{
    Instant,
    transport::{
        ReportIo,
        hid::{self, DeviceConfig, DeviceEvent, HidTransport},
    },
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Lost,
    Doubled,
    /// Those behind it in the message are lost.
    Cut,
    /// A message of another channel comes first, and never ends.
    Foreign,
}

/// The small authenticator at the end of a pipe.
struct Pipe {
    hid: hid::Device,
    buffer: Vec<u8>,
    key: Device<StubCrypto>,
    now: Rc<Cell<u64>>,
    reports: VecDeque<[u8; 64]>,
    sent: usize,
    /// What happens to the report with this index.
    fault: Option<(usize, Fault)>,
    /// After so many reads, every read brings this report, a millisecond later.
    flood: Option<(usize, [u8; 64])>,
}

impl Pipe {
    /// Passes on what the authenticator has to send.
    fn pass(&mut self) {
        let mut cut = false;
        while let Some(report) = self.hid.transmit(at(self.now.get()), &self.buffer) {
            let fault = self.fault.filter(|(index, _)| *index == self.sent).map(|(_, fault)| fault);
            self.sent += 1;
            if fault == Some(Fault::Foreign) {
                let mut foreign = report;
                foreign[3] ^= 0x55;
                (foreign[4], foreign[5]) = (0x90, 1); // CBOR, of 256 bytes and more
                self.reports.push_back(foreign);
                foreign[4] = 0;
                self.reports.push_back(foreign);
            }
            if !cut && fault != Some(Fault::Lost) {
                self.reports.push_back(report);
            }
            if fault == Some(Fault::Doubled) {
                self.reports.push_back(report);
            }
            cut |= fault == Some(Fault::Cut);
        }
    }
}

impl ReportIo for Rc<RefCell<Pipe>> {
    type Error = ();

    fn write(&mut self, report: &[u8; 64]) -> Result<(), ()> {
        let mut pipe = self.borrow_mut();
        let Pipe { hid, buffer, key, now, .. } = &mut *pipe;
        if let Some(DeviceEvent::Request { len, .. }) = hid.receive(at(now.get()), report, buffer) {
            let response = key.answer(&buffer[..len]);
            buffer[..response.len()].copy_from_slice(&response);
            hid.respond(response.len());
        }
        pipe.pass();
        Ok(())
    }

    fn read(&mut self, wait: Duration) -> Result<Option<[u8; 64]>, ()> {
        let mut pipe = self.borrow_mut();
        if let Some((reads, report)) = &mut pipe.flood {
            if *reads == 0 {
                let report = *report;
                pipe.now.set(pipe.now.get() + 1);
                return Ok(Some(report));
            }
            *reads -= 1;
        }
        let report = pipe.reports.pop_front();
        if report.is_none() {
            pipe.now.set(pipe.now.get() + wait.as_millis() as u64);
        }
        Ok(report)
    }
}

const PRF: PrfInput<'static> = PrfInput { first: b"one", second: Some(b"two") };

/// The channel to a small authenticator, and its other end.
struct Bench {
    transport: HidTransport<Rc<RefCell<Pipe>>, Box<dyn FnMut() -> Instant>>,
    pipe: Rc<RefCell<Pipe>>,
    now: Rc<Cell<u64>>,
}

type Run = fn(&mut Bench) -> Result<(), Cause>;

impl Bench {
    fn new(fault: Option<(usize, Fault)>) -> Self {
        let mut key = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
        (key.padding, key.max_list) = (100, Some(2));
        let now = key.now.clone();
        let (hid, buffer) = (hid::Device::new(DeviceConfig::default()), vec![0; 2048]);
        let pipe = Pipe { hid, buffer, key, now: now.clone(), reports: VecDeque::new(), sent: 0, fault, flood: None };
        let (pipe, clock) = (Rc::new(RefCell::new(pipe)), now.clone());
        let transport = HidTransport::new(pipe.clone(), Box::new(move || at(clock.get())) as Box<_>, [7; 8]);
        Self { transport, pipe, now }
    }

    /// The same, but every read after `reads` brings this report.
    fn flooded(reads: usize, report: [u8; 64]) -> Self {
        let bench = Self::new(None);
        bench.pipe.borrow_mut().flood = Some((reads, report));
        bench
    }

    /// Runs a ceremony for a user who knows the PIN.
    fn run<'b, O: Operation>(
        &mut self,
        ceremony: Ceremony<'b, O, StubCrypto, rand_chacha::ChaCha8Rng>,
    ) -> Result<(), Cause> {
        let mut user = User::with_pins([PIN, PIN]);
        let result = run(ceremony, &mut self.transport, &mut user, || at(self.now.get()));
        result.map(drop).map_err(|error| error.cause)
    }
}

fn register(bench: &mut Bench) -> Result<(), Cause> {
    let list = [CredentialDescriptor::new(b"one"), CredentialDescriptor::new(b"two"), CredentialDescriptor::new(b"3")];
    let extensions = MakeExtensions { prf: Some(Some(PRF)), ..MakeExtensions::NONE };
    let options = MakeOptions { exclude_list: List::Slice(&list), extensions, ..make_options() };
    bench.run(Ceremony::new(MakeCredential::new(&options), &mut [0; 1024], StubCrypto, rng()))
}

fn sign_in(bench: &mut Bench) -> Result<(), Cause> {
    let list = [CredentialDescriptor::new(b"one"), CredentialDescriptor::new(b"two"), CredentialDescriptor::new(ID)];
    let extensions = GetExtensions { prf: Some(PRF), ..GetExtensions::NONE };
    let options = GetOptions { allow_list: List::Slice(&list), extensions, ..get_options() };
    bench.run(Ceremony::new(GetAssertion::new(&options), &mut [0; 1024], StubCrypto, rng()))
}

#[test]
fn a_response_that_is_longer_than_the_buffer_says_what_it_takes_and_the_next_ceremony_works() {
    let mut bench = Bench::new(None);
    bench.pipe.borrow_mut().key.padding = 1100;
    let result = sign_in(&mut bench);
    let needed = bench.pipe.borrow().key.responses.last().unwrap().len();
    assert_eq!((result, needed > 1024), (Err(Cause::BufferTooSmall { needed }), true));
    bench.pipe.borrow_mut().key.padding = 100;
    assert_eq!(sign_in(&mut bench), Ok(()));
    // The first of several is kept; the next has less room.
    bench.pipe.borrow_mut().key.padding = 600;
    bench.pipe.borrow_mut().key.credentials = vec![b"one".to_vec(), b"two".to_vec()];
    let options = get_options();
    assert_eq!(bench.run(Ceremony::new(GetAssertion::new(&options), &mut [0; 1024], StubCrypto, rng())), Ok(()));
}

#[test]
fn whatever_becomes_of_a_report_the_ceremony_ends_in_time_and_the_next_one_works() {
    let mut failed = 0;
    for ceremony in [register as Run, sign_in] {
        let mut undisturbed = Bench::new(None);
        ceremony(&mut undisturbed).unwrap();
        let reports = undisturbed.pipe.borrow().sent;
        for index in 0..reports {
            for fault in [Fault::Lost, Fault::Doubled, Fault::Cut, Fault::Foreign] {
                let mut bench = Bench::new(Some((index, fault)));
                let result = ceremony(&mut bench);
                match fault {
                    Fault::Lost => assert_eq!(result, Err(Cause::Transport), "{index}"),
                    Fault::Foreign => assert_eq!(result, Ok(()), "{index}"),
                    Fault::Doubled | Fault::Cut => assert!(matches!(result, Ok(()) | Err(Cause::Transport)), "{index}"),
                }
                failed += usize::from(result.is_err());
                // An authenticator that says nothing is given 10 s.
                assert!(bench.now.get() <= 10_500, "{index} {fault:?}: {} ms", bench.now.get());
                assert_eq!(ceremony(&mut bench), Ok(()), "after report {index} {fault:?}");
            }
        }
    }
    assert!(failed > 50, "{failed}");
}

/// U2F, for a key of which it is known that it speaks nothing else.
fn register_over_u2f(bench: &mut Bench) -> Result<(), Cause> {
    bench.run(Ceremony::new(MakeCredential::new(&make_options()), &mut [0; 1024], StubCrypto, rng()).over_ctap1())
}

#[test]
fn a_flood_of_reports_ends_the_ceremony_in_time_and_the_next_one_works() {
    // A message of another channel that never ends; keep-alives of this one; packets of this one that belong to
    // nothing.
    let foreign = hid::Packet::Continuation { channel: 9, sequence: 0, data: &[] }.report();
    let keep_alive =
        hid::Packet::Initialization { channel: 1, command: hid::HidCommand::KEEPALIVE, len: 1, data: &[2] };
    let stray = hid::Packet::Continuation { channel: 1, sequence: 9, data: &[] }.report();
    // The small authenticator does not know U2F, and says so at the third read.
    for (ceremony, most_reads) in [(register as Run, 12), (sign_in, 12), (register_over_u2f, 3)] {
        for flood in [foreign, keep_alive.report(), stray] {
            for reads in 0..most_reads {
                let mut bench = Bench::flooded(reads, flood);
                let result = ceremony(&mut bench);
                assert!(matches!(result, Err(Cause::Transport | Cause::Timeout)), "{reads}: {result:?}");
                // The ceremony's own limit, and the answer to its cancellation.
                let limit = DEFAULT_TIMEOUT.as_millis() as u64 + 3_500;
                assert!(bench.now.get() <= limit, "{reads}: {} ms", bench.now.get());
                bench.pipe.borrow_mut().flood = None;
                bench.pipe.borrow_mut().reports.clear();
                assert_eq!(register(&mut bench), Ok(()), "{reads}");
            }
        }
    }
}
