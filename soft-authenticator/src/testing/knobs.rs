//! What a test can tell the key to do, and what the key remembers of what it was asked.

use std::time::Duration;

use keyfob_core::{
    Status,
    auth_data::Flags,
    bytes, cbor,
    crypto::{Hash, RustCrypto},
    ctap2::{Command, CommandOptions, get_assertion, make_credential},
};

/// What the key says against the truth, in every response from then on. Where the lie is in authenticator data, the
/// signature is valid: the key signs the lie.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lie {
    /// The signature does not verify.
    BogusSignature,
    /// The flag UP.
    UserPresent(bool),
    /// The flag UV.
    UserVerified(bool),
    /// The flag BE.
    BackupEligibility(bool),
    /// The flag BS.
    BackupState(bool),
    /// The rpIdHash is that of this RP ID.
    RpId(String),
    /// The AAGUID of a registration. An attestation certificate still says the true one.
    Aaguid([u8; 16]),
}

impl Lie {
    /// Writes it to authenticator data (WebAuthn L3 §6.1).
    pub(super) fn tell(&self, auth_data: &mut [u8]) {
        match self {
            Self::BogusSignature => {}
            Self::UserPresent(on) => set(auth_data, Flags::UP, *on),
            Self::UserVerified(on) => set(auth_data, Flags::UV, *on),
            Self::BackupEligibility(on) => set(auth_data, Flags::BE, *on),
            Self::BackupState(on) => set(auth_data, Flags::BS, *on),
            Self::RpId(rp_id) => {
                bytes::copy_prefix(auth_data, &RustCrypto.sha256(&[rp_id.as_bytes()]));
            }
            Self::Aaguid(aaguid) => {
                if flags(auth_data).has(Flags::AT) {
                    bytes::copy_prefix(bytes::rest_mut(auth_data, AAGUID), aaguid);
                }
            }
        }
    }
}

/// Where the flags are in authenticator data.
const FLAGS: usize = 32;
/// Where the signature counter is.
const SIGN_COUNT: usize = 33;
/// Where the AAGUID of a registration is.
const AAGUID: usize = 37;

pub(super) fn flags(auth_data: &[u8]) -> Flags {
    Flags(auth_data.get(FLAGS).copied().unwrap_or_default())
}

/// Sets or clears a flag.
pub(super) fn set(auth_data: &mut [u8], flag: Flags, on: bool) {
    if let Some(flags) = auth_data.get_mut(FLAGS) {
        *flags = if on { *flags | flag.0 } else { *flags & !flag.0 };
    }
}

pub(super) fn set_sign_count(auth_data: &mut [u8], sign_count: u32) {
    bytes::copy_prefix(bytes::rest_mut(auth_data, SIGN_COUNT), &sign_count.to_be_bytes());
}

/// What the key answers in place of the truth, without doing anything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// This status.
    Status(Status),
    /// These bytes: a status, and CBOR or anything else. What does not fit in maxMsgSize is cut off.
    Body(Vec<u8>),
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<Vec<u8>> for Answer {
    fn from(body: Vec<u8>) -> Self {
        Self::Body(body)
    }
}

/// A point in a ceremony at which the key can be unplugged, or its clock can jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// A request with this command has arrived. The key has not begun to work on it.
    Request(Command),
    /// The key waits for a touch or for user verification.
    Touch,
    /// The key has done what this command says. Its response is not sent yet.
    Response(Command),
}

/// What happens at a [`Step`], once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    Unplug,
    Jump(Duration),
}

/// A request that the key was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its command.
    pub command: Command,
    /// The request as it came: the command and its CBOR.
    pub request: Vec<u8>,
    /// The RP ID of a registration or a sign-in.
    pub rp_id: Option<String>,
    /// The ids of the allow list of a sign-in.
    pub allow_list: Vec<Vec<u8>>,
    /// The ids of the exclude list of a registration.
    pub exclude_list: Vec<Vec<u8>>,
    /// The options of a registration or a sign-in.
    pub options: CommandOptions,
}

impl Asked {
    pub(super) fn new(request: &[u8]) -> Self {
        let command = Command(request.first().copied().unwrap_or_default());
        let mut asked = Self {
            command,
            request: request.to_vec(),
            rp_id: None,
            allow_list: Vec::new(),
            exclude_list: Vec::new(),
            options: CommandOptions::default(),
        };
        let body = bytes::rest(request, 1);
        match command {
            Command::MAKE_CREDENTIAL => {
                if let Ok(request) = cbor::decode::<make_credential::Request<'_>>(body) {
                    asked.rp_id = Some(request.rp.id.to_owned());
                    asked.exclude_list = request
                        .exclude_list
                        .iter()
                        .flat_map(|list| list.iter())
                        .map(|listed| listed.id.to_vec())
                        .collect();
                    asked.options = request.options.unwrap_or_default();
                }
            }
            Command::GET_ASSERTION => {
                if let Ok(request) = cbor::decode::<get_assertion::Request<'_>>(body) {
                    asked.rp_id = Some(request.rp_id.to_owned());
                    asked.allow_list = request
                        .allow_list
                        .iter()
                        .flat_map(|list| list.iter())
                        .map(|listed| listed.id.to_vec())
                        .collect();
                    asked.options = request.options.unwrap_or_default();
                }
            }
            _ => {}
        }
        asked
    }
}
