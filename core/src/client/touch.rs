//! A touch, and nothing else: to select an authenticator, or because it is not to be told at once from one that has what
//! was asked for, or can do it.

use super::{Cause, ErrorCode, facts::Facts};
use crate::{
    Status,
    cbor::List,
    cose::Algorithm,
    ctap1::{self, Control},
    ctap2::{
        Command, CredentialParameters, ResponseError, RpEntity, UserEntity, encode_command, encode_request,
        make_credential, response_body,
    },
};

/// Writes the request: authenticatorSelection, or where there is none a registration of nobody.
pub fn request(facts: &Facts, buffer: &mut [u8]) -> Result<usize, Cause> {
    if facts.ctap1 {
        let nobody = [0; 32];
        let register = ctap1::Request::Register { control: Control::NONE, challenge: &nobody, application: &nobody };
        return Ok(register.encode(buffer)?);
    }
    if facts.selection {
        return Ok(encode_command(Command::SELECTION, buffer)?);
    }
    let request = make_credential::Request {
        client_data_hash: &[0; 32],
        rp: RpEntity { id: ".dummy", name: None },
        user: UserEntity { id: &[1], name: Some("dummy"), display_name: None },
        pub_key_cred_params: List::Slice(const { &[CredentialParameters::new(Algorithm::ES256)] }),
        exclude_list: None,
        extensions: None,
        options: None,
        // An empty one asks for a touch and nothing else; some authenticators insist on a protocol beside it.
        pin_uv_auth_param: Some(&[]),
        pin_uv_auth_protocol: Some(1),
        enterprise_attestation: None,
        attestation_formats_preference: None,
    };
    Ok(encode_request(Command::MAKE_CREDENTIAL, &request, buffer)?)
}

/// Whether the authenticator was touched. Errors: what it answered instead.
pub fn accept(facts: &Facts, response: &[u8]) -> Result<(), Cause> {
    if facts.ctap1 {
        return Ok(ctap1::response_data(response).map(drop)?);
    }
    match response_body(response) {
        Ok(_) => Ok(()),
        Err(ResponseError::Status(Status::PIN_NOT_SET | Status::PIN_INVALID | Status::PIN_AUTH_INVALID))
            if !facts.selection =>
        {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// What a ceremony that is to fail with `cause` after a touch fails with: if there was none, not with that.
pub fn end(facts: &Facts, response: &[u8], cause: Cause) -> Cause {
    match response_body(response) {
        Err(ResponseError::Status(status))
            if !facts.ctap1
                && (status == Status::OPERATION_DENIED || Cause::Status(status).code() == ErrorCode::Timeout) =>
        {
            Cause::Status(status)
        }
        _ => cause,
    }
}
