//! The host on the other side of USB: requests, what disturbs them, and when the answers come.

use keyfob_core::{
    Status,
    cbor::List,
    cose::Algorithm,
    ctap2::{
        Command, CommandOptions, CredentialParameters, RpEntity, UserEntity, client_pin, encode_request, get_assertion,
        make_credential,
    },
    transport::hid::{BROADCAST, HidCommand, HidErrorCode, Packet, REPORT_LEN},
};
use semihosting::println;

type Report = [u8; REPORT_LEN];

/// The longest pause between two reports while a request is pending, in milliseconds (CTAP 2.3 §11.2.9.1.6).
const LONGEST_PAUSE: u64 = 100;
/// How long the answer to a disturbance may take, in milliseconds.
const AT_ONCE: u64 = 3;
/// How long a step may take, in milliseconds.
const LONGEST_STEP: u64 = 10_000;
/// How long after its first keep-alive a request is disturbed, and how often, in milliseconds: less than a scalar multiplication takes.
const DISTURBED: u64 = 23;
const CHANNEL: u32 = 1;
const OTHER: u32 = 2;

/// What the client does, one step after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Register,
    Cancel,
    Abort,
    SignIn,
    KeyAgreement,
}

const STEPS: [Step; 5] = [Step::Register, Step::Cancel, Step::Abort, Step::SignIn, Step::KeyAgreement];

/// A message of one packet, and the command and the byte that answer it.
#[derive(Clone, Copy)]
struct Disturbance {
    channel: u32,
    command: HidCommand,
    answer: (HidCommand, Option<u8>),
}

const BUSY: (HidCommand, Option<u8>) = (HidCommand::ERROR, Some(HidErrorCode::CHANNEL_BUSY.0));
/// What others send while a request is pending.
const OTHERS: [Disturbance; 3] = [
    Disturbance { channel: OTHER, command: HidCommand::PING, answer: BUSY },
    Disturbance { channel: BROADCAST, command: HidCommand::INIT, answer: (HidCommand::INIT, None) },
    Disturbance { channel: OTHER, command: HidCommand::CBOR, answer: BUSY },
];

/// A step under way. Times are in milliseconds.
struct Running {
    step: Step,
    began: u64,
    request: [u8; 256],
    len: usize,
    /// Packets of the request that were sent.
    packets: u8,
    /// When the request was complete, when its first keep-alive came, and when the last report for it.
    asked: Option<u64>,
    pending: Option<u64>,
    last: u64,
    longest_pause: u64,
    /// Bytes of the answer that are still to come.
    left: Option<usize>,
    status: Option<Status>,
    disturbance: Option<(Disturbance, u64)>,
    disturbances: u64,
    slowest: u64,
}

/// The host.
pub struct Host {
    /// Channels that were asked for.
    channels: u32,
    steps: usize,
    running: Option<Running>,
    offers_disturbance: bool,
    result: Option<Result<(), &'static str>>,
}

impl Running {
    fn new(step: Step, now: u64) -> Self {
        let mut request = [0; 256];
        let len = encode(step, &mut request);
        Self {
            step,
            began: now,
            request,
            len,
            packets: 0,
            asked: None,
            pending: None,
            last: now,
            longest_pause: 0,
            left: None,
            status: None,
            disturbance: None,
            disturbances: 0,
            slowest: 0,
        }
    }

    /// What is sent in the middle of the request.
    fn disturb(&self, now: u64) -> Option<Disturbance> {
        let pending = self.pending.filter(|_| self.left.is_none() && self.disturbance.is_none())?;
        if now < pending + DISTURBED * (self.disturbances + 1) {
            return None;
        }
        let own = |command, answer| Disturbance { channel: CHANNEL, command, answer };
        match (self.step, self.disturbances) {
            (Step::Cancel, 2) => Some(own(HidCommand::CANCEL, (HidCommand::CBOR, Some(Status::KEEPALIVE_CANCEL.0)))),
            (Step::Abort, 2) => Some(own(HidCommand::INIT, (HidCommand::INIT, None))),
            (Step::Cancel | Step::Abort, 3..) => None,
            (_, count) => OTHERS.get(count as usize % OTHERS.len()).copied(),
        }
    }

    fn report(&self) -> Option<Report> {
        let message = &self.request[..self.len];
        let packet = match self.packets.checked_sub(1) {
            None => Packet::Initialization {
                channel: CHANNEL,
                command: HidCommand::CBOR,
                len: self.len as u16,
                data: message,
            },
            Some(sequence) => {
                let data = message.get(57 + 59 * usize::from(sequence)..).filter(|data| !data.is_empty())?;
                Packet::Continuation { channel: CHANNEL, sequence, data }
            }
        };
        Some(packet.report())
    }

