//! A discoverable registration and a sign-in over TCP, with a store in memory and with one in a file, compared in one
//! run with their cryptography alone.
//!
//! ```console
//! $ taskset -c 0 cargo run --release -p keyfob-benches --features aws-lc --bin serve -- FOLDER
//! ```
//!
//! `taskset -c 0` keeps client and key on one core. On two cores of a virtual machine, the time to wake an idle core is
//! longer than the whole ceremony.
//!
//! The file is made in FOLDER, so FOLDER decides which filesystem is measured. Prints the shortest of many runs of
//! each, and fails when a registration and sign-in take more than 1.7 times as long as their cryptography, or 3.4 times
//! with the file. CI does not run this, because it reads a clock and builds C.
#![allow(clippy::disallowed_methods)]

use std::{
    env, fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::ExitCode,
    thread,
    time::Instant,
};

use keyfob_benches::aws_lc;
use keyfob_core::{
    cbor::List,
    cose::Algorithm,
    ctap2::{
        Command, CommandOptions, CredentialParameters, RpEntity, UserEntity, encode_request, get_assertion,
        make_credential,
    },
    transport::hid::{BROADCAST, HidCommand, Packet, REPORT_LEN},
};
use keyfob_soft_authenticator::{
    devices::{KeyOptions, VIRTUAL_KEY_AAGUID, VirtualKey, hub::Hub},
    engine::Config,
    store::{FileStore, Store},
};

const RUNS: u32 = 3000;
/// How many runs use a file; each run syncs it.
const FILE_RUNS: u32 = 500;

/// A client that sends each request in one call.
struct Client {
    stream: TcpStream,
    channel: u32,
    /// What was read and not yet taken.
    inbox: Vec<u8>,
}

impl Client {
    fn connect(store: Option<Box<dyn Store + Send>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            let config = Config::new(VIRTUAL_KEY_AAGUID);
            let mut options = KeyOptions::new(config);
            options.store = store;
            let mut buffer = vec![0; config.buffer_len()];
            let mut key = VirtualKey::new(&mut buffer, options).expect("a key");
            let mut hub = Hub::new(&mut key).expect("a hub");
            hub.listen_tcp(listener).expect("a listener");
            hub.run(|_| {}).expect("a listener");
        });
        let stream = TcpStream::connect(address).expect("a key");
        stream.set_nodelay(true).expect("a socket");
        let mut client = Self { stream, channel: BROADCAST, inbox: Vec::new() };
        let response = client.exchange(HidCommand::INIT, &[1; 8]);
        client.channel = u32::from_be_bytes(response[8..12].try_into().expect("a channel"));
        client
    }

    /// Sends a message and returns the response.
    fn exchange(&mut self, command: HidCommand, message: &[u8]) -> Vec<u8> {
        let (first, rest) = message.split_at(message.len().min(57));
        let len = message.len() as u16;
        let head = Packet::Initialization { channel: self.channel, command, len, data: first };
        let mut reports = head.report().to_vec();
        for (sequence, data) in (0..).zip(rest.chunks(59)) {
            reports.extend(Packet::Continuation { channel: self.channel, sequence, data }.report());
        }
        self.stream.write_all(&reports).expect("the key listens");
        let (mut response, mut len) = (Vec::new(), None);
        while len.is_none_or(|len| response.len() < len) {
            let report = self.report();
            match Packet::parse(&report) {
                Packet::Initialization { command: HidCommand::KEEPALIVE, .. } => {}
                Packet::Initialization { command: its, len: its_len, data, .. } => {
                    assert_eq!(its, command, "no answer to this command");
                    (response, len) = (data.to_vec(), Some(its_len.into()));
                }
                Packet::Continuation { data, .. } => response.extend_from_slice(data),
            }
        }
        response.truncate(len.unwrap_or_default());
        response
    }

    /// The next report. Reads all that has come, as our own client does.
    fn report(&mut self) -> [u8; REPORT_LEN] {
        while self.inbox.len() < REPORT_LEN {
            let mut bytes = [0; 16 * REPORT_LEN];
            let count = self.stream.read(&mut bytes).expect("an answer");
            assert!(count > 0, "the key has closed");
            self.inbox.extend(&bytes[..count]);
        }
        let report = *self.inbox.first_chunk().expect("a report");
        self.inbox.drain(..REPORT_LEN);
        report
    }

    /// A registration and a sign-in at a new relying party.
    fn register_and_sign_in(&mut self, rp: u32) {
        let rp_id = format!("site-{rp:06}.example");
        let mut buffer = [0; 1024];
        let registration = make_credential::Request {
            client_data_hash: &[0x5A; 32],
            rp: RpEntity { id: &rp_id, name: Some("Example RP") },
            user: UserEntity { id: &[7; 32], name: Some("alice@example.com"), display_name: Some("Alice Example") },
            pub_key_cred_params: List::Slice(&[CredentialParameters::new(Algorithm::ES256)]),
            exclude_list: None,
            extensions: None,
            options: Some(CommandOptions { rk: Some(true), ..CommandOptions::default() }),
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
            enterprise_attestation: None,
            attestation_formats_preference: None,
        };
        let len = encode_request(Command::MAKE_CREDENTIAL, &registration, &mut buffer).expect("fits");
        assert_eq!(self.exchange(HidCommand::CBOR, &buffer[..len])[0], 0);
        let sign_in = get_assertion::Request {
            rp_id: &rp_id,
            client_data_hash: &[0xA5; 32],
            allow_list: None,
            extensions: None,
            options: None,
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
        };
        let len = encode_request(Command::GET_ASSERTION, &sign_in, &mut buffer).expect("fits");
        assert_eq!(self.exchange(HidCommand::CBOR, &buffer[..len])[0], 0);
    }
}

