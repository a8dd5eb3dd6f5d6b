//! What goes through a transport, for people, like tcpdump: a line a frame or a message, its members below.
//!
//! ```text
//!  -> authenticatorMakeCredential, 105 bytes
//!         clientDataHash: h'8dd8744d7903b0a3538a49eafaaec833acbfd285a5df4403a20e4e13e3d53e50'
//!         rp: {"id": "acme.com", "name": "Acme"}
//! ```
//!
//! [`Tracer`] wraps a pipe of reports or a transport of messages, blocking or async, and hands a [`TraceEvent`] to a
//! function for each thing that passes. An event displays itself as text, and [`TraceEvent::members`] gives its members
//! one by one, for another form. Only what was on the wire is shown: what is encrypted there stays encrypted.
//!
//! | file | what it is |
//! |---|---|
//! | `mod.rs` | [`TraceEvent`], as text and member by member |
//! | `tracer.rs` | [`Tracer`] and [`text`] |
//! | `diagnostic.rs` | the walk over CBOR items, and diagnostic notation |
//! | `json.rs` | [`Json`]: the members with their types |
//! | `names.rs` | the commands, and what the values of some members are |

use core::fmt;

use crate::{
    Status,
    auth_data::AuthData,
    bytes,
    cbor::{Error, Item, Member, Reader},
    ctap2::Command,
    transport::{
        KeepAlive, Protocol,
        hid::{self, HidErrorCode, Packet, REPORT_LEN},
    },
};

mod diagnostic;
mod json;
mod names;
#[cfg(test)]
mod tests;
mod tracer;

pub use diagnostic::{Diagnostic, Hex};
pub use json::Json;
pub use tracer::{Tracer, text};

use diagnostic::{Bits, Bytes, MANY, Value, find};
use names::{CAPABILITIES, FLAGS, Kind, Known, Names};

/// Where something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the authenticator.
    ToAuthenticator,
    /// To the client.
    ToClient,
}

/// Something that passed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum TraceEvent<'e> {
    /// A CTAPHID report.
    Report(Direction, &'e [u8; REPORT_LEN]),
    /// A request, a whole message.
    Request(Protocol, &'e [u8]),
    /// The response to a request of this protocol that began with this byte, a whole message.
    Response(Protocol, Command, &'e [u8]),
    /// The authenticator is alive, in another way than before.
    KeepAlive(KeepAlive),
    /// The client asks the authenticator to give up the request.
    Cancel,
    /// The client has the authenticator's power taken away and given back.
    Reconnect,
    /// The transport failed, or has no response to give: that, or its error, goes to the caller.
    Failed,
}

impl TraceEvent<'_> {
    /// Calls `each` with the name and the value of every member of a CTAP2 message. Of authenticator data the parts are
    /// members; a body that cannot be read is the one member `body`, in hexadecimal.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn members(&self, mut each: impl FnMut(fmt::Arguments<'_>, fmt::Arguments<'_>) -> fmt::Result) -> fmt::Result {
        if let TraceEvent::Request(Protocol::Ctap1, message) | TraceEvent::Response(Protocol::Ctap1, _, message) = *self
        {
            return each(format_args!("apdu"), format_args!("h'{}'", Hex(message)));
        }
        let Some((body, names)) = self.body() else { return Ok(()) };
        let Some(names) = names else {
            return each(format_args!("body"), format_args!("h'{}'", Hex(body)));
        };
        if let Err(error) = check(Reader::tolerant(body)) {
            return each(format_args!("body"), format_args!("h'{}' / {error:?} /", Hex(body)));
        }
        if let (TraceEvent::Request(..), Err(error)) = (self, check(Reader::strict(body))) {
            each(format_args!("not canonical"), format_args!("{error:?}"))?;
        }
        members(body, names, &mut each)
    }

    /// The body of a CTAP2 message, and the names of its members where its command is known. `None`: it has no body.
    fn body(&self) -> Option<(&[u8], Option<Names>)> {
        let (command, message) = match *self {
            TraceEvent::Request(Protocol::Ctap2, message) => (command_of(message), message),
            TraceEvent::Response(Protocol::Ctap2, command, message) => (command, message),
            _ => return None,
        };
        let is_request = matches!(self, TraceEvent::Request(..));
        let names = Known::of(command).map(|known| if is_request { known.request } else { known.response });
        message.get(1..).filter(|body| !body.is_empty()).map(|body| (body, names))
    }
}

impl fmt::Display for TraceEvent<'_> {
    /// One line, and the members indented below; without a line feed at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            TraceEvent::Report(direction, report) => {
                f.write_str(if direction == Direction::ToClient { "<- " } else { "-> " })?;
                packet(f, direction, &Packet::parse(report))?;
            }
            TraceEvent::Request(Protocol::Ctap1, message) => write!(f, "-> U2F request, {}", Length(message.len()))?,
            TraceEvent::Response(Protocol::Ctap1, _, message) => {
                write!(f, "<- U2F response, {}", Length(message.len()))?
            }
            TraceEvent::Request(Protocol::Ctap2, message) => {
                write!(f, "-> {}, {}", CommandName(command_of(message)), Length(message.len()))?;
            }
            TraceEvent::Response(Protocol::Ctap2, command, message) => {
                write!(f, "<- {}: ", CommandName(command))?;
                match message.first() {
                    Some(status) => write!(f, "{}, {}", Status(*status), Length(message.len()))?,
                    None => f.write_str("empty")?,
                }
            }
            TraceEvent::KeepAlive(status) => write!(f, "<- keep-alive {}", KeepAliveName(status))?,
            TraceEvent::Cancel => f.write_str("-> cancel")?,
            TraceEvent::Reconnect => f.write_str("-- reconnect")?,
            TraceEvent::Failed => f.write_str("-- the transport failed")?,
        }
        self.members(|name, value| write!(f, "\n       {name}: {value}"))
    }
}

