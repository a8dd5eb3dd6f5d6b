//! Why a command about a key fails: a line that says what happened and what to do, and an exit code.

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
};

use keyfob::{Address, OpenError, OpenErrorReason};
use keyfob_core::{
    Status,
    client::{Cause, Error},
};
use serde_json::json;

use crate::write_line;

/// What the exit codes mean. 0 is success, and 2 a command line that cannot be read.
pub const EXIT_CODES: &str = "Exit codes:
  0    done
  1    another failure
  2    the command line cannot be read
  3    no key: none is plugged in, or there is none at this address
  4    the key is there and cannot be opened
  5    the PIN is missing or wrong, or the user was not verified
  6    the key takes no PIN or finger any more, for now or until it is reset
  7    the key was not touched in time, or its user declined
  8    the key cannot do this
  9    the key has no such credential, fingerprint or blob
  10   the key is full
  11   the key holds an excluded credential already
  12   the response does not verify
  13   a file or a value cannot be used
  14   the connection to the key was lost
  15   the user was asked before something is erased, and did not agree
  130  Ctrl-C";

/// The kinds of failure, by their exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Other = 1,
    NoKey = 3,
    NotOpened = 4,
    NotVerified = 5,
    Blocked = 6,
    NotTouched = 7,
    Unsupported = 8,
    NotFound = 9,
    Full = 10,
    Excluded = 11,
    Refused = 12,
    BadInput = 13,
    ConnectionLost = 14,
    NotAgreed = 15,
    Interrupted = 130,
}

impl Kind {
    /// Its name in JSON.
    const fn name(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::NoKey => "noKey",
            Self::NotOpened => "notOpened",
            Self::NotVerified => "notVerified",
            Self::Blocked => "blocked",
            Self::NotTouched => "notTouched",
            Self::Unsupported => "unsupported",
            Self::NotFound => "notFound",
            Self::Full => "full",
            Self::Excluded => "excluded",
            Self::Refused => "refused",
            Self::BadInput => "badInput",
            Self::ConnectionLost => "connectionLost",
            Self::NotAgreed => "notAgreed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Why a command fails.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: Kind,
    /// What happened and what to do, in a line, without secrets.
    pub message: String,
    /// What the key answered.
    pub status: Option<Status>,
}

impl Failure {
    pub fn new(kind: Kind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string(), status: None }
    }

    /// The same once more.
    pub fn copy(&self) -> Self {
        Self { kind: self.kind, message: self.message.clone(), status: self.status }
    }

    /// Ctrl-C.
    pub fn interrupted() -> Self {
        Self::new(Kind::Interrupted, "interrupted: the request was cancelled at the key")
    }

    /// Tells it, as JSON to the standard output or as text to the standard error, which also takes it where nobody reads
    /// the JSON.
    pub fn tell(&self, is_json: bool) -> ExitCode {
        let Self { kind, message, status } = self;
        if is_json {
            let (exit_code, status) = (*kind as u8, status.map(|status| status.0));
            let error = json!({ "kind": kind.name(), "exitCode": exit_code, "message": message, "status": status });
            if write_line(format_args!("{}", json!({ "error": error }))).is_ok() {
                return ExitCode::from(exit_code);
            }
        }
        let _ = writeln!(io::stderr(), "keyfob: {message}");
        ExitCode::from(*kind as u8)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let address = &error.address;
        match &error.reason {
            OpenErrorReason::NotFound => Self::new(Kind::NoKey, format_args!("there is no key at {address}")),
            OpenErrorReason::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Self::new(Kind::NoKey, format_args!("there is no key at {address}: nothing listens there"))
            }
            OpenErrorReason::NoPermission if !is_device(address) => Self::new(
                Kind::NotOpened,
                format_args!(
                    "you may not open {address}: the user who serves it, or a change of the file's mode, permits it"
                ),
            ),
            OpenErrorReason::NoPermission => Self::new(
                Kind::NotOpened,
                format_args!("you may not open {address}: `sudo keyfob udev-rules --install` permits it"),
            ),
            OpenErrorReason::NotASecurityKey => Self::new(
                Kind::NoKey,
                format_args!("{address} is not a security key: `keyfob list` shows those there are"),
            ),
            _ => Self::new(Kind::NotOpened, error),
        }
    }
}

