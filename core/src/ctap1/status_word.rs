//! Status words: the last two bytes of every response (ISO 7816-4 §5.6).

use core::fmt;

/// A status word. Values that this version does not name are kept unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StatusWord(pub u16);

impl StatusWord {
    /// Success.
    pub const NO_ERROR: StatusWord = StatusWord(0x9000);
    /// The data has a wrong length.
    pub const WRONG_LENGTH: StatusWord = StatusWord(0x6700);
    /// The user must be present. As the answer to [`Control::CHECK_ONLY`](super::Control::CHECK_ONLY): the key handle
    /// is known.
    pub const CONDITIONS_NOT_SATISFIED: StatusWord = StatusWord(0x6985);
    /// The command is not allowed now, because U2F is switched off.
    pub const COMMAND_NOT_ALLOWED: StatusWord = StatusWord(0x6986);
    /// The key handle is not known.
    pub const WRONG_DATA: StatusWord = StatusWord(0x6A80);
    /// A parameter has a value without a meaning.
    pub const INCORRECT_P1_P2: StatusWord = StatusWord(0x6A86);
    /// The instruction is not supported.
    pub const INS_NOT_SUPPORTED: StatusWord = StatusWord(0x6D00);
    /// The class is not supported.
    pub const CLA_NOT_SUPPORTED: StatusWord = StatusWord(0x6E00);
    /// The authenticator failed.
    pub const UNKNOWN: StatusWord = StatusWord(0x6F00);

    /// The standard's name without its prefix, where the standard has one.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::NO_ERROR => Some("NO_ERROR"),
            Self::WRONG_LENGTH => Some("WRONG_LENGTH"),
            Self::CONDITIONS_NOT_SATISFIED => Some("CONDITIONS_NOT_SATISFIED"),
            Self::COMMAND_NOT_ALLOWED => Some("COMMAND_NOT_ALLOWED"),
            Self::WRONG_DATA => Some("WRONG_DATA"),
            Self::INCORRECT_P1_P2 => Some("INCORRECT_P1_P2"),
            Self::INS_NOT_SUPPORTED => Some("INS_NOT_SUPPORTED"),
            Self::CLA_NOT_SUPPORTED => Some("CLA_NOT_SUPPORTED"),
            Self::UNKNOWN => Some("UNKNOWN"),
            _ => None,
        }
    }
}

impl fmt::Debug for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "StatusWord(0x{:04x})", self.0),
        }
    }
}

impl fmt::Display for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} (0x{:04x})", self.0),
            None => write!(f, "status word 0x{:04x}", self.0),
        }
    }
}
