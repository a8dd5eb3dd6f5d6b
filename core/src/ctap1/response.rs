//! Responses of U2F.

use super::{MAX_KEY_HANDLE, StatusWord};
use crate::cbor::{Overflow, Writer};

/// The answer to [`Request::Version`](super::Request::Version).
pub const VERSION: &[u8] = b"U2F_V2";

/// The first byte of the response to a registration.
const RESERVED: u8 = 0x05;

/// Why a response could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ResponseError {
    /// The authenticator answered with an error.
    Status(StatusWord),
    /// The response is too short or too long.
    Length,
    /// The first byte of a registration is not 5.
    Reserved(u8),
    /// A certificate or a signature is not DER.
    Der,
}

/// Splits the status word off a response.
///
/// # Errors
/// [`ResponseError::Length`] for fewer than two bytes; [`ResponseError::Status`] for any other status than NO_ERROR.
pub fn response_data(response: &[u8]) -> Result<&[u8], ResponseError> {
    let (data, &status) = response.split_last_chunk().ok_or(ResponseError::Length)?;
    match StatusWord(u16::from_be_bytes(status)) {
        StatusWord::NO_ERROR => Ok(data),
        status => Err(ResponseError::Status(status)),
    }
}

/// Writes a response that is `data` and a status word: [`VERSION`], or nothing and an error.
///
/// # Errors
/// [`Overflow`] with the size that the response needs.
pub fn encode_status(data: &[u8], status: StatusWord, buffer: &mut [u8]) -> Result<usize, Overflow> {
    let mut w = Writer::new(buffer);
    w.raw(data);
    w.raw(&status.0.to_be_bytes());
    w.finish()
}

/// The response to a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterResponse<'a> {
    /// The new public key, an uncompressed point on P-256: 04, x, y. This type does not check that it is one.
    pub public_key: &'a [u8; 65],
    /// The credential, at most [`MAX_KEY_HANDLE`] bytes.
    pub key_handle: &'a [u8],
    /// The attestation certificate, one DER element.
    pub certificate: &'a [u8],
    /// ES256 with the certificate's key over `00 | application | challenge | key handle | public key`, one DER element.
    pub signature: &'a [u8],
}

impl<'a> RegisterResponse<'a> {
    /// Reads a response with its status word.
    ///
    /// # Errors
    /// [`ResponseError`].
    pub fn decode(response: &'a [u8]) -> Result<Self, ResponseError> {
        let data = response_data(response)?;
        let (&reserved, rest) = data.split_first().ok_or(ResponseError::Length)?;
        if reserved != RESERVED {
            return Err(ResponseError::Reserved(reserved));
        }
        let (public_key, rest) = rest.split_first_chunk().ok_or(ResponseError::Length)?;
        let (&length, rest) = rest.split_first().ok_or(ResponseError::Length)?;
        let (key_handle, rest) = rest.split_at_checked(usize::from(length)).ok_or(ResponseError::Length)?;
        let (certificate, rest) = element(rest)?;
        let (signature, rest) = element(rest)?;
        if !rest.is_empty() {
            return Err(ResponseError::Length);
        }
        Ok(Self { public_key, key_handle, certificate, signature })
    }

    /// Writes the response and [`StatusWord::NO_ERROR`]. A key handle is truncated to [`MAX_KEY_HANDLE`] bytes.
    ///
    /// # Errors
    /// [`Overflow`] with the size that the response needs.
    pub fn encode(&self, buffer: &mut [u8]) -> Result<usize, Overflow> {
        let key_handle = self.key_handle.get(..MAX_KEY_HANDLE).unwrap_or(self.key_handle);
        let mut w = Writer::new(buffer);
        w.byte(RESERVED);
        w.raw(self.public_key);
        w.byte(key_handle.len() as u8);
        w.raw(key_handle);
        w.raw(self.certificate);
        w.raw(self.signature);
        w.raw(&StatusWord::NO_ERROR.0.to_be_bytes());
        w.finish()
    }
}

/// The response to an authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticateResponse<'a> {
    /// Bit 0: the user was present.
    pub user_presence: u8,
    /// The signature counter.
    pub counter: u32,
    /// ES256 over `application | user presence | counter | challenge`, one DER element.
    pub signature: &'a [u8],
}

impl<'a> AuthenticateResponse<'a> {
    /// Reads a response with its status word.
    ///
    /// # Errors
    /// [`ResponseError`].
    pub fn decode(response: &'a [u8]) -> Result<Self, ResponseError> {
        let data = response_data(response)?;
        let (&user_presence, rest) = data.split_first().ok_or(ResponseError::Length)?;
        let (&counter, rest) = rest.split_first_chunk().ok_or(ResponseError::Length)?;
        let (signature, rest) = element(rest)?;
        if !rest.is_empty() {
            return Err(ResponseError::Length);
        }
        Ok(Self { user_presence, counter: u32::from_be_bytes(counter), signature })
    }

    /// Writes the response and [`StatusWord::NO_ERROR`].
    ///
    /// # Errors
    /// [`Overflow`] with the size that the response needs.
    pub fn encode(&self, buffer: &mut [u8]) -> Result<usize, Overflow> {
        let mut w = Writer::new(buffer);
        w.byte(self.user_presence);
        w.raw(&self.counter.to_be_bytes());
        w.raw(self.signature);
        w.raw(&StatusWord::NO_ERROR.0.to_be_bytes());
        w.finish()
    }
}

/// The first DER SEQUENCE and the rest of the bytes.
fn element(bytes: &[u8]) -> Result<(&[u8], &[u8]), ResponseError> {
    let (head, content) = match *bytes {
        [0x30, length @ 0..=0x7F, ..] => (2usize, usize::from(length)),
        [0x30, 0x81, length, ..] => (3, usize::from(length)),
        [0x30, 0x82, a, b, ..] => (4, usize::from(u16::from_be_bytes([a, b]))),
        [] | [0x30] | [0x30, 0x81] | [0x30, 0x82] | [0x30, 0x82, _] => return Err(ResponseError::Length),
        _ => return Err(ResponseError::Der),
    };
    bytes.split_at_checked(head.saturating_add(content)).ok_or(ResponseError::Length)
}