    /// Takes a report of the key. Returns whether the step is over.
    fn receive(&mut self, now: u64, report: &Report) -> Result<bool, &'static str> {
        let (channel, first) = match Packet::parse(report) {
            Packet::Initialization { channel, command, len, data } => (channel, Some((command, len, data))),
            Packet::Continuation { channel, .. } => (channel, None),
        };
        if let (Some((command, _, data)), Some((disturbance, since))) = (first, self.disturbance)
            && channel == disturbance.channel
            && command != HidCommand::KEEPALIVE
        {
            let (expected, byte) = disturbance.answer;
            if command != expected || byte.is_some_and(|byte| data.first() != Some(&byte)) {
                return Err("a disturbance got another answer");
            }
            self.disturbance = None;
            // A cancelled request is answered at the next poll of the engine, after the multiplication.
            if disturbance.command != HidCommand::CANCEL {
                self.slowest = self.slowest.max(now - since);
            }
            if disturbance.channel == CHANNEL && disturbance.command == HidCommand::INIT {
                self.last = now;
                return Ok(true);
            }
        }
        if channel != CHANNEL {
            return Ok(false);
        }
        self.longest_pause = self.longest_pause.max(now - self.last);
        self.last = now;
        match first {
            Some((HidCommand::KEEPALIVE, ..)) => {
                self.pending.get_or_insert(now);
                Ok(false)
            }
            Some((HidCommand::CBOR, len, data)) => {
                self.status = data.first().copied().map(Status);
                self.left = Some(usize::from(len).saturating_sub(57));
                Ok(self.left == Some(0))
            }
            Some(_) => Err("another command on the channel"),
            None => {
                self.left = self.left.map(|left| left.saturating_sub(59));
                Ok(self.left == Some(0))
            }
        }
    }

    /// What is wrong with a step that is over.
    fn check(&self) -> Result<(), &'static str> {
        println!(
            "{:30} {:>7} {:>7} {:>7} {:>7}",
            self.name(),
            self.last - self.began,
            self.longest_pause,
            self.disturbances,
            self.slowest
        );
        let expected = match self.step {
            Step::Cancel => Some(Status::KEEPALIVE_CANCEL),
            Step::Abort => None,
            _ => Some(Status::OK),
        };
        if self.status != expected {
            return Err("a request got another answer");
        }
        if self.longest_pause > LONGEST_PAUSE {
            return Err("a keep-alive came too late");
        }
        if self.disturbances == 0 {
            return Err("a request that could not be disturbed");
        }
        if self.slowest > AT_ONCE { Err("an answer that needs no engine came too late") } else { Ok(()) }
    }

    fn name(&self) -> &'static str {
        match self.step {
            Step::Register => "register",
            Step::Cancel => "register, cancelled",
            Step::Abort => "register, given up with INIT",
            Step::SignIn => "sign in",
            Step::KeyAgreement => "key agreement",
        }
    }
}

impl Host {
    pub const fn new() -> Self {
        Self { channels: 0, steps: 0, running: None, offers_disturbance: false, result: None }
    }

    /// The report that the host sends now.
    pub fn next(&mut self, now: u64) -> Option<Report> {
        let message = |channel, command, data: &[u8]| {
            Packet::Initialization { channel, command, len: data.len() as u16, data }.report()
        };
        if self.channels < OTHER {
            return Some(message(BROADCAST, HidCommand::INIT, &[1; 8]));
        }
        let step = *STEPS.get(self.steps)?;
        let running = self.running.get_or_insert_with(|| Running::new(step, now));
        if now > running.began + LONGEST_STEP {
            self.result = Some(Err("a step without an end"));
            return None;
        }
        self.offers_disturbance = false;
        if running.asked.is_none() {
            return running.report();
        }
        let disturbance = running.disturb(now)?;
        self.offers_disturbance = true;
        let data = [4; 8];
        let len = match disturbance.command {
            HidCommand::INIT => 8,
            HidCommand::CANCEL => 0,
            _ => 1,
        };
        Some(message(disturbance.channel, disturbance.command, &data[..len]))
    }

    /// The key has taken the report.
    pub fn sent(&mut self, now: u64) {
        if self.channels < OTHER {
            self.channels += 1;
        } else if let Some(running) = &mut self.running {
            if self.offers_disturbance {
                running.disturbance = running.disturb(now).map(|disturbance| (disturbance, now));
                running.disturbances += 1;
            } else {
                running.packets += 1;
                if running.report().is_none() {
                    (running.asked, running.last) = (Some(now), now);
                }
            }
        }
    }

    /// Takes a report of the key.
    pub fn received(&mut self, now: u64, report: &Report) {
        let Some(running) = &mut self.running else { return };
        match running.receive(now, report) {
            Ok(false) => {}
            Ok(true) => {
                let checked = running.check();
                self.running = None;
                self.steps += 1;
                if checked.is_err() || self.steps == STEPS.len() {
                    self.result = Some(checked);
                }
            }
            Err(why) => self.result = Some(Err(why)),
        }
    }

    /// The result of all steps.
    pub fn result(&self) -> Option<Result<(), &'static str>> {
        self.result
    }
}

/// Writes the request of a step, and returns its length.
fn encode(step: Step, out: &mut [u8]) -> usize {
    let encoded = match step {
        Step::SignIn => {
            let request = get_assertion::Request {
                rp_id: "example.org",
                client_data_hash: &[3; 32],
                allow_list: None,
                extensions: None,
                options: None,
                pin_uv_auth_param: None,
                pin_uv_auth_protocol: None,
            };
            encode_request(Command::GET_ASSERTION, &request, out)
        }
        Step::KeyAgreement => {
            let request = client_pin::Request {
                pin_uv_auth_protocol: Some(2),
                sub_command: Some(client_pin::subcommand::GET_KEY_AGREEMENT),
                ..client_pin::Request::default()
            };
            encode_request(Command::CLIENT_PIN, &request, out)
        }
        _ => {
            let request = make_credential::Request {
                client_data_hash: &[3; 32],
                rp: RpEntity { id: "example.org", name: None },
                user: UserEntity { id: b"alice", name: None, display_name: None },
                pub_key_cred_params: List::Slice(const { &[CredentialParameters::new(Algorithm::ES256)] }),
                exclude_list: None,
                extensions: None,
                options: Some(CommandOptions { rk: Some(true), ..Default::default() }),
                pin_uv_auth_param: None,
                pin_uv_auth_protocol: None,
                enterprise_attestation: None,
                attestation_formats_preference: None,
            };
            encode_request(Command::MAKE_CREDENTIAL, &request, out)
        }
    };
    encoded.expect("room for a request")
}
