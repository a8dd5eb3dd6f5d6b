//! A client of security keys that has nothing from keyfob: CTAPHID and two commands of CTAP, written for a program that
//! needs no more. `tests/key.rs` tests it with keyfob's key.

use std::{error, fmt, time::Duration};

use minicbor::{Decoder, Encoder, data::Type};

/// The length of a report, in bytes.
pub const REPORT: usize = 64;
/// Commands of CTAPHID, as they stand in an initialization packet (CTAP 2.3 §11.2.9).
const INIT: u8 = 0x86;
const CBOR: u8 = 0x90;
const CANCEL: u8 = 0x91;
const KEEPALIVE: u8 = 0xBB;
const ERROR: u8 = 0xBF;
const BROADCAST: [u8; 4] = [0xFF; 4];
/// A key that works sends a keep-alive every 100 ms; one that is silent for so long is given up.
const SILENCE: Duration = Duration::from_secs(2);
/// How many keep-alives are waited for: a minute.
const KEEPALIVES: u32 = 600;

/// A HID device: 64 bytes out, 64 bytes in.
pub trait Device {
    /// Sends a report.
    ///
    /// # Errors
    /// The device is gone.
    fn write(&mut self, report: &[u8; REPORT]) -> Result<(), Gone>;
    /// The next report, or none in this time.
    ///
    /// # Errors
    /// The device is gone.
    fn read(&mut self, wait: Duration) -> Result<Option<[u8; REPORT]>, Gone>;
}

/// The device is no longer there.
#[derive(Debug, PartialEq, Eq)]
pub struct Gone;

/// Why a command failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    /// The key was pulled out.
    Gone,
    /// The key says nothing any more.
    Silent,
    /// The user did not touch the key in a minute.
    NotTouched,
    /// The key refused the command with this status.
    Status(u8),
    /// The key, or somebody between, does not follow the protocol.
    Malformed(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the key was pulled out"),
            Self::Silent => f.write_str("the key says nothing any more"),
            Self::NotTouched => f.write_str("the key was not touched"),
            Self::Status(status) => write!(f, "the key refuses with status {status:#04x}"),
            Self::Malformed(what) => write!(f, "the key does not follow the protocol: {what}"),
        }
    }
}

impl error::Error for Error {}

impl From<Gone> for Error {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

impl From<minicbor::decode::Error> for Error {
    fn from(_: minicbor::decode::Error) -> Self {
        Self::Malformed("the CBOR of a response")
    }
}

/// A key with a channel.
pub struct Client<D> {
    device: D,
    channel: [u8; 4],
}

impl<D: Device> Client<D> {
    /// Opens a channel.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(device: D, nonce: [u8; 8]) -> Result<Self, Error> {
        let mut client = Self { device, channel: BROADCAST };
        client.send(INIT, &nonce)?;
        let answer = client.receive(INIT)?;
        let channel = answer.get(8..12).and_then(|channel| channel.try_into().ok());
        match (answer.starts_with(&nonce), channel) {
            (true, Some(channel)) => Ok(Self { channel, ..client }),
            _ => Err(Error::Malformed("the answer to INIT")),
        }
    }

    /// The versions that the key supports: authenticatorGetInfo (CTAP 2.3 §6.4).
    ///
    /// # Errors
    /// [`Error`].
    pub fn versions(&mut self) -> Result<Vec<String>, Error> {
        let response = self.command(0x04, &[])?;
        let mut decoder = Decoder::new(&response);
        for _ in 0..decoder.map()?.unwrap_or(0) {
            if decoder.u8()? == 0x01 {
                return Ok(decoder
                    .array_iter::<&str>()?
                    .map(|version| version.map(str::to_owned))
                    .collect::<Result<_, _>>()?);
            }
            decoder.skip()?;
        }
        Err(Error::Malformed("no versions"))
    }

