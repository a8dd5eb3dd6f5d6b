//! Requests of management: a command with its parameters, or a subcommand with a pinUvAuthParam over exactly the bytes
//! of the parameters that are sent.

use super::{Cause, authorization::Grant};
use crate::{
    cbor::{Raw, With, Write, Writer},
    crypto::Hash,
    ctap2::{Command, bio_enrollment, config, credential_management, encode_request},
};

/// What an operation asks.
#[derive(Clone, Copy)]
pub enum Question<'a> {
    /// Nothing.
    None,
    /// A command, and what follows it.
    Command(Command, &'a [u8]),
    /// A subcommand with its parameters, which pinUvAuthParam covers.
    Subcommand(Command, u32, Option<&'a dyn Write>),
    /// A subcommand without parameters that needs no proof.
    Unproven(Command, u32),
}

impl Question<'_> {
    /// Writes the request, and returns its length; `None` when nothing is asked.
    ///
    /// # Errors
    /// [`Cause::BufferTooSmall`] with the size that the whole request takes.
    pub fn encode<C: Hash>(self, crypto: &C, grant: Grant<'_>, buffer: &mut [u8]) -> Result<Option<usize>, Cause> {
        let (command, sub_command, params, grant) = match self {
            Self::None => return Ok(None),
            Self::Command(command, parameters) => return Ok(Some(encode_request(command, &Raw(parameters), buffer)?)),
            Self::Subcommand(command, sub_command, params) => (command, sub_command, params, grant),
            Self::Unproven(command, sub_command) => (command, sub_command, None, Grant::None),
        };
        let is_bio = matches!(command, Command::BIO_ENROLLMENT | Command::BIO_ENROLLMENT_PREVIEW);
        let head: &[u8] = match command {
            Command::BIO_ENROLLMENT | Command::BIO_ENROLLMENT_PREVIEW => {
                &bio_enrollment::authenticated_head(sub_command)
            }
            Command::CONFIG => &config::authenticated_head(sub_command),
            Command::CREDENTIAL_MANAGEMENT | Command::CREDENTIAL_MANAGEMENT_PREVIEW => {
                &credential_management::authenticated_head(sub_command)
            }
            _ => return Err(Cause::Unsupported),
        };
        // Written to the front of `buffer` first, for the proof. The request is then written over it, because long
        // parameters have no room elsewhere.
        let mut w = Writer::new(buffer);
        params.inspect(|params| params.write(&mut w));
        // What does not fit here does not fit below either.
        let proof = grant.authenticate(crypto, &[head, w.written().unwrap_or_default()]);
        let pin_uv_auth_param = proof.as_ref().map(|(param, _)| param.as_bytes());
        let pin_uv_auth_protocol = proof.as_ref().map(|(_, protocol)| *protocol);
        if is_bio {
            let request = bio_enrollment::Request {
                modality: Some(bio_enrollment::FINGERPRINT),
                sub_command: Some(sub_command),
                pin_uv_auth_protocol,
                pin_uv_auth_param,
                ..Default::default()
            };
            return Ok(Some(encode_request(command, &With(&request, &[(0x03, params)]), buffer)?));
        }
        // authenticatorConfig has the same members with the same keys (0x01 to 0x04).
        let request = credential_management::Request {
            sub_command,
            sub_command_params: None,
            pin_uv_auth_protocol,
            pin_uv_auth_param,
        };
        Ok(Some(encode_request(command, &With(&request, &[(0x02, params)]), buffer)?))
    }
}
