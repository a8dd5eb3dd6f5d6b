//! Commands without management of anything: selection, reset, and those that only the caller knows (CTAP 2.3 §6.6,
//! §6.9).

use core::convert::Infallible;

use rand_core::CryptoRng;

use crate::{
    Status,
    cbor::List,
    client::{
        Cause, Ceremony,
        authorization::Grant,
        ceremony::{Operation, Progress},
        facts::{Facts, Purpose},
    },
    cose::Algorithm,
    crypto::{Crypto, Hash},
    ctap2::{
        Command, CredentialParameters, ResponseError, RpEntity, UserEntity, encode_command, encode_request, get_info,
        make_credential, response_body,
    },
};

/// The operation that waits until the user touches this authenticator, to tell it from others. One without
/// authenticatorSelection is made to ask for a touch by a registration that comes to nothing.
pub type Select<'b, C, R> = Ceremony<'b, Selection, C, R>;

impl<'b, C: Crypto, R: CryptoRng> Select<'b, C, R> {
    /// An operation that has not begun. `buffer` has at least [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes.
    pub fn new(buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        Self::with(Selection { supported: false }, buffer, crypto, rng)
    }
}

/// The operation of [`Select`].
#[derive(Debug)]
pub struct Selection {
    supported: bool,
}

impl Operation for Selection {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;

    fn examine(&mut self, info: &get_info::Response<'_>, _: &Facts) -> Result<(), Cause> {
        // Every version from 2.1 on has the command.
        self.supported = info.versions.iter().any(|version| {
            version.as_str().starts_with("FIDO_2_") && version != "FIDO_2_0" && version != "FIDO_2_1_PRE"
        });
        Ok(())
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::NONE
    }

    fn request<C: Hash>(&self, _: &C, _: &Facts, _: Grant<'_>, _: &[u8], buffer: &mut [u8]) -> Result<usize, Cause> {
        if self.supported {
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

    fn accept<C: Hash>(&mut self, _: &C, response: &[u8], _: bool) -> Result<Progress, Cause> {
        match response_body(response) {
            Ok(_) => Ok(Progress::Complete),
            Err(ResponseError::Status(Status::PIN_NOT_SET | Status::PIN_INVALID | Status::PIN_AUTH_INVALID))
                if !self.supported =>
            {
                Ok(Progress::Complete)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn outcome<'b>(self, _: &'b [u8]) -> Result<(), Cause>
    where
        Self: 'b,
    {
        Ok(())
    }
}

/// The operation that erases everything: credentials, PIN, fingerprints, settings. Most authenticators take it only within
/// 10 s of being plugged in and with a touch, and answer NOT_ALLOWED or OPERATION_DENIED otherwise.
pub type Reset<'b, C, R> = Ceremony<'b, Resetting, C, R>;

impl<'b, C: Crypto, R: CryptoRng> Reset<'b, C, R> {
    /// An operation that has not begun. `buffer` has at least [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes.
    pub fn new(buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        Self::with(Resetting, buffer, crypto, rng)
    }
}

/// The operation of [`Reset`].
#[derive(Debug)]
pub struct Resetting;

impl Operation for Resetting {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;

    fn examine(&mut self, _: &get_info::Response<'_>, _: &Facts) -> Result<(), Cause> {
        Ok(())
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::NONE
    }

    fn request<C: Hash>(&self, _: &C, _: &Facts, _: Grant<'_>, _: &[u8], buffer: &mut [u8]) -> Result<usize, Cause> {
        Ok(encode_command(Command::RESET, buffer)?)
    }

    fn accept<C: Hash>(&mut self, _: &C, response: &[u8], _: bool) -> Result<Progress, Cause> {
        response_body(response)?;
        Ok(Progress::Complete)
    }

    fn outcome<'b>(self, _: &'b [u8]) -> Result<(), Cause>
    where
        Self: 'b,
    {
        Ok(())
    }
}

/// The operation that sends any command. Its outcome is what follows the status in the answer.
pub type Call<'o, 'b, C, R> = Ceremony<'b, AnyCommand<'o>, C, R>;

impl<'o: 'b, 'b, C: Crypto, R: CryptoRng> Call<'o, 'b, C, R> {
    /// An operation that has not begun. `parameters` follow the command byte as they are, CBOR or not. `buffer` has at
    /// least [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes.
    pub fn new(command: Command, parameters: &'o [u8], buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        Self::with(AnyCommand { command, parameters }, buffer, crypto, rng)
    }
}

/// The operation of [`Call`].
#[derive(Debug)]
pub struct AnyCommand<'o> {
    command: Command,
    parameters: &'o [u8],
}

impl Operation for AnyCommand<'_> {
    type Outcome<'b>
        = &'b [u8]
    where
        Self: 'b;
    type Item<'m> = Infallible;

    fn examine(&mut self, _: &get_info::Response<'_>, _: &Facts) -> Result<(), Cause> {
        Ok(())
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::NONE
    }

    fn request<C: Hash>(&self, _: &C, _: &Facts, _: Grant<'_>, _: &[u8], buffer: &mut [u8]) -> Result<usize, Cause> {
        Ok(encode_request(self.command, &crate::cbor::Raw(self.parameters), buffer)?)
    }

    fn accept<C: Hash>(&mut self, _: &C, response: &[u8], _: bool) -> Result<Progress, Cause> {
        response_body(response)?;
        Ok(Progress::Complete)
    }

    fn outcome<'b>(self, response: &'b [u8]) -> Result<&'b [u8], Cause>
    where
        Self: 'b,
    {
        Ok(response_body(response)?)
    }
}