/// Two requests and answers over TCP of the ceremonies' sizes, between two threads that do nothing else: what this
/// machine takes to carry them.
fn echo() -> Box<dyn FnMut()> {
    const SIZES: [(usize, usize); 2] = [(4, 5), (2, 4)];
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a listener");
    let (mut server, _) = listener.accept().expect("a client");
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("a socket");
    }
    let (mut its, mut ours) = ([0; 5 * REPORT_LEN], [0; 5 * REPORT_LEN]);
    thread::spawn(move || {
        for (up, down) in SIZES.into_iter().cycle() {
            // The client has gone.
            if server.read_exact(&mut its[..up * REPORT_LEN]).is_err() {
                return;
            }
            server.write_all(&its[..down * REPORT_LEN]).expect("a client");
        }
    });
    Box::new(move || {
        for (up, down) in SIZES {
            client.write_all(&ours[..up * REPORT_LEN]).expect("an echo");
            client.read_exact(&mut ours[..down * REPORT_LEN]).expect("an echo");
        }
    })
}

fn main() -> ExitCode {
    let folder = env::args().nth(1).expect("a folder for the file");
    let path = Path::new(&folder).join("serve.keyfob");
    let _ = fs::remove_file(&path);
    let mut floor = aws_lc::floor();
    let mut in_memory = Client::connect(None);
    let mut in_file = Client::connect(Some(Box::new(FileStore::open(&path).expect("a store"))));
    let mut echoed = echo();
    let mut shortest = [f64::INFINITY; 4];
    let timed = |shortest: &mut f64, run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        *shortest = shortest.min(start.elapsed().as_secs_f64());
    };
    // In turn, so that all run under the same load of the machine.
    for run in 0..RUNS {
        let [bare, carried, memory, file] = &mut shortest;
        timed(bare, &mut floor);
        timed(carried, &mut || {
            floor();
            echoed();
        });
        // A store in memory holds a hundred credentials.
        timed(memory, &mut || in_memory.register_and_sign_in(run % 50));
        if run % (RUNS / FILE_RUNS) == 0 {
            timed(file, &mut || in_file.register_and_sign_in(run));
        }
    }
    let _ = fs::remove_file(&path);
    let rows = [
        ("AWS-LC: key pair and two signatures", f64::INFINITY),
        ("the same, and two echoes over TCP", f64::INFINITY),
        ("over TCP", 1.7),
        ("over TCP, with --store", 3.4),
    ];
    let mut code = ExitCode::SUCCESS;
    for ((name, limit), time) in rows.iter().zip(shortest) {
        let ratio = time / shortest[0];
        println!("{name:44} {:7.1} us   {ratio:.2}", time * 1e6);
        if ratio > *limit {
            code = ExitCode::FAILURE;
        }
    }
    code
}
