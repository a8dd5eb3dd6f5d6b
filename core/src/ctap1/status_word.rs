//! Status words: the last two bytes of every response (ISO 7816-4 §5.6).

use core::fmt;

use crate::named::named;

/// A status word. Values that this version does not name are kept unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StatusWord(pub u16);

named! { StatusWord "0x{:04x}":
    /// Success.
    NO_ERROR = 0x9000;
    /// The authenticator still works on the request (NFC, CTAP 2.3 §11.3.7.2).
    STATUS_UPDATE = 0x9100;
    /// The data has a wrong length.
    WRONG_LENGTH = 0x6700;
    /// The user must be present. As the answer to [`Control::CHECK_ONLY`](super::Control::CHECK_ONLY): the key handle
    /// is known.
    CONDITIONS_NOT_SATISFIED = 0x6985;
    /// The command is not allowed now, because U2F is switched off.
    COMMAND_NOT_ALLOWED = 0x6986;
    /// The key handle is not known.
    WRONG_DATA = 0x6A80;
    /// There is no application of the name that SELECT gave (NFC).
    FILE_NOT_FOUND = 0x6A82;
    /// A parameter has a value without a meaning.
    INCORRECT_P1_P2 = 0x6A86;
    /// The instruction is not supported.
    INS_NOT_SUPPORTED = 0x6D00;
    /// The class is not supported.
    CLA_NOT_SUPPORTED = 0x6E00;
    /// The authenticator failed.
    UNKNOWN = 0x6F00;
}

impl fmt::Display for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} (0x{:04x})", self.0),
            None => write!(f, "status word 0x{:04x}", self.0),
        }
    }
}