    /// Registers with ES256, and returns the authenticator data: authenticatorMakeCredential (CTAP 2.3 §6.1).
    ///
    /// # Errors
    /// [`Error`].
    pub fn register(&mut self, rp_id: &str, user_handle: &[u8], client_data_hash: &[u8; 32]) -> Result<Vec<u8>, Error> {
        let mut request = Vec::new();
        encode(&mut request, rp_id, user_handle, client_data_hash).map_err(|_| Error::Malformed("the request"))?;
        let response = self.command(0x01, &request)?;
        let mut decoder = Decoder::new(&response);
        for _ in 0..decoder.map()?.unwrap_or(0) {
            match (decoder.u8()?, decoder.datatype()?) {
                (0x02, Type::Bytes) => return Ok(decoder.bytes()?.to_vec()),
                _ => decoder.skip()?,
            }
        }
        Err(Error::Malformed("no authenticator data"))
    }

    /// Sends a command of CTAP2, and returns its response without the status.
    fn command(&mut self, command: u8, parameters: &[u8]) -> Result<Vec<u8>, Error> {
        self.send(CBOR, &[&[command], parameters].concat())?;
        let mut response = self.receive(CBOR)?;
        match response.first() {
            Some(0) => Ok(response.split_off(1)),
            Some(status) => Err(Error::Status(*status)),
            None => Err(Error::Malformed("an empty response")),
        }
    }

    /// Sends a message: an initialization packet, then continuation packets (CTAP 2.3 §11.2.4).
    fn send(&mut self, command: u8, message: &[u8]) -> Result<(), Error> {
        let length = u16::try_from(message.len()).map_err(|_| Error::Malformed("the request is too long"))?;
        let [high, low] = length.to_be_bytes();
        let (first, rest) = message.split_at(message.len().min(REPORT - 7));
        self.packet(&[command, high, low], first)?;
        for (sequence, part) in (0..0x80).zip(rest.chunks(REPORT - 5)) {
            self.packet(&[sequence], part)?;
        }
        Ok(())
    }

    fn packet(&mut self, head: &[u8], part: &[u8]) -> Result<(), Error> {
        let mut report = [0; REPORT];
        let bytes = self.channel.iter().chain(head).chain(part);
        report.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        Ok(self.device.write(&report)?)
    }

    /// The answer to a command. While the key works, it sends keep-alives; after a minute of them it is asked to stop, and
    /// still answers. Until then it is busy for other clients.
    fn receive(&mut self, command: u8) -> Result<Vec<u8>, Error> {
        let mut keepalives = 0;
        loop {
            let report = self.report()?;
            match report[4] {
                KEEPALIVE => {
                    keepalives += 1;
                    if keepalives == KEEPALIVES {
                        self.send(CANCEL, &[])?;
                    }
                }
                _ if keepalives >= KEEPALIVES => {
                    self.message(&report)?;
                    return Err(Error::NotTouched);
                }
                ERROR => return Err(Error::Malformed("it answers with an error of CTAPHID")),
                answer if answer == command => return self.message(&report),
                _ => return Err(Error::Malformed("the answer to another command")),
            }
        }
    }

    /// The message that begins with this report.
    fn message(&mut self, first: &[u8; REPORT]) -> Result<Vec<u8>, Error> {
        let length = usize::from(u16::from_be_bytes([first[5], first[6]]));
        let mut message = first[7..].to_vec();
        let mut sequence = 0;
        while message.len() < length {
            let report = self.report()?;
            if report[4] != sequence {
                return Err(Error::Malformed("a packet is missing"));
            }
            message.extend_from_slice(&report[5..]);
            sequence += 1;
        }
        message.truncate(length);
        Ok(message)
    }

    /// The next report of this channel.
    fn report(&mut self) -> Result<[u8; REPORT], Error> {
        loop {
            let report = self.device.read(SILENCE)?.ok_or(Error::Silent)?;
            if report.starts_with(&self.channel) {
                return Ok(report);
            }
        }
    }
}

/// The parameters of authenticatorMakeCredential, in canonical CBOR.
fn encode(
    request: &mut Vec<u8>,
    rp_id: &str,
    user_handle: &[u8],
    client_data_hash: &[u8; 32],
) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    let mut encoder = Encoder::new(request);
    encoder.map(4)?.u8(0x01)?.bytes(client_data_hash)?;
    encoder.u8(0x02)?.map(1)?.str("id")?.str(rp_id)?;
    encoder.u8(0x03)?.map(1)?.str("id")?.bytes(user_handle)?;
    encoder.u8(0x04)?.array(1)?.map(2)?.str("alg")?.i8(-7)?.str("type")?.str("public-key")?;
    Ok(())
}
