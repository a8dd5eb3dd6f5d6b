//! What was wrong with a message, and where.

use core::{fmt, num::NonZeroU32};

use crate::{Failure, Status};

/// A decoding error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error(
    /// `offset 16 bits | member 8 bits | kind 8 bits`. One number, so that a result with it travels in registers.
    NonZeroU32,
);

/// The kinds of decoding error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ErrorKind {
    /// The message ends inside an item.
    Truncated = 1,
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

impl ErrorKind {
    const fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Truncated,
            2 => Self::Malformed,
            3 => Self::NotShortest,
            4 => Self::KeyOrder,
            5 => Self::Forbidden,
            6 => Self::TooDeep,
            7 => Self::NotUtf8,
            8 => Self::TrailingBytes,
            9 => Self::UnexpectedType,
            10 => Self::Missing,
            11 => Self::WrongLength,
            12 => Self::OutOfRange,
            _ => Self::PrivateKey,
        }
    }
}

impl Error {
    pub(crate) const fn new(kind: ErrorKind, offset: usize) -> Self {
        let offset = if offset > 0xFFFF { 0xFFFF } else { offset as u32 };
        Self::packed(offset << 16 | kind as u32)
    }

    const fn packed(number: u32) -> Self {
        match NonZeroU32::new(number) {
            Some(number) => Self(number),
            None => Self(NonZeroU32::MIN), // cannot be: no kind is 0
        }
    }

    /// Names the top-level member in which the error lies; the outermost name wins.
    pub const fn within(self, member: u8) -> Self {
        Self::packed(self.0.get() & !0xFF00 | (member as u32) << 8)
    }

    /// What was wrong.
    pub const fn kind(self) -> ErrorKind {
        ErrorKind::from_byte(self.0.get() as u8)
    }

    /// Where, in bytes from the start of the CBOR. Stops counting at 65,535.
    pub const fn offset(self) -> usize {
        (self.0.get() >> 16) as usize
    }

    /// The integer key of the message's member in which the error lies, if it lies in one.
    pub const fn member(self) -> Option<u8> {
        let member = (self.0.get() >> 8) as u8;
        if member == 0 { None } else { Some(member) }
    }

    /// The status an authenticator answers (CTAP 2.3 §8.1).
    pub const fn status(self) -> Status {
        self.failure().status()
    }

    const fn failure(self) -> Failure {
        match self.kind() {
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
        write!(f, "{:?} at byte {}", self.kind(), self.offset())?;
        match self.member() {
            None => Ok(()),
            Some(member) => write!(f, ", member 0x{member:02x}"),
        }
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Error {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{} at byte {}, member {}", self.kind(), self.offset(), self.member());
    }
}
