//! What every error says to a person: one sentence each, without a full stop, so that it can stand behind a colon.

use core::{
    error,
    fmt::{self, Display, Formatter},
};

use crate::{
    Status, cbor, crypto, ctap1, ctap2,
    pin_uv::PinError,
    transport::{
        ble::{self, BleError, BleErrorCode},
        fault::FaultError,
        hid::{HidError, HidErrorCode, HidFailure},
        nfc::{self, NfcError},
    },
};

impl error::Error for Status {}
impl error::Error for crate::Failure {}
impl error::Error for cbor::Error {}
impl error::Error for ctap1::StatusWord {}
impl error::Error for HidErrorCode {}
impl error::Error for BleErrorCode {}

impl Display for crate::Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Status::from(*self).fmt(f)
    }
}

/// Implements `Display`, and for `error` also `core::error::Error`, from a table of variants and format strings. `part`
/// is for types that stand inside an error.
macro_rules! says {
    ($($sort:ident $type:ty $(where $inner:ident)? { $($pattern:pat => $sentence:literal,)* })*) => {$(
        impl $(<$inner: core::fmt::Display>)? core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self {
                    $($pattern => write!(f, $sentence),)*
                }
            }
        }

        says!(@$sort $type $(where $inner)?);
    )*};
    (@error $type:ty $(where $inner:ident)?) => {
        impl $(<$inner: core::fmt::Debug + core::fmt::Display>)? core::error::Error for $type {}
    };
    (@part $type:ty) => {};
}

says! {
    part cbor::ErrorKind {
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
    }
    error crypto::Error {
        Self::Unsupported => "the crypto backend does not know the algorithm",
        Self::InvalidKey => "a key is malformed, out of range, or not on its curve",
        Self::InvalidLength => "an input has a length that the algorithm does not take",
        Self::OutputTooSmall => "the space for the output is too small",
        Self::Mismatch => "a tag or a signature does not verify",
        Self::Failed => "the hardware of the crypto backend failed",
        Self::RandomSource => "the random source failed",
    }
    error ctap1::RequestError {
        Self::Length => "the request has a wrong length",
        Self::Class(class) => "class 0x{class:02x} is not that of U2F",
        Self::Instruction(instruction) => "instruction 0x{instruction:02x} is not one of U2F",
    }
    error ctap1::ResponseError {
        Self::Status(status) => "the authenticator answered {status}",
        Self::Length => "the response has a wrong length",
        Self::Reserved(byte) => "a registration begins with 0x{byte:02x} instead of 0x05",
        Self::Der => "a certificate or a signature is not DER",
    }
    error ctap2::ResponseError {
        Self::Status(status) => "the authenticator answered {status}",
        Self::Decode(error) => "the response is malformed: {error}",
        Self::Empty => "the response is empty",
    }
    error PinError {
        Self::TooShort => "the PIN has fewer characters than the authenticator requires",
        Self::TooLong => "the PIN is longer than 63 bytes of UTF-8",
        Self::TrailingZero => "the PIN ends in a zero byte",
    }
    error HidFailure {
        Self::NotOpen => "the channel is not open",
        Self::Pending => "another transaction is under way",
        Self::RequestTooLong => "the request is longer than CTAPHID carries",
        Self::ResponseTooLong => "the response is longer than CTAPHID carries",
        Self::BufferTooSmall { needed } => "the response takes {needed} bytes, more than the buffer holds",
        Self::Timeout => "the authenticator did not answer in time",
        Self::Sequence => "a packet of the response is missing, doubled or out of place",
        Self::UnexpectedCommand(command) => "the response answers another command, {command:?}",
    }
    error cbor::Overflow {
        Self { needed } => "the message takes {needed} bytes, more than the buffer holds",
    }
    error HidError<E> where E {
        Self::Io(error) => "the pipe of reports failed: {error}",
        Self::Device(code) => "{code}",
        Self::Failed(failure) => "{failure}",
    }
    error nfc::NfcFailure {
        Self::NotSelected => "the authenticator is not selected",
        Self::Pending => "another transaction is under way",
        Self::NotAnApdu => "the request of U2F is not an APDU",
        Self::NotFido => "the answer to SELECT is not that of a FIDO authenticator",
        Self::Refused(status) => "the authenticator refused a command: {status}",
        Self::Malformed => "a response has no status word, or has no data and says that there is more",
        Self::ResponseTooLong => "the response is longer than 65,536 bytes",
        Self::BufferTooSmall { needed } => "the response takes {needed} bytes, more than the buffer holds",
        Self::Timeout => "the authenticator did not answer in time",
    }
    error NfcError<E> where E {
        Self::Io(error) => "the NFC reader failed: {error}",
        Self::Failed(failure) => "{failure}",
    }
    error ble::BleFailure {
        Self::Pending => "another transaction is under way",
        Self::RequestTooLong => "the request is longer than 65,535 bytes",
        Self::BufferTooSmall { needed } => "the response takes {needed} bytes, more than the buffer holds",
        Self::Timeout => "the authenticator did not answer in time",
        Self::Sequence => "a fragment of the response is missing, doubled, out of place, or of a wrong length",
        Self::UnexpectedCommand(command) => "the response answers another command, {command:?}",
    }
    error BleError<E> where E {
        Self::Io(error) => "the Bluetooth connection failed: {error}",
        Self::Device(code) => "{code}",
        Self::Failed(failure) => "{failure}",
    }
    error FaultError<E> where E {
        Self::Cut => "the cable is cut",
        Self::Inner(error) => "{error}",
    }
}

#[cfg(feature = "embedded-io-async")]
says! {
    error crate::transport::stream::StreamError<E> where E {
        Self::Stream(error) => "the stream failed: {error}",
        Self::Ended => "the stream has ended",
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

impl Display for BleErrorCode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sentence = match *self {
            Self::INVALID_CMD => "the authenticator does not know the command",
            Self::INVALID_PAR => "a parameter has a value that is not allowed",
            Self::INVALID_LEN => "the message or a fragment has a wrong length",
            Self::INVALID_SEQ => "a fragment came out of order",
            Self::REQ_TIMEOUT => "the message paused for too long",
            Self::BUSY => "the authenticator is busy with another request",
            Self::OTHER => "the authenticator refused without a reason",
            Self(code) => return write!(f, "the authenticator refused with error 0x{code:02x}"),
        };
        write!(f, "{sentence} ({self:?})")
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
