//! The command under way. A new command is a file beside this one, and a line in each list here.

use keyfob_core::{Failure, ctap2::Command};

use super::{
    call::{Call, Outcome, Trigger},
    config::AuthenticatorPolicy,
    platform::Platform,
    state::TemplateId,
};

mod authenticator_config;
mod bio_enrollment;
mod client_pin;
mod credential_management;
mod get_assertion;
mod get_info;
mod large_blobs;
mod make_credential;
mod reset;
mod selection;
pub mod u2f;

/// A command and how far it has come, or the sequence that it has left. What it holds stays in place: secrets are wiped
/// where they lie when another command begins.
pub enum Running {
    Nothing,
    MakeCredential(make_credential::Run),
    GetAssertion(get_assertion::Run),
    GetInfo,
    ClientPin(client_pin::Run),
    Reset,
    BioEnrollment(bio_enrollment::Run),
    CredentialManagement(credential_management::Listings),
    Selection,
    LargeBlobs(large_blobs::Run),
    Config,
    U2f(u2f::Run),
}

impl Running {
    /// A command begins. A sequence that it does not go on with ends.
    #[inline(never)]
    pub fn start(&mut self, command: Option<Command>) -> Result<(), Failure> {
        let goes_on = match self {
            Self::GetAssertion(_) => matches!(command, Some(Command::GET_NEXT_ASSERTION)),
            Self::LargeBlobs(_) => matches!(command, Some(Command::LARGE_BLOBS)),
            Self::CredentialManagement(_) => {
                matches!(command, Some(Command::CREDENTIAL_MANAGEMENT | Command::CREDENTIAL_MANAGEMENT_PREVIEW))
            }
            Self::BioEnrollment(_) => {
                matches!(command, Some(Command::BIO_ENROLLMENT | Command::BIO_ENROLLMENT_PREVIEW))
            }
            _ => false,
        };
        if goes_on {
            return Ok(());
        }
        *self = Self::Nothing;
        // Assigned in each arm, so that the value is built in place. As the value of the `match` it would be built on
        // the stack and copied.
        match command.ok_or(Failure::INVALID_LENGTH)? {
            Command::MAKE_CREDENTIAL => *self = Self::MakeCredential(Default::default()),
            Command::GET_ASSERTION => *self = Self::GetAssertion(Default::default()),
            Command::GET_NEXT_ASSERTION => return Err(Failure::NOT_ALLOWED),
            Command::GET_INFO => *self = Self::GetInfo,
            Command::CLIENT_PIN => *self = Self::ClientPin(Default::default()),
            Command::RESET => *self = Self::Reset,
            Command::BIO_ENROLLMENT | Command::BIO_ENROLLMENT_PREVIEW => {
                *self = Self::BioEnrollment(Default::default())
            }
            Command::CREDENTIAL_MANAGEMENT | Command::CREDENTIAL_MANAGEMENT_PREVIEW => {
                *self = Self::CredentialManagement(Default::default());
            }
            Command::SELECTION => *self = Self::Selection,
            Command::LARGE_BLOBS => *self = Self::LargeBlobs(Default::default()),
            Command::CONFIG => *self = Self::Config,
            _ => return Err(Failure::INVALID_COMMAND),
        }
        Ok(())
    }

    /// A U2F request begins. A sequence ends.
    #[inline(never)]
    pub fn start_u2f(&mut self) {
        *self = Self::U2f(Default::default());
    }

    /// One atom of the command.
    pub fn step<P: Platform>(&mut self, call: &mut Call<'_, '_, P>, cause: Trigger) -> Outcome {
        match self {
            Self::Nothing => Err(Failure::NOT_ALLOWED),
            Self::U2f(run) => run.step(call),
            _ if !P::CTAP2 => Err(Failure::INVALID_COMMAND), // so that their code is not compiled
            Self::MakeCredential(run) => run.step(call, cause),
            Self::GetAssertion(run) => run.step(call, cause),
            Self::GetInfo => get_info::step(call),
            Self::ClientPin(run) => run.step(call, cause),
            Self::Reset => reset::step(call, cause),
            Self::BioEnrollment(run) => run.step(call, cause),
            Self::CredentialManagement(run) => run.step(call),
            Self::Selection => selection::step(call, cause),
            Self::LargeBlobs(run) => run.step(call, cause),
            Self::Config => authenticator_config::step(call),
        }
    }

    /// The command ends. What the next one may go on with is left.
    pub fn end(&mut self) {
        let goes_on = match self {
            Self::GetAssertion(run) => run.end(),
            Self::BioEnrollment(run) => run.end(),
            Self::CredentialManagement(run) => run.end(),
            Self::LargeBlobs(run) => run.end(),
            _ => false,
        };
        if !goes_on {
            *self = Self::Nothing;
        }
    }

    /// Whether the command has changed the store for good, so that its answer has to be sent.
    pub fn is_committed(&self) -> bool {
        match self {
            Self::MakeCredential(run) => run.is_committed(),
            Self::GetAssertion(run) => run.is_committed(),
            _ => false,
        }
    }

    /// The status when its touch was refused.
    pub const fn refused(&self, policy: AuthenticatorPolicy, status: Failure) -> Failure {
        match self {
            Self::MakeCredential(run) => run.refused(policy, status),
            Self::GetAssertion(run) => run.refused(policy, status),
            _ => status,
        }
    }

    /// Whether it issues a token to the user who is verified.
    pub const fn issues_token(&self) -> bool {
        matches!(self, Self::ClientPin(_))
    }

    /// Whether a PIN attempt is counted, and the PIN has not been found right.
    pub const fn is_unproven(&self) -> bool {
        matches!(self, Self::ClientPin(run) if run.unproven)
    }

    /// The fingerprint that is being enrolled.
    pub fn enrolls(&self) -> Option<TemplateId> {
        match self {
            Self::BioEnrollment(run) => run.enrolls(),
            _ => None,
        }
    }
}
