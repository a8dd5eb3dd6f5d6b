//! A client without an authenticator: what it answers was recorded before. A program that takes a [`WebAuthnClient`] is
//! tested with it.

use keyfob_core::client::{
    Assertion, AssertionSelection, Attestation, Cause, Error, Stage,
    fido2::{PreparedCreation, PreparedRequest, RegistrationResponse, ResponseSelection, WebAuthnClient},
};

/// Answers with what is in it: a status byte and the CBOR of a response, of each kind.
#[derive(Clone, Debug, Default)]
pub struct Mock {
    /// The response to a registration; without one it is cancelled.
    pub registration: Option<Vec<u8>>,
    /// The response to a sign-in; without one it is cancelled.
    pub assertion: Option<Vec<u8>>,
    /// The RP IDs that were asked for.
    pub asked: Vec<String>,
}

fn failed(cause: Cause) -> Error {
    Error { code: cause.code(), stage: Stage::Command, cause }
}

/// Copies a recorded response to where the outcome borrows it.
fn replay<'b>(recorded: Option<&Vec<u8>>, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
    let recorded = recorded.ok_or(failed(Cause::Cancelled))?;
    let needed = recorded.len();
    let place = buffer.get_mut(..needed).ok_or(failed(Cause::BufferTooSmall { needed }))?;
    place.copy_from_slice(recorded);
    Ok(place)
}

impl WebAuthnClient for Mock {
    fn make_credential<'b>(
        &mut self,
        creation: &PreparedCreation<'b>,
        buffer: &'b mut [u8],
    ) -> Result<RegistrationResponse<'b>, Error> {
        self.asked.push(creation.options.rp.id.to_owned());
        let attestation = Attestation::read(replay(self.registration.as_ref(), buffer)?).map_err(failed)?;
        Ok(RegistrationResponse { client_data_json: creation.client_data_json, attestation, attachment: None })
    }

    fn get_assertion<'b>(
        &mut self,
        request: &PreparedRequest<'b>,
        buffer: &'b mut [u8],
    ) -> Result<ResponseSelection<'b>, Error> {
        self.asked.push(request.options.rp_id.to_owned());
        let assertion = Assertion::read(replay(self.assertion.as_ref(), buffer)?).map_err(failed)?;
        let assertions = AssertionSelection::of(assertion);
        Ok(ResponseSelection { client_data_json: request.client_data_json, assertions, attachment: None })
    }
}

#[cfg(test)]
mod tests {
    use keyfob_core::{
        client::fido2::ClientPolicy,
        cose::Algorithm,
        crypto::RustCrypto,
        ctap2::{CredentialParameters, UserEntity},
        webauthn::{CreationOptions, DefaultClientDataCollector, RelyingParty, RequestOptions},
    };

    use super::*;

    /// The program under test: registers with any client, and returns the length of the credential id.
    fn sign_up(client: &mut impl WebAuthnClient) -> Result<usize, Error> {
        let parameters = [CredentialParameters::new(Algorithm::ES256)];
        let user = UserEntity { id: &[1], name: Some("alice"), display_name: None };
        let rp = RelyingParty { id: Some("example.org"), name: "Example" };
        let options = CreationOptions::new(rp, user, &[1; 32], &parameters);
        let collector = DefaultClientDataCollector::new("https://example.org");
        let (mut client_data, mut buffer) = ([0; 1_024], [0; 1_024]);
        let creation =
            PreparedCreation::new(&options, &collector, &ClientPolicy::default(), &RustCrypto, &mut client_data)?;
        Ok(client.make_credential(&creation, &mut buffer)?.credential_id().len())
    }

    /// The program under test: signs in with any client, and returns the length of the signature.
    fn sign_in(client: &mut impl WebAuthnClient) -> Result<usize, Error> {
        let options = RequestOptions { rp_id: Some("example.org"), ..RequestOptions::new(&[1; 32]) };
        let collector = DefaultClientDataCollector::new("https://example.org");
        let (mut client_data, mut buffer) = ([0; 1_024], [0; 1_024]);
        let request =
            PreparedRequest::new(&options, &collector, &ClientPolicy::default(), &RustCrypto, &mut client_data)?;
        let responses = client.get_assertion(&request, &mut buffer)?;
        Ok(responses.get(0).map_or(0, |response| response.assertion.response.signature.len()))
    }

    /// Authenticator data: a hash of an RP ID, flags, a counter.
    fn auth_data(flags: u8) -> Vec<u8> {
        [&[0; 32][..], &[flags, 0, 0, 0, 1]].concat()
    }

    /// Bytes as CBOR, fewer than 256.
    fn bytes(bytes: &[u8]) -> Vec<u8> {
        [&[0x58, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    #[test]
    fn a_program_registers_with_a_recorded_answer() {
        let key =
            [b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20".as_slice(), &[3; 32], b"\x22\x58\x20", &[4; 32]].concat();
        let auth_data = [auth_data(0x41), vec![0; 16], vec![0, 16], vec![9; 16], key].concat();
        let recorded = [b"\0\xa3\x01\x64none\x02".as_slice(), &bytes(&auth_data), b"\x03\xa0"].concat();
        let mut mock = Mock { registration: Some(recorded), ..Mock::default() };
        assert_eq!(sign_up(&mut mock), Ok(16));
        assert_eq!(mock.asked, ["example.org"]);
    }

    #[test]
    fn a_program_signs_in_with_a_recorded_answer() {
        let descriptor = b"\xa2\x62id\x41\x09\x64type\x6apublic-key";
        let recorded =
            [b"\0\xa3\x01".as_slice(), descriptor, b"\x02", &bytes(&auth_data(1)), b"\x03", &bytes(&[5; 70])].concat();
        let mut mock = Mock { assertion: Some(recorded), ..Mock::default() };
        assert_eq!(sign_in(&mut mock), Ok(70));
    }

    #[test]
    fn a_program_sees_why_it_failed() {
        assert_eq!(sign_up(&mut Mock::default()).map_err(|error| error.cause), Err(Cause::Cancelled));
        assert_eq!(sign_in(&mut Mock::default()).map_err(|error| error.cause), Err(Cause::Cancelled));
    }
}