/// Whether udev decides who may open it.
const fn is_device(address: &Address) -> bool {
    !matches!(address, Address::Tcp(_) | Address::Unix(_))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (kind, message) = match error.cause {
            Cause::Status(status) => return Self { status: Some(status), ..of_status(status) },
            Cause::Transport => {
                (Kind::ConnectionLost, "the connection to the key was lost: was it unplugged? Plug it in and try again")
            }
            Cause::Cancelled => return Self::interrupted(),
            Cause::Timeout => (Kind::NotTouched, "the time ran out before the key was touched"),
            Cause::PinNotSet => (Kind::NotVerified, "the key has no PIN: set one with `keyfob pin set`"),
            Cause::PinRequired | Cause::UvDeclined => (Kind::NotVerified, "a PIN is needed, and none was given"),
            Cause::PinLength => (Kind::NotVerified, "the PIN is shorter or longer than this key's PINs can be"),
            Cause::PinChangeRequired => {
                (Kind::NotVerified, "the key wants another PIN first: change it with `keyfob pin change`")
            }
            Cause::PinAlreadySet => (Kind::BadInput, "the key has a PIN: change it with `keyfob pin change`"),
            Cause::UvUnavailable => (Kind::Unsupported, "the key has no way to verify its user"),
            Cause::Unsupported => (Kind::Unsupported, "the key cannot do this: `keyfob info` shows what it can"),
            Cause::RequestTooLarge { .. }
            | Cause::ResidentKeyUnsupported
            | Cause::CredProtectUnsupported
            | Cause::LargeBlobUnsupported
            | Cause::NoCommonAlgorithm => (Kind::Unsupported, ""),
            Cause::LargeBlobArrayTooLong { .. } => (Kind::Full, ""),
            Cause::InvalidOption(_) | Cause::ListTooLong { .. } => (Kind::BadInput, ""),
            _ => (Kind::Other, ""),
        };
        if message.is_empty() { Self::new(kind, error.cause) } else { Self::new(kind, message) }
    }
}

/// What the key refused.
fn of_status(status: Status) -> Failure {
    let (kind, message) = match status {
        Status::PIN_INVALID => (Kind::NotVerified, "the PIN is wrong"),
        Status::PUAT_REQUIRED | Status::UV_INVALID | Status::PIN_AUTH_INVALID => {
            (Kind::NotVerified, "the key could not verify its user")
        }
        Status::PIN_POLICY_VIOLATION => (Kind::NotVerified, "the new PIN breaks the key's rules: take a longer one"),
        Status::PIN_NOT_SET => (Kind::NotVerified, "the key has no PIN: set one with `keyfob pin set`"),
        Status::PIN_BLOCKED => {
            (Kind::Blocked, "the PIN is blocked: only `keyfob reset` helps, which erases everything on the key")
        }
        Status::PIN_AUTH_BLOCKED => {
            (Kind::Blocked, "too many wrong PINs in a row: unplug the key, plug it in, and try again")
        }
        Status::UV_BLOCKED => (Kind::Blocked, "the fingerprint sensor is blocked: use the PIN"),
        Status::OPERATION_DENIED | Status::KEEPALIVE_CANCEL => {
            (Kind::NotTouched, "the request was declined at the key")
        }
        Status::TIMEOUT | Status::USER_ACTION_TIMEOUT | Status::ACTION_TIMEOUT => {
            (Kind::NotTouched, "the key was not touched in time")
        }
        Status::NO_CREDENTIALS | Status::INVALID_CREDENTIAL => {
            (Kind::NotFound, "the key has no credential for this: `keyfob credentials list` shows those it can list")
        }
        Status::CREDENTIAL_EXCLUDED => (Kind::Excluded, "the key holds one of the excluded credentials already"),
        Status::KEY_STORE_FULL => {
            (Kind::Full, "the key has no room for another credential: `keyfob credentials delete` makes some")
        }
        Status::FP_DATABASE_FULL => {
            (Kind::Full, "the key has no room for another fingerprint: `keyfob fingerprints delete` makes some")
        }
        Status::LARGE_BLOB_STORAGE_FULL => (Kind::Full, "the key has no room for these blobs"),
        Status::INVALID_COMMAND | Status::INVALID_SUBCOMMAND | Status::UNSUPPORTED_OPTION | Status::INVALID_OPTION => {
            (Kind::Unsupported, "the key cannot do this: `keyfob info` shows what it can")
        }
        Status::UNSUPPORTED_ALGORITHM => (Kind::Unsupported, "the key has none of these algorithms"),
        Status::NOT_ALLOWED => (Kind::Other, "the key does not allow this now"),
        status => return Failure::new(Kind::Other, format_args!("the key answered {status}")),
    };
    Failure::new(kind, message)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_this_user_may_not_open_leads_to_the_rules_of_udev() {
        let address = Address::Hidraw("/dev/hidraw3".into());
        let failure = Failure::from(OpenError { address, reason: OpenErrorReason::NoPermission });
        let message = "you may not open /dev/hidraw3: `sudo keyfob udev-rules --install` permits it";
        assert_eq!((failure.kind, failure.message.as_str()), (Kind::NotOpened, message));
    }
}
