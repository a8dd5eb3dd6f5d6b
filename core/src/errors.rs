//! What every error says to a person: one sentence each, without a full stop, so that it can stand behind a colon.

use core::{
    error,
    fmt::{self, Debug, Display, Formatter},
};

use crate::{
    Status, cbor, crypto, ctap1, ctap2,
    pin_uv::PinError,
    transport::{
        fault::FaultError,
        hid::{Failure, HidError, HidErrorCode},
    },
};

impl error::Error for Status {}
impl error::Error for cbor::Error {}
impl error::Error for cbor::Overflow {}
impl error::Error for crypto::Error {}
impl error::Error for ctap1::StatusWord {}
impl error::Error for ctap1::RequestError {}
impl error::Error for ctap1::ResponseError {}
impl error::Error for ctap2::ResponseError {}
impl error::Error for PinError {}
impl error::Error for HidErrorCode {}
impl error::Error for Failure {}
impl<E: Debug + Display> error::Error for HidError<E> {}
impl<E: Debug + Display> error::Error for FaultError<E> {}

impl Display for cbor::ErrorKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the message ends inside an item",
            Self::Malformed => "a byte begins no CBOR item, or one of indefinite length",
            Self::NotShortest => "an integer or a length is not in its shortest form",
            Self::KeyOrder => "the keys of a map are out of order, or one stands twice",
            Self::Forbidden => "an item of this type may not stand here",
            Self::TooDeep => "arrays and maps are nested too deeply",
            Self::NotUtf8 => "a text string is not UTF-8",
            Self::TrailingBytes => "bytes follow the end of the message",
            Self::UnexpectedType => "an item has another type than the standard's",
            Self::Missing => "a required member is missing",
            Self::WrongLength => "a byte string has the wrong length",
            Self::OutOfRange => "a number is too large",
            Self::PrivateKey => "a COSE key has a member that only private keys have",
        })
    }
}

impl Display for cbor::Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at byte {}", self.kind(), self.offset())?;
        match self.member() {
            None => Ok(()),
            Some(member) => write!(f, ", in member 0x{member:02x}"),
        }
    }
}

impl Display for cbor::Overflow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "the message takes {} bytes, more than the buffer holds", self.needed)
    }
}

impl Display for crypto::Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsupported => "the crypto backend does not know the algorithm",
            Self::InvalidKey => "a key is malformed, out of range, or not on its curve",
            Self::InvalidLength => "an input has a length that the algorithm does not take",
            Self::OutputTooSmall => "the space for the output is too small",
            Self::Mismatch => "a tag or a signature does not verify",
            Self::Failed => "the hardware of the crypto backend failed",
            Self::RandomSource => "the random source failed",
        })
    }
}

impl Display for ctap1::RequestError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("the request has a wrong length"),
            Self::Class(class) => write!(f, "class 0x{class:02x} is not that of U2F"),
            Self::Instruction(instruction) => write!(f, "instruction 0x{instruction:02x} is not one of U2F"),
        }
    }
}

impl Display for ctap1::ResponseError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the authenticator answered {status}"),
            Self::Length => f.write_str("the response has a wrong length"),
            Self::Reserved(byte) => write!(f, "a registration begins with 0x{byte:02x} instead of 0x05"),
            Self::Der => f.write_str("a certificate or a signature is not DER"),
        }
    }
}

impl Display for ctap2::ResponseError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the authenticator answered {status}"),
            Self::Decode(error) => write!(f, "the response is malformed: {error}"),
            Self::Empty => f.write_str("the response is empty"),
        }
    }
}

impl Display for PinError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "the PIN has fewer characters than the authenticator requires",
            Self::TooLong => "the PIN is longer than 63 bytes of UTF-8",
            Self::TrailingZero => "the PIN ends in a zero byte",
        })
    }
}

impl Display for HidErrorCode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sentence = match *self {
            Self::INVALID_CMD => "the authenticator does not know the CTAPHID command",
            Self::INVALID_PAR => "a parameter has a value that is not allowed",
            Self::INVALID_LEN => "the message has a wrong length",
            Self::INVALID_SEQ => "a packet came out of order",
            Self::MSG_TIMEOUT => "the message paused for too long",
            Self::CHANNEL_BUSY => "the authenticator is busy with another request",
            Self::LOCK_REQUIRED => "the command needs a lock",
            Self::INVALID_CHANNEL => "the channel is not allocated, or not allowed for this command",
            Self::OTHER => "the authenticator refused without a reason",
            Self(code) => return write!(f, "the authenticator refused with CTAPHID error 0x{code:02x}"),
        };
        write!(f, "{sentence} ({self:?})")
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOpen => "the channel is not open",
            Self::Pending => "another transaction is under way",
            Self::RequestTooLong => "the request is longer than CTAPHID carries",
            Self::ResponseTooLong => "the response is longer than CTAPHID carries",
            Self::BufferTooSmall { needed } => {
                return write!(f, "the response takes {needed} bytes, more than the buffer holds");
            }
            Self::Timeout => "the authenticator did not answer in time",
            Self::Sequence => "a packet of the response is missing, doubled or out of place",
            Self::UnexpectedCommand(command) => return write!(f, "the response answers another command, {command:?}"),
        })
    }
}

impl<E: Display> Display for HidError<E> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the pipe of reports failed: {error}"),
            Self::Device(code) => Display::fmt(code, f),
            Self::Failed(failure) => Display::fmt(failure, f),
        }
    }
}

impl<E: Display> Display for FaultError<E> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => f.write_str("the cable is cut"),
            Self::Inner(error) => Display::fmt(error, f),
        }
    }
}

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "verify")]
mod verify;
#[cfg(feature = "webauthn")]
mod webauthn;

#[cfg(all(test, feature = "client", feature = "verify"))]
mod tests;
