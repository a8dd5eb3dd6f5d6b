//! CTAP1, also known as U2F: raw messages (FIDO U2F Raw Message Formats v1.2), both directions.
//!
//! ```text
//! register      challenge 32 | application 32                                 → 05 | public key 65 | L | key handle L | certificate | signature
//! authenticate  challenge 32 | application 32 | L | key handle L              → user presence 1 | counter 4 BE | signature
//! version       nothing                                                       → "U2F_V2"
//! ```
//!
//! A request is an [`Apdu`], a response ends in a [`StatusWord`]. When CTAP2 is mapped to U2F, the application is the
//! SHA-256 of the RP ID and the challenge is the client data hash.

use crate::cbor::{Overflow, Writer};

mod apdu;
mod response;
mod status_word;

pub use apdu::Apdu;
pub use response::{AuthenticateResponse, RegisterResponse, ResponseError, VERSION, encode_status, response_data};
pub use status_word::StatusWord;

/// The longest key handle, in bytes.
pub const MAX_KEY_HANDLE: usize = 255;

const REGISTER: u8 = 0x01;
const AUTHENTICATE: u8 = 0x02;
const GET_VERSION: u8 = 0x03;

/// The control byte in P1: whether to sign, and whether the user must be present. Values that this version does not
/// name are kept unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control(pub u8);

impl Control {
    /// No control. Most registrations carry this, because authenticators ignore P1 there.
    pub const NONE: Control = Control(0x00);
    /// Sign if the user is present.
    pub const ENFORCE_USER_PRESENCE: Control = Control(0x03);
    /// Do not sign, only tell whether the key handle is known: [`StatusWord::CONDITIONS_NOT_SATISFIED`] means yes.
    pub const CHECK_ONLY: Control = Control(0x07);
    /// Sign, whether or not the user is present.
    pub const DONT_ENFORCE_USER_PRESENCE: Control = Control(0x08);
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Makes a credential.
    Register {
        /// [`Control::NONE`], or another value, which authenticators ignore.
        control: Control,
        /// SHA-256 of the client data.
        challenge: &'a [u8; 32],
        /// SHA-256 of the application's identity.
        application: &'a [u8; 32],
    },
    /// Signs with a credential.
    Authenticate {
        /// Whether to sign, and whether the user must be present.
        control: Control,
        /// SHA-256 of the client data.
        challenge: &'a [u8; 32],
        /// SHA-256 of the application's identity.
        application: &'a [u8; 32],
        /// The credential, at most [`MAX_KEY_HANDLE`] bytes.
        key_handle: &'a [u8],
    },
    /// Asks for [`VERSION`].
    Version,
}

/// Why a request could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RequestError {
    /// The APDU or its data has a wrong length.
    Length,
    /// The class byte is not the one of U2F.
    Class(u8),
    /// The instruction byte is not one of U2F.
    Instruction(u8),
}

impl RequestError {
    /// The status word that an authenticator answers.
    pub const fn status_word(self) -> StatusWord {
        match self {
            Self::Length => StatusWord::WRONG_LENGTH,
            Self::Class(_) => StatusWord::CLA_NOT_SUPPORTED,
            Self::Instruction(_) => StatusWord::INS_NOT_SUPPORTED,
        }
    }
}

impl<'a> Request<'a> {
    /// Reads a request in short or extended length encoding. P2 and the expected length are ignored.
    ///
    /// # Errors
    /// [`RequestError`]: a wrong length, class or instruction.
    pub fn decode(apdu: &'a [u8]) -> Result<Self, RequestError> {
        let apdu = Apdu::decode(apdu).ok_or(RequestError::Length)?;
        if apdu.class != 0 {
            return Err(RequestError::Class(apdu.class));
        }
        let control = Control(apdu.p1);
        match apdu.instruction {
            REGISTER => hashes(apdu.data).and_then(|(challenge, application, rest)| {
                rest.is_empty().then_some(Self::Register { control, challenge, application })
            }),
            AUTHENTICATE => hashes(apdu.data).and_then(|(challenge, application, rest)| {
                let (&length, key_handle) = rest.split_first()?;
                (key_handle.len() == usize::from(length)).then_some(Self::Authenticate {
                    control,
                    challenge,
                    application,
                    key_handle,
                })
            }),
            GET_VERSION => apdu.data.is_empty().then_some(Self::Version),
            other => return Err(RequestError::Instruction(other)),
        }
        .ok_or(RequestError::Length)
    }

    /// Writes the request in extended length encoding. A key handle is truncated to [`MAX_KEY_HANDLE`] bytes.
    ///
    /// # Errors
    /// [`Overflow`] with the size that the request needs.
    pub fn encode(&self, buffer: &mut [u8]) -> Result<usize, Overflow> {
        let mut w = Writer::new(buffer);
        match *self {
            Self::Register { control, challenge, application } => {
                apdu::encode(&mut w, REGISTER, control.0, &[challenge, application]);
            }
            Self::Authenticate { control, challenge, application, key_handle } => {
                let key_handle = key_handle.get(..MAX_KEY_HANDLE).unwrap_or(key_handle);
                let parts = [&challenge[..], application, &[key_handle.len() as u8], key_handle];
                apdu::encode(&mut w, AUTHENTICATE, control.0, &parts);
            }
            Self::Version => apdu::encode(&mut w, GET_VERSION, 0, &[]),
        }
        w.finish()
    }
}

/// The challenge, the application, and the rest of the data.
fn hashes(data: &[u8]) -> Option<(&[u8; 32], &[u8; 32], &[u8])> {
    let (challenge, rest) = data.split_first_chunk()?;
    let (application, rest) = rest.split_first_chunk()?;
    Some((challenge, application, rest))
}

#[cfg(test)]
mod tests;
