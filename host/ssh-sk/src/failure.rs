//! Why a call fails: OpenSSH's number, and a line for the user.

use std::ffi::c_int;

use keyfob_core::{Status, client::Cause, client::Error};

use crate::abi;

/// Why a call fails.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the call returns.
    pub code: c_int,
    /// What the user has to know, where OpenSSH's own words do not say it. Without secrets.
    pub why: Option<String>,
}

impl Failure {
    /// With a line for the user.
    pub fn new(code: c_int, why: impl Into<String>) -> Self {
        Self { code, why: Some(why.into()) }
    }

    /// What OpenSSH answers by asking its user.
    pub const fn silent(code: c_int) -> Self {
        Self { code, why: None }
    }
}

/// What is to be known of the user verification when a ceremony has failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verification {
    /// OpenSSH has given a PIN.
    pub pin_given: bool,
    /// The authenticator has a PIN.
    pub pin_is_set: bool,
    /// The attempts that are left, if the PIN that was given is wrong, and the authenticator says so.
    pub retries: Option<u8>,
}

impl Failure {
    /// Why a ceremony failed.
    pub fn of(error: Error, verification: Verification) -> Self {
        let Verification { pin_given, pin_is_set, retries } = verification;
        match error.cause {
            // There is nothing that OpenSSH could ask for.
            Cause::PinRequired | Cause::UvDeclined | Cause::PinNotSet | Cause::UvUnavailable if !pin_is_set => {
                Self::new(
                    abi::ERR_GENERAL,
                    "the key has to verify its user, and has neither a PIN nor a finger: set a PIN first",
                )
            }
            cause if asks_for_pin(cause) && !pin_given => Self::silent(abi::ERR_PIN_REQUIRED),
            cause if asks_for_pin(cause) => Self::new(abi::ERR_PIN_REQUIRED, wrong_pin(retries)),
            Cause::Status(Status::NO_CREDENTIALS | Status::INVALID_CREDENTIAL) => {
                Self::new(abi::ERR_DEVICE_NOT_FOUND, "the key that was asked does not hold this SSH key")
            }
            cause if is_unsupported(cause) => Self::new(abi::ERR_UNSUPPORTED, cause.to_string()),
            cause => Self::new(abi::ERR_GENERAL, cause.to_string()),
        }
    }
}

/// Whether another PIN can help.
const fn asks_for_pin(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::PinRequired
            | Cause::PinLength
            | Cause::Status(
                Status::PIN_INVALID | Status::PIN_AUTH_INVALID | Status::PUAT_REQUIRED | Status::UV_INVALID
            )
    )
}

const fn is_unsupported(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::NoCommonAlgorithm
            | Cause::ResidentKeyUnsupported
            | Cause::CredProtectUnsupported
            | Cause::Unsupported
            | Cause::UvUnavailable
            | Cause::Status(
                Status::UNSUPPORTED_ALGORITHM
                    | Status::UNSUPPORTED_OPTION
                    | Status::INVALID_OPTION
                    | Status::INVALID_COMMAND
            )
    )
}

fn wrong_pin(retries: Option<u8>) -> String {
    match retries {
        Some(1) => "the PIN is wrong; 1 attempt is left".into(),
        Some(retries) => format!("the PIN is wrong; {retries} attempts are left"),
        None => "the PIN is wrong".into(),
    }
}