fn command_of(request: &[u8]) -> Command {
    Command(request.first().map_or(0, |command| *command))
}

fn check(mut r: Reader<'_>) -> Result<(), Error> {
    r.skip()?;
    r.finish()
}

/// The members of a well-formed body.
fn members(
    body: &[u8],
    names: Names,
    each: &mut dyn FnMut(fmt::Arguments<'_>, fmt::Arguments<'_>) -> fmt::Result,
) -> fmt::Result {
    let mut r = Reader::tolerant(body);
    let Ok(Item::Map(count)) = r.item() else {
        return each(format_args!("body"), format_args!("{}", Value(body, Kind::Plain)));
    };
    for _ in 0..count.min(MANY) {
        let (Ok(key), Ok(value)) = (r.skip(), r.skip()) else { break };
        match find(key, names) {
            (Some(name), Kind::AuthData) => auth_data(name, value, each)?,
            (Some(name), kind) => each(format_args!("{name}"), format_args!("{}", Value(value, kind)))?,
            (None, kind) => each(format_args!("{}", Value(key, Kind::Plain)), format_args!("{}", Value(value, kind)))?,
        }
    }
    match count.checked_sub(MANY) {
        Some(more @ 1..) => each(format_args!("…"), format_args!("{more} more")),
        _ => Ok(()),
    }
}

/// The parts of authenticator data. A value that is not authenticator data is shown as bytes, with the error.
fn auth_data(
    name: Member,
    value: &[u8],
    each: &mut dyn FnMut(fmt::Arguments<'_>, fmt::Arguments<'_>) -> fmt::Result,
) -> fmt::Result {
    let Ok(bytes) = Reader::tolerant(value).bytes() else {
        return each(format_args!("{name}"), format_args!("{}", Value(value, Kind::Plain)));
    };
    let data = match AuthData::decode(bytes) {
        Ok(data) => data,
        Err(error) => return each(format_args!("{name}"), format_args!("h'{}' / {error:?} /", Hex(bytes))),
    };
    let mut part = |part: &str, value: &dyn fmt::Display| each(format_args!("{name}.{part}"), format_args!("{value}"));
    part("rpIdHash", &Bytes(data.rp_id_hash))?;
    part("flags", &Bits(data.flags.0.into(), FLAGS))?;
    part("signCount", &data.sign_count)?;
    if let Some(attested) = data.attested_credential_data {
        part("aaguid", &Bytes(attested.aaguid))?;
        part("credentialId", &Bytes(attested.credential_id))?;
        part("credentialPublicKey", &Value(key_behind(bytes, attested.credential_id), Kind::Cose))?;
    }
    data.extensions.map_or(Ok(()), |extensions| part("extensions", &Value(extensions.0, Kind::Plain)))
}

/// The public key and what follows it in authenticator data: behind the RP ID's hash, flags, counter, AAGUID, the
/// length of the id and the id.
fn key_behind<'d>(auth_data: &'d [u8], credential_id: &[u8]) -> &'d [u8] {
    bytes::rest(auth_data, 55_usize.saturating_add(credential_id.len()))
}

fn packet(f: &mut fmt::Formatter<'_>, direction: Direction, packet: &Packet<'_>) -> fmt::Result {
    let (command, len, data) = match *packet {
        Packet::Continuation { channel, sequence, .. } => return write!(f, "cid {channel:08x} cont {sequence:02x}"),
        Packet::Initialization { channel, command, len, data } => {
            write!(f, "cid {channel:08x} {command:?}")?;
            (command, len, data)
        }
    };
    let message = data.get(..len.into()).unwrap_or(data);
    match (command, message, direction) {
        (hid::HidCommand::KEEPALIVE, [status], _) => return write!(f, " {}", KeepAliveName((*status).into())),
        (hid::HidCommand::ERROR, [code], _) => return write!(f, " {:?}", HidErrorCode(*code)),
        (hid::HidCommand::CANCEL, [], _) => return Ok(()),
        _ => write!(f, " {}", Length(len.into()))?,
    }
    match (command, direction, message) {
        (hid::HidCommand::INIT, Direction::ToAuthenticator, nonce) if nonce.len() == 8 => {
            write!(f, ", nonce {}", Hex(nonce))
        }
        (
            hid::HidCommand::INIT,
            Direction::ToClient,
            [nonce @ .., c0, c1, c2, c3, protocol, major, minor, build, capabilities],
        ) => write!(
            f,
            ", nonce {}, cid {}, protocol {protocol}, version {major}.{minor}.{build}, capabilities {}",
            Hex(nonce),
            Hex(&[*c0, *c1, *c2, *c3]),
            Bits((*capabilities).into(), CAPABILITIES),
        ),
        _ => Ok(()),
    }
}

/// The standard's name of a command, or its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandName(pub Command);

impl fmt::Display for CommandName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Known::of(self.0) {
            Some(known) => f.write_str(known.name),
            None => write!(f, "command 0x{:02x}", self.0.0),
        }
    }
}

/// The standard's name of a keep-alive's status, or its number.
struct KeepAliveName(KeepAlive);

impl fmt::Display for KeepAliveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            KeepAlive::Processing => f.write_str("PROCESSING"),
            KeepAlive::UpNeeded => f.write_str("UPNEEDED"),
            KeepAlive::Other(status) => write!(f, "0x{status:02x}"),
        }
    }
}

struct Length(usize);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} byte{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}
