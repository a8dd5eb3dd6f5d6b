//! A test of a server, with a virtual key in the same process: no device, no network, no thread.

#[cfg(test)]
mod tests {
    use std::{error::Error, time};

    use keyfob_core::{
        Instant, cbor,
        client::{
            UserInteraction,
            fido2::{Fido2Client, WebAuthnClient},
        },
        cose::{Algorithm, CoseKey},
        crypto::RustCrypto,
        ctap2::{CredentialParameters, UserEntity},
        transport::hid::HidTransport,
        verify::{self, AssertionResponse, AttestationResponse, Expected, StoredCredential},
        webauthn::{
            AuthenticatorSelection, CreationOptions, DefaultClientDataCollector, RelyingParty, RequestOptions,
            Requirement,
        },
    };
    use keyfob_soft_authenticator::{
        devices::{InProcess, KeyOptions, Touch, VirtualKey},
        engine::Config,
    };
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    const ORIGIN: &str = "https://example.org";
    const RP_ID: &str = "example.org";
    const CHALLENGES: [[u8; 32]; 2] = [[1; 32], [2; 32]];

    /// A user who only touches.
    struct Silent;

    impl UserInteraction for Silent {}

    fn expected<'a>(challenge: &'a [u8], algorithms: &'a [Algorithm]) -> Expected<'a> {
        Expected {
            challenge,
            origins: &[ORIGIN],
            top_origins: None,
            rp_id: RP_ID,
            user_presence: true,
            user_verification: false,
            algorithms,
            allow_credentials: &[],
            user_handle: None,
            policy: verify::RelyingPartyPolicy::STANDARD,
        }
    }

    /// Registers and signs in, and lets the server check both.
    fn sign_up(touch: Touch) -> Result<(), Box<dyn Error>> {
        let config = Config::new([0; 16]);
        let mut memory = vec![0; config.buffer_len()];
        let mut options = KeyOptions::new(config);
        (options.touch, options.seed) = (touch, Some(7));
        let key = VirtualKey::new(&mut memory, options)?;
        let start = time::Instant::now();
        let clock = move || Instant::from_millis(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
        let transport = HidTransport::new(InProcess(key), clock, [7; 8]);
        let collector = DefaultClientDataCollector::new(ORIGIN);
        let rng = ChaCha20Rng::seed_from_u64(1);
        let mut client = Fido2Client::new(transport, collector, Silent, RustCrypto, rng, clock);

        let user = UserEntity { id: &[1, 2, 3], name: Some("alice"), display_name: None };
        let parameters = [CredentialParameters::new(Algorithm::ES256)];
        let options = CreationOptions {
            authenticator_selection: Some(AuthenticatorSelection {
                resident_key: Some(Requirement::Required),
                user_verification: Some(Requirement::Discouraged),
                ..AuthenticatorSelection::default()
            }),
            ..CreationOptions::new(RelyingParty { id: Some(RP_ID), name: "Example" }, user, &CHALLENGES[0], &parameters)
        };
        let (mut client_data, mut buffer) = ([0; 1_024], vec![0; 8_192]);
        let creation = client.creation(&options, &mut client_data)?;
        let registered = client.make_credential(&creation, &mut buffer)?;
        let response = AttestationResponse {
            client_data_json: registered.client_data_json,
            attestation_object: registered.attestation_object(),
        };
        let registration =
            verify::registration(&RustCrypto, &expected(&CHALLENGES[0], &[Algorithm::ES256]), &response)?;
        let id = registration.credential.credential_id.to_vec();
        let mut key = [0; 128];
        let length = cbor::encode(&registration.credential.public_key, &mut key)?;
        let sign_count = registration.auth_data.sign_count;

        let options = RequestOptions {
            rp_id: Some(RP_ID),
            user_verification: Some(Requirement::Discouraged),
            ..RequestOptions::new(&CHALLENGES[1])
        };
        let mut client_data = [0; 1_024];
        let request = client.request(&options, &mut client_data)?;
        let responses = client.get_assertion(&request, &mut buffer)?;
        let signed_in = responses.get(0).ok_or("no assertion")?;
        let stored = StoredCredential {
            id: &id,
            public_key: cbor::decode::<CoseKey<'_>>(&key[..length])?,
            sign_count,
            user_handle: &[1, 2, 3],
            backup_eligible: Some(false),
        };
        let response = AssertionResponse {
            credential_id: signed_in.credential_id(),
            client_data_json: signed_in.client_data_json,
            authenticator_data: signed_in.assertion.response.auth_data,
            signature: signed_in.assertion.response.signature,
            user_handle: signed_in.user_handle(),
        };
        verify::assertion(&RustCrypto, &expected(&CHALLENGES[1], &[]), &stored, &response)?;
        Ok(())
    }

    #[test]
    fn a_user_who_touches_registers_and_signs_in() {
        sign_up(Touch::Auto).unwrap();
    }

    #[test]
    fn a_user_who_declines_does_not() {
        let refused = sign_up(Touch::Deny).unwrap_err().to_string();
        assert!(refused.contains("OPERATION_DENIED"), "{refused}");
    }
}
