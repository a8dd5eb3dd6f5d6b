//! CTAP2 messages, one file per command, each with its request and its response in both directions (CTAP 2.3 §6).
//!
//! A request on the wire is [`Command`] and a CBOR map, a response is [`Status`] and, where there
//! is something to return, a CBOR map. Messages borrow from the buffer they were read from; unknown members are ignored
//! and unknown values kept.
//!
//! authenticatorReset and authenticatorSelection have neither parameters nor a response: [`encode_command`] writes
//! them. The commands of vendors carry what vendors like: [`encode_request`] takes a [`Raw`](cbor::Raw),
//! [`response_body`] gives the answer as it came.

use crate::{
    Status,
    cbor::{self, Overflow, RawMap, Read, Write, Writer},
};

/// Declares the module `subcommand`: a constant for each number, with what its docs say behind the standard's name, and
/// `NAMES`.
macro_rules! subcommands {
    ($($constant:ident = $number:literal $name:literal $($more:literal)?;)*) => {
        /// Subcommands.
        pub mod subcommand {
            $(#[doc = concat!($name, $($more,)? ".")] pub const $constant: u32 = $number;)*

            /// Every number with its name.
            pub const NAMES: &[(i64, &str)] = &[$(($number, $name)),*];
        }
    };
}

pub mod bio_enrollment;
pub mod client_pin;
pub mod config;
pub mod credential_management;
mod entities;
pub mod get_assertion;
pub mod get_info;
pub mod large_blobs;
pub mod make_credential;

pub use entities::{
    CommandOptions, CredentialDescriptor, CredentialParameters, CredentialType, PUBLIC_KEY, RpEntity, UserEntity,
};

/// A command byte. Values this version does not name are kept as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
    /// The prototype of authenticatorBioEnrollment, in "FIDO_2_1_PRE"; its maps are the same.
    pub const BIO_ENROLLMENT_PREVIEW: Command = Command(0x40);
    /// The prototype of authenticatorCredentialManagement, in "FIDO_2_1_PRE"; its maps are the same.
    pub const CREDENTIAL_MANAGEMENT_PREVIEW: Command = Command(0x41);

    /// Whether the command is of the range that is left to vendors. The two prototypes lie in it.
    pub const fn is_vendor(self) -> bool {
        matches!(self.0, 0x40..=0xBF)
    }
}

/// Writes a request: the command and its parameters.
///
/// ```
/// use keyfob_core::{cbor, ctap2::{Command, client_pin::{Request, subcommand}, encode_request}};
///
/// let parameters = Request { sub_command: Some(subcommand::GET_PIN_RETRIES), ..Request::default() };
/// let mut buffer = [0; 64];
/// let len = encode_request(Command::CLIENT_PIN, &parameters, &mut buffer)?;
/// assert_eq!(buffer[..len], [0x06, 0xA1, 0x02, 0x01]);
///
/// // The authenticator reads the same type.
/// assert_eq!(cbor::decode::<Request<'_>>(&buffer[1..len]), Ok(parameters));
/// # Ok::<(), cbor::Overflow>(())
/// ```
///
/// # Errors
/// [`Overflow`] with the size it takes.
pub fn encode_request<T: Write>(command: Command, parameters: &T, buffer: &mut [u8]) -> Result<usize, Overflow> {
    let mut w = Writer::new(buffer);
    w.byte(command.0);
    parameters.write(&mut w);
    w.finish()
}

/// Writes a request without parameters.
///
/// # Errors
/// [`Overflow`].
pub fn encode_command(command: Command, buffer: &mut [u8]) -> Result<usize, Overflow> {
    let mut w = Writer::new(buffer);
    w.byte(command.0);
    w.finish()
}

/// Writes a successful response.
///
/// # Errors
/// [`Overflow`] with the size it takes.
pub fn encode_response<T: Write>(response: &T, buffer: &mut [u8]) -> Result<usize, Overflow> {
    let mut w = Writer::new(buffer);
    w.byte(Status::OK.0);
    response.write(&mut w);
    w.finish()
}

/// Why a response could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ResponseError {
    /// The authenticator answered with an error.
    Status(Status),
    /// The answer is not what the standard says.
    Decode(cbor::Error),
    /// The answer is empty.
    Empty,
}

/// Splits a response into its status and its body.
///
/// # Errors
/// [`ResponseError::Empty`], [`ResponseError::Status`].
#[cfg_attr(feature = "small", inline(never))]
pub fn response_body(response: &[u8]) -> Result<&[u8], ResponseError> {
    match response.split_first() {
        Some((0, body)) => Ok(body),
        Some((&status, _)) => Err(ResponseError::Status(Status(status))),
        None => Err(ResponseError::Empty),
    }
}

/// Decodes a response under the tolerant rules.
///
/// ```
/// use keyfob_core::{Status, ctap2::{ResponseError, client_pin::Response, decode_response}};
///
/// let response: Response<'_> = decode_response(&[0x00, 0xA1, 0x03, 0x08])?;
/// assert_eq!(response.pin_retries, Some(8));
///
/// let refused = decode_response::<Response<'_>>(&[0x31]);
/// assert_eq!(refused, Err(ResponseError::Status(Status::PIN_INVALID)));
/// # Ok::<(), ResponseError>(())
/// ```
///
/// # Errors
/// [`ResponseError`].
pub fn decode_response<'a, T: Read<'a>>(response: &'a [u8]) -> Result<T, ResponseError> {
    cbor::decode_tolerant(response_body(response)?).map_err(ResponseError::Decode)
}

/// Reads subCommandParams, the member with key `member` of a request; absent ones are an empty map.
fn params<'a, T: Read<'a>>(params: Option<RawMap<'a>>, member: u8) -> Result<T, cbor::Error> {
    cbor::decode(params.unwrap_or(RawMap::EMPTY).0).map_err(|error| error.within(member))
}

#[cfg(test)]
mod tests;
