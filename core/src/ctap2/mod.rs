//! CTAP2 messages, one file per command, each with its request and its response in both directions (CTAP 2.3 §6).
//!
//! A request on the wire is [`Command`] and a CBOR map, a response is [`Status`] and, where there
//! is something to return, a CBOR map. Messages borrow from the buffer they were read from; unknown members are ignored
//! and unknown values kept.

use crate::{
    Status,
    cbor::{self, Overflow, Read, Reader, Write, Writer},
};

pub mod client_pin;
mod entities;
pub mod get_assertion;
pub mod get_info;
pub mod make_credential;

pub use entities::{CredentialDescriptor, CredentialParameters, CredentialType, PUBLIC_KEY, RpEntity, UserEntity};

/// A command byte. Values this version does not name are kept as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command(pub u8);

impl Command {
    /// authenticatorMakeCredential.
    pub const MAKE_CREDENTIAL: Command = Command(0x01);
    /// authenticatorGetAssertion.
    pub const GET_ASSERTION: Command = Command(0x02);
    /// authenticatorGetInfo.
    pub const GET_INFO: Command = Command(0x04);
    /// authenticatorClientPIN.
    pub const CLIENT_PIN: Command = Command(0x06);
    /// authenticatorReset.
    pub const RESET: Command = Command(0x07);
    /// authenticatorGetNextAssertion.
    pub const GET_NEXT_ASSERTION: Command = Command(0x08);
    /// authenticatorBioEnrollment.
    pub const BIO_ENROLLMENT: Command = Command(0x09);
    /// authenticatorCredentialManagement.
    pub const CREDENTIAL_MANAGEMENT: Command = Command(0x0A);
    /// authenticatorSelection.
    pub const SELECTION: Command = Command(0x0B);
    /// authenticatorLargeBlobs.
    pub const LARGE_BLOBS: Command = Command(0x0C);
    /// authenticatorConfig.
    pub const CONFIG: Command = Command(0x0D);
}

/// Writes a request: the command and its parameters. Errors: [`Overflow`] with the size it takes.
pub fn encode_request<T: Write>(command: Command, parameters: &T, buffer: &mut [u8]) -> Result<usize, Overflow> {
    let mut w = Writer::new(buffer);
    w.byte(command.0);
    parameters.write(&mut w);
    w.finish()
}

/// Writes a request without parameters. Errors: [`Overflow`].
pub fn encode_command(command: Command, buffer: &mut [u8]) -> Result<usize, Overflow> {
    let mut w = Writer::new(buffer);
    w.byte(command.0);
    w.finish()
}

/// Writes a successful response. Errors: [`Overflow`] with the size it takes.
pub fn encode_response<T: Write>(response: &T, buffer: &mut [u8]) -> Result<usize, Overflow> {
    let mut w = Writer::new(buffer);
    w.byte(Status::OK.0);
    response.write(&mut w);
    w.finish()
}

/// Why a response could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseError {
    /// The authenticator answered with an error.
    Status(Status),
    /// The answer is not what the standard says.
    Decode(cbor::Error),
    /// The answer is empty.
    Empty,
}

/// Splits a response into its status and its body. Errors: [`ResponseError::Empty`], [`ResponseError::Status`].
pub fn response_body(response: &[u8]) -> Result<&[u8], ResponseError> {
    match response.split_first() {
        Some((0, body)) => Ok(body),
        Some((&status, _)) => Err(ResponseError::Status(Status(status))),
        None => Err(ResponseError::Empty),
    }
}

/// Decodes a response under the tolerant rules. Errors: [`ResponseError`].
pub fn decode_response<'a, T: Read<'a>>(response: &'a [u8]) -> Result<T, ResponseError> {
    let mut r = Reader::tolerant(response_body(response)?);
    let value = T::read(&mut r).map_err(ResponseError::Decode)?;
    r.finish().map_err(ResponseError::Decode)?;
    Ok(value)
}
