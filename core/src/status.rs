//! CTAP status codes (CTAP 2.3 §8.2): the first byte of every response.

use core::{fmt, num::NonZeroU8};

use crate::named::named;

/// A status byte. Values that this version does not name are kept unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status(pub u8);

/// Why a command fails: a status other than success. A `Result<(), Failure>` is one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Failure(NonZeroU8);

macro_rules! statuses {
    ($($(#[$doc:meta])* $constant:ident = $value:literal;)*) => {
        named! { Status "0x{:02x}":
            /// Success.
            OK = 0x00;
            $($(#[$doc])* $constant = $value;)*
        }

        impl Failure {
            $($(#[$doc])* pub const $constant: Self = Self(const { NonZeroU8::new($value).expect("no success") });)*
        }
    };
}

statuses! {
    /// The command byte is not known.
    INVALID_COMMAND = 0x01;
    /// A parameter has a value that is not allowed.
    INVALID_PARAMETER = 0x02;
    /// The message or a member has a wrong length.
    INVALID_LENGTH = 0x03;
    /// Messages or fragments came in the wrong order.
    INVALID_SEQ = 0x04;
    /// The message timed out.
    TIMEOUT = 0x05;
    /// The channel is busy with another request.
    CHANNEL_BUSY = 0x06;
    /// The command needs a channel lock.
    LOCK_REQUIRED = 0x0A;
    /// The channel is not allowed for this command.
    INVALID_CHANNEL = 0x0B;
    /// A CBOR item has not the type that the standard requires.
    CBOR_UNEXPECTED_TYPE = 0x11;
    /// The CBOR is malformed or not canonical.
    INVALID_CBOR = 0x12;
    /// A required member is missing.
    MISSING_PARAMETER = 0x14;
    /// A limit on a list or a length is exceeded.
    LIMIT_EXCEEDED = 0x15;
    /// An extension is not supported (CTAP 2.0 only).
    UNSUPPORTED_EXTENSION = 0x16;
    /// No room for another fingerprint.
    FP_DATABASE_FULL = 0x17;
    /// No room for the large-blob array.
    LARGE_BLOB_STORAGE_FULL = 0x18;
    /// A credential of the exclude list is on this authenticator.
    CREDENTIAL_EXCLUDED = 0x19;
    /// Still working.
    PROCESSING = 0x21;
    /// The credential is not valid here.
    INVALID_CREDENTIAL = 0x22;
    /// Waiting for the user.
    USER_ACTION_PENDING = 0x23;
    /// Another operation is pending.
    OPERATION_PENDING = 0x24;
    /// No operation is pending.
    NO_OPERATIONS = 0x25;
    /// None of the algorithms is supported.
    UNSUPPORTED_ALGORITHM = 0x26;
    /// Declined, or not allowed by policy.
    OPERATION_DENIED = 0x27;
    /// No room for another credential.
    KEY_STORE_FULL = 0x28;
    /// The authenticator is not busy (CTAP 2.0 only).
    NOT_BUSY = 0x29;
    /// No operation is pending (CTAP 2.0 only).
    NO_OPERATION_PENDING = 0x2A;
    /// An option is not supported.
    UNSUPPORTED_OPTION = 0x2B;
    /// An option has a value that is not allowed.
    INVALID_OPTION = 0x2C;
    /// The pending request was cancelled.
    KEEPALIVE_CANCEL = 0x2D;
    /// No matching credential.
    NO_CREDENTIALS = 0x2E;
    /// The user did not act in time.
    USER_ACTION_TIMEOUT = 0x2F;
    /// The command is not allowed now.
    NOT_ALLOWED = 0x30;
    /// Wrong PIN.
    PIN_INVALID = 0x31;
    /// No PIN retries are left: the authenticator must be reset.
    PIN_BLOCKED = 0x32;
    /// pinUvAuthParam does not verify, or the token lacks the permission.
    PIN_AUTH_INVALID = 0x33;
    /// Too many wrong PINs in a row: a power cycle is needed.
    PIN_AUTH_BLOCKED = 0x34;
    /// No PIN is set.
    PIN_NOT_SET = 0x35;
    /// A PIN/UV auth token is required.
    PUAT_REQUIRED = 0x36;
    /// The PIN breaks the policy.
    PIN_POLICY_VIOLATION = 0x37;
    /// The token has expired (CTAP 2.0 only).
    PIN_TOKEN_EXPIRED = 0x38;
    /// The request is larger than maxMsgSize.
    REQUEST_TOO_LARGE = 0x39;
    /// The action timed out.
    ACTION_TIMEOUT = 0x3A;
    /// User presence is required.
    UP_REQUIRED = 0x3B;
    /// Built-in user verification is blocked.
    UV_BLOCKED = 0x3C;
    /// A checksum does not match.
    INTEGRITY_FAILURE = 0x3D;
    /// The subcommand is not known.
    INVALID_SUBCOMMAND = 0x3E;
    /// Built-in user verification failed.
    UV_INVALID = 0x3F;
    /// The permission cannot be granted.
    UNAUTHORIZED_PERMISSION = 0x40;
    /// Anything else.
    OTHER = 0x7F;
    /// The first of the errors that an extension defines.
    EXTENSION_FIRST = 0xE0;
}

impl Failure {
    /// The failure with this status, or `None` for success.
    pub const fn new(status: Status) -> Option<Self> {
        match NonZeroU8::new(status.0) {
            Some(byte) => Some(Self(byte)),
            None => None,
        }
    }

    /// The status.
    pub const fn status(self) -> Status {
        Status(self.0.get())
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        failure.status()
    }
}

impl Status {
    /// Whether this is [`Status::OK`].
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} (0x{:02x})", self.0),
            None => write!(f, "status 0x{:02x}", self.0),
        }
    }
}
