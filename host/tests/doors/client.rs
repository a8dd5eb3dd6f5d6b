//! A client that speaks CTAPHID report by report, so that it can do all of it wrong.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use keyfob_core::{
    Status,
    cbor::{List, Write},
    cose::Algorithm,
    ctap2::{
        self, Command, CommandOptions, CredentialParameters, RpEntity, UserEntity, get_assertion, make_credential,
    },
    transport::hid::{BROADCAST, HidCommand, HidErrorCode, Packet},
};

use super::door::{Connection, Door, Report};

/// An answer that takes longer does not come.
pub const PATIENCE: Duration = Duration::from_secs(20);
const HASH: [u8; 32] = [7; 32];

pub struct Client {
    pub connection: Connection,
    pub channel: u32,
}

/// A message of the key.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub command: HidCommand,
    pub data: Vec<u8>,
    /// How many keep-alives came before it.
    pub keep_alives: usize,
}

impl Answer {
    /// Whether it is this error.
    pub fn is_error(&self, code: HidErrorCode) -> bool {
        self.command == HidCommand::ERROR && self.data == [code.0]
    }

    /// The status of a CBOR message.
    pub fn status(&self) -> Status {
        assert_eq!(self.command, HidCommand::CBOR, "{self:?}");
        Status(self.data[0])
    }
}

impl Client {
    /// A client with a channel of its own.
    pub fn open(door: &Door) -> Self {
        let mut client = Self { connection: door.connect(), channel: BROADCAST };
        let answer = client.init().data;
        client.channel = u32::from_be_bytes(answer[8..12].try_into().unwrap());
        client
    }

    /// INIT, and its answer, which may be an error.
    pub fn init(&mut self) -> Answer {
        static NONCE: AtomicU64 = AtomicU64::new(1);
        let nonce = (u64::from(std::process::id()) << 32 | NONCE.fetch_add(1, Ordering::Relaxed)).to_be_bytes();
        self.send(HidCommand::INIT, &nonce);
        loop {
            // On the broadcast channel, others are answered too.
            let answer = self.answer();
            if answer.command != HidCommand::INIT || answer.data[..8] == nonce {
                return answer;
            }
        }
    }

    /// The packets of a message.
    pub fn packets(&self, command: HidCommand, message: &[u8]) -> Vec<Report> {
        let (channel, len) = (self.channel, message.len() as u16);
        let (first, rest) = message.split_at(message.len().min(57));
        let first = Packet::Initialization { channel, command, len, data: first }.report();
        let rest = (0..).zip(rest.chunks(59));
        let rest = rest.map(|(sequence, data)| Packet::Continuation { channel, sequence, data }.report());
        [first].into_iter().chain(rest).collect()
    }

    pub fn send(&mut self, command: HidCommand, message: &[u8]) {
        for packet in self.packets(command, message) {
            self.connection.send(&packet).unwrap();
        }
    }

    /// The next report on this client's channel.
    pub fn report(&mut self) -> Report {
        let start = Instant::now();
        while let Some(left) = PATIENCE.checked_sub(start.elapsed()) {
            let report = self.connection.receive(left).unwrap();
            if let Some(report) = report.filter(|report| report[..4] == self.channel.to_be_bytes()) {
                return report;
            }
        }
        panic!("no answer");
    }

    pub fn answer(&mut self) -> Answer {
        let mut keep_alives = 0;
        loop {
            let report = self.report();
            let Packet::Initialization { command, len, data, .. } = Packet::parse(&report) else {
                panic!("an answer that begins in its middle");
            };
            if command == HidCommand::KEEPALIVE {
                keep_alives += 1;
                continue;
            }
            let mut data = data.to_vec();
            for expected in 0.. {
                if data.len() >= len.into() {
                    break;
                }
                let report = self.report();
                let Packet::Continuation { sequence, data: more, .. } = Packet::parse(&report) else {
                    panic!("an answer that begins within another");
                };
                assert_eq!(sequence, expected, "a report was lost");
                data.extend_from_slice(more);
            }
            data.truncate(len.into());
            return Answer { command, data, keep_alives };
        }
    }

    pub fn call(&mut self, command: HidCommand, message: &[u8]) -> Answer {
        self.send(command, message);
        self.answer()
    }

    /// Waits until the key asks for a touch.
    pub fn waits_for_touch(&mut self) {
        while self.report()[4..8] != [0x80 | HidCommand::KEEPALIVE.0, 0, 1, 2] {}
    }

    /// Whether a PING is answered, and the answer is the next message.
    pub fn is_in_step(&mut self) -> bool {
        let answer = self.call(HidCommand::PING, b"in step");
        answer.command == HidCommand::PING && answer.data == b"in step"
    }

    /// Whether anything comes within this time after a PING.
    pub fn is_heard(&mut self, wait: Duration) -> bool {
        self.send(HidCommand::PING, b"heard");
        self.connection.receive(wait).unwrap().is_some()
    }

    /// A discoverable credential for this relying party.
    pub fn register(&mut self, rp_id: &str) -> Status {
        self.call(HidCommand::CBOR, &registration(rp_id)).status()
    }

    pub fn sign_in(&mut self, rp_id: &str) -> Status {
        let request = get_assertion::Request {
            rp_id,
            client_data_hash: &HASH,
            allow_list: None,
            extensions: None,
            options: None,
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
        };
        self.call(HidCommand::CBOR, &encode(Command::GET_ASSERTION, &request)).status()
    }
}

/// The request for a discoverable credential: three reports.
pub fn registration(rp_id: &str) -> Vec<u8> {
    let request = make_credential::Request {
        client_data_hash: &HASH,
        rp: RpEntity { id: rp_id, name: None },
        user: UserEntity { id: b"user", name: Some("alice@example.org"), display_name: Some("Alice") },
        pub_key_cred_params: List::Slice(const { &[CredentialParameters::new(Algorithm::ES256)] }),
        exclude_list: None,
        extensions: None,
        options: Some(CommandOptions { rk: Some(true), ..Default::default() }),
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
        enterprise_attestation: None,
        attestation_formats_preference: None,
    };
    encode(Command::MAKE_CREDENTIAL, &request)
}

fn encode(command: Command, parameters: &impl Write) -> Vec<u8> {
    let mut request = vec![0; 1024];
    let len = ctap2::encode_request(command, parameters, &mut request).unwrap();
    request.truncate(len);
    request
}
