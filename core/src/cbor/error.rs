//! What was wrong with a message, and where. Four bytes, so that it travels in a register.

use core::fmt;

use crate::{Failure, Status};

/// A decoding error.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Error {
    offset: u16,
    kind: ErrorKind,
    member: u8,
}

/// The kinds of decoding error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ErrorKind {
    /// The message ends inside an item.
    Truncated,
    /// A head byte has no meaning, or is an indefinite length.
    Malformed,
    /// An integer or a length is not in its shortest form.
    NotShortest,
    /// Map keys are out of order or appear twice.
    KeyOrder,
    /// A tag, a float, an unassigned simple value, or a compound attestation within another, where none is allowed.
    Forbidden,
    /// Arrays and maps are nested too deeply.
    TooDeep,
    /// A text string is not UTF-8.
    NotUtf8,
    /// Bytes follow the end of the message.
    TrailingBytes,
    /// An item has another type than the standard's.
    UnexpectedType,
    /// A required member is missing; [`Error::member`] names it.
    Missing,
    /// A byte string has the wrong length.
    WrongLength,
    /// A number is too large for its member.
    OutOfRange,
    /// A COSE key has a member that only private keys have.
    PrivateKey,
}

impl Error {
    pub(crate) const fn new(kind: ErrorKind, offset: usize) -> Self {
        let offset = if offset > u16::MAX as usize { u16::MAX } else { offset as u16 };
        Self { offset, kind, member: 0 }
    }

    /// Names the top-level member in which the error lies; the outermost name wins.
    pub const fn within(self, member: u8) -> Self {
        Self { member, ..self }
    }

    /// What was wrong.
    pub const fn kind(self) -> ErrorKind {
        self.kind
    }

    /// Where, in bytes from the start of the CBOR. Stops counting at 65,535.
    pub const fn offset(self) -> usize {
        self.offset as usize
    }

    /// The integer key of the message's member in which the error lies, if it lies in one.
    pub const fn member(self) -> Option<u8> {
        if self.member == 0 { None } else { Some(self.member) }
    }

    /// The status an authenticator answers (CTAP 2.3 §8.1).
    pub const fn status(self) -> Status {
        self.failure().status()
    }

    const fn failure(self) -> Failure {
        match self.kind {
            ErrorKind::UnexpectedType => Failure::CBOR_UNEXPECTED_TYPE,
            ErrorKind::Missing => Failure::MISSING_PARAMETER,
            ErrorKind::WrongLength | ErrorKind::OutOfRange | ErrorKind::PrivateKey => Failure::INVALID_PARAMETER,
            _ => Failure::INVALID_CBOR,
        }
    }
}

/// What an authenticator answers to a request with this error (CTAP 2.3 §8.1).
impl From<Error> for Failure {
    #[inline(never)]
    fn from(error: Error) -> Self {
        error.failure()
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at byte {}", self.kind, self.offset)?;
        match self.member {
            0 => Ok(()),
            member => write!(f, ", member 0x{member:02x}"),
        }
    }
}
