//! fido-authenticator, the FIDO application of Solo 2 and Nitrokey 3, on Trussed in memory behind a TCP socket, which
//! carries 64-byte CTAPHID reports in both directions. Its user touches it at once.
//!
//! It serves one client after another, and stays powered between them. It answers at once, so there are no keep-alives
//! and no cancellation.

use std::{
    env,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
};

use ctaphid_app::{App, Command};
use fido_authenticator::{Authenticator, Config, Conforming, LargeBlobsConfig};
use heapless_bytes::Bytes;
use trussed::{
    backend::BackendId,
    virt::{self, StoreConfig},
};
use trussed_core::types::Location;
use trussed_staging::virt::{BackendIds, Dispatcher};

const REPORT: usize = 64;
/// The longest CTAPHID message, in bytes.
const MESSAGE: usize = 7609;
/// The broadcast channel, and the only channel that is allocated.
const BROADCAST: [u8; 4] = [0xFF; 4];
const CHANNEL: [u8; 4] = [0, 0, 0, 1];
const INIT_PACKET: u8 = 0x80;
/// WINK, CBOR: the capabilities.
const CAPABILITIES: u8 = 0x05;
const ERROR: u8 = 0x3F;
const INVALID_COMMAND: u8 = 0x01;

fn main() -> io::Result<()> {
    let listener = TcpListener::bind(env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0"))?;
    println!("tcp {}", listener.local_addr()?);
    virt::with_platform(StoreConfig::ram(), |platform| {
        let backends = &[BackendId::Custom(BackendIds::StagingBackend), BackendId::Core];
        platform.run_client_with_backends("fido", Dispatcher::default(), backends, |client| {
            let config = Config {
                large_blobs: Some(LargeBlobsConfig { location: Location::Internal, max_size: 4096 }),
                fido2_up_timeout: Some(100),
                ..Config::new(MESSAGE)
            };
            let mut key = Authenticator::new(client, Conforming {}, config);
            loop {
                let (stream, _) = listener.accept()?;
                // A client that disconnects does not unplug the key; its error does not matter.
                let _ = serve(stream, &mut key);
            }
        })
    })
}

/// Receives messages and answers them until the client disconnects.
fn serve<'i>(mut stream: TcpStream, key: &mut impl App<'i>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let (channel, command, request) = read(&mut stream)?;
        let answer = match Command::try_from(command) {
            Ok(Command::Init) => {
                let id = if channel == BROADCAST { CHANNEL } else { channel };
                let tail = [2, 0, 0, 0, CAPABILITIES];
                Ok([&request[..], &id, &tail].concat())
            }
            Ok(Command::Ping) => Ok(request),
            Ok(Command::Wink) => Ok(Vec::new()),
            Ok(Command::Cancel) => continue,
            Ok(command @ (Command::Cbor | Command::Msg)) => {
                let mut response = Bytes::<MESSAGE>::new();
                key.call(command, &request, &mut response).map(|()| response.to_vec()).map_err(drop)
            }
            _ => Err(()),
        };
        match answer {
            Ok(answer) => write(&mut stream, channel, command, &answer)?,
            Err(()) => write(&mut stream, channel, ERROR, &[INVALID_COMMAND])?,
        }
    }
}

/// Reads the next message: its channel, its command and its data.
fn read(stream: &mut TcpStream) -> io::Result<([u8; 4], u8, Vec<u8>)> {
    let mut report = [0; REPORT];
    loop {
        stream.read_exact(&mut report)?;
        let [a, b, c, d, command, high, low, first @ ..] = report;
        if command & INIT_PACKET == 0 {
            continue;
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        let mut message = first.to_vec();
        while message.len() < length {
            stream.read_exact(&mut report)?;
            message.extend_from_slice(&report[5..]);
        }
        message.truncate(length);
        return Ok(([a, b, c, d], command & !INIT_PACKET, message));
    }
}

fn write(stream: &mut TcpStream, channel: [u8; 4], command: u8, message: &[u8]) -> io::Result<()> {
    let (first, rest) = message.split_at(message.len().min(REPORT - 7));
    let head = [&channel[..], &[command | INIT_PACKET], &(message.len() as u16).to_be_bytes()].concat();
    let continued = rest.chunks(REPORT - 5).zip(0u8..).map(|(part, number)| [&channel[..], &[number], part].concat());
    for mut report in std::iter::once([&head[..], first].concat()).chain(continued) {
        report.resize(REPORT, 0);
        stream.write_all(&report)?;
    }
    Ok(())
}
