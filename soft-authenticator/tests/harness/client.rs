//! The platform's side of the commands, on core's messages.

use keyfob_core::{
    Status,
    auth_data::{AuthData, Flags},
    cbor::{self, List, RawMap, Write},
    cose::{Algorithm, CoseKey},
    crypto::{Hash, P256Point, RustCrypto, Verify},
    ctap2::{
        self, Command, CommandOptions, CredentialDescriptor, CredentialParameters, PUBLIC_KEY, RpEntity, UserEntity,
        bio_enrollment,
        bio_enrollment::{SampleStatus, TemplateInfo},
        client_pin,
        client_pin::subcommand,
        get_assertion, make_credential,
    },
    pin_uv::{self, PaddedPin, Permissions, PinHash, PinUvAuthProtocol, SharedSecret, Token},
};

use super::{Backend, Key, KeyDouble, status};

pub const HASH: [u8; 32] = [7; 32];
/// The algorithms of a key with all capabilities, in its order of preference.
pub const ALGORITHMS: [Algorithm; 8] = [
    Algorithm::ES256,
    Algorithm::EDDSA,
    Algorithm::ES384,
    Algorithm::ES512,
    Algorithm::ES256K,
    Algorithm::ML_DSA_44,
    Algorithm::ML_DSA_65,
    Algorithm::ML_DSA_87,
];
pub const RP: &str = "example.org";
pub const PIN: &str = "1234";
pub const MC: Permissions = Permissions::MC;
pub const GA: Permissions = Permissions::GA;
pub const BE: Permissions = Permissions::BE;

/// Encodes a request.
pub fn message<T: Write>(command: Command, parameters: &T) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let len = ctap2::encode_request(command, parameters, &mut buffer).unwrap();
    buffer.truncate(len);
    buffer
}

/// A registration at [`RP`] of a credential that is not discoverable.
pub fn registration(user_id: &[u8]) -> make_credential::Request<'_> {
    make_credential::Request {
        client_data_hash: &HASH,
        rp: RpEntity { id: RP, name: None },
        user: UserEntity { id: user_id, name: None, display_name: None },
        pub_key_cred_params: List::Slice(const { &[CredentialParameters::new(Algorithm::ES256)] }),
        exclude_list: None,
        extensions: None,
        options: None,
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
        enterprise_attestation: None,
        attestation_formats_preference: None,
    }
}

/// A registration at [`RP`] of a discoverable credential.
pub fn resident(user_id: &[u8]) -> make_credential::Request<'_> {
    let options = CommandOptions { rk: Some(true), ..Default::default() };
    make_credential::Request { options: Some(options), ..registration(user_id) }
}

/// A sign-in at [`RP`].
pub const fn assertion<'a>() -> get_assertion::Request<'a> {
    get_assertion::Request {
        rp_id: RP,
        client_data_hash: &HASH,
        allow_list: None,
        extensions: None,
        options: None,
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
    }
}

/// The result of a registration.
#[derive(Debug)]
pub struct Made {
    pub fmt: String,
    pub auth_data: Vec<u8>,
    pub att_stmt: Vec<u8>,
    pub ep_att: Option<bool>,
    pub large_blob_key: Option<Vec<u8>>,
    pub unsigned: Option<Vec<u8>>,
}

impl Made {
    pub fn auth_data(&self) -> AuthData<'_> {
        AuthData::decode(&self.auth_data).unwrap()
    }

    pub fn id(&self) -> &[u8] {
        self.auth_data().attested_credential_data.unwrap().credential_id
    }

    pub fn key(&self) -> CoseKey<'_> {
        self.auth_data().attested_credential_data.unwrap().public_key
    }

    pub fn descriptor(&self) -> CredentialDescriptor<'_> {
        CredentialDescriptor::new(self.id())
    }

    pub fn has(&self, flags: Flags) -> bool {
        self.auth_data().flags.has(flags)
    }
}

/// The result of a sign-in.
#[derive(Debug)]
pub struct Got {
    pub id: Vec<u8>,
    pub auth_data: Vec<u8>,
    pub signature: Vec<u8>,
    pub user_id: Option<Vec<u8>>,
    pub user_name: Option<String>,
    pub display_name: Option<String>,
    pub number: Option<u32>,
    pub large_blob_key: Option<Vec<u8>>,
    pub unsigned: Option<Vec<u8>>,
}

impl Got {
    pub fn auth_data(&self) -> AuthData<'_> {
        AuthData::decode(&self.auth_data).unwrap()
    }

    pub fn has(&self, flags: Flags) -> bool {
        self.auth_data().flags.has(flags)
    }

    pub fn user(&self) -> &[u8] {
        self.user_id.as_deref().unwrap_or_default()
    }

    /// Whether the signature is by `made`'s key.
    pub fn is_by(&self, made: &Made) -> bool {
        RustCrypto.verify(&made.key(), &[&self.auth_data, &HASH], &self.signature).is_ok()
    }
}

/// The result of authenticatorBioEnrollment.
#[derive(Debug, Default, PartialEq)]
pub struct Bio {
    pub modality: Option<u32>,
    /// The sensor's kind, the number of samples, the longest name.
    pub sensor: Option<(u32, u32, u32)>,
    pub id: Option<Vec<u8>>,
    pub sample: Option<(SampleStatus, u32)>,
    pub enrolled: Vec<(Vec<u8>, String)>,
}

/// A key agreement with the authenticator.
pub struct Session {
    pub protocol: PinUvAuthProtocol,
    pub point: P256Point,
    pub shared: SharedSecret,
}

impl Session {
    /// A request with the members that every subcommand with a PIN needs.
    pub fn request(&self, sub_command: u32) -> client_pin::Request<'_> {
        client_pin::Request {
            pin_uv_auth_protocol: Some(self.protocol.number()),
            sub_command: Some(sub_command),
            key_agreement: Some(CoseKey::key_agreement(&self.point)),
            ..Default::default()
        }
    }
}

fn body<T>(response: &[u8], read: impl FnOnce(&[u8]) -> T) -> Result<T, Status> {
    if response[0] == 0 { Ok(read(response)) } else { Err(status(response)) }
}

impl Key {
    pub fn make(&mut self, request: &make_credential::Request<'_>) -> Result<Made, Status> {
        let response = self.call(&message(Command::MAKE_CREDENTIAL, request));
        body(&response, |response| {
            let response: make_credential::Response<'_> = ctap2::decode_response(response).unwrap();
            Made {
                fmt: response.fmt.into(),
                auth_data: response.auth_data.into(),
                att_stmt: response.att_stmt.unwrap().0.into(),
                ep_att: response.ep_att,
                large_blob_key: response.large_blob_key.map(|key| key.0.into()),
                unsigned: response.unsigned_extension_outputs.map(|outputs| outputs.0.into()),
            }
        })
    }

    pub fn get(&mut self, request: &get_assertion::Request<'_>) -> Result<Got, Status> {
        let response = self.call(&message(Command::GET_ASSERTION, request));
        self.got(&response)
    }

    pub fn get_next(&mut self) -> Result<Got, Status> {
        let response = self.command(Command::GET_NEXT_ASSERTION);
        self.got(&response)
    }

    fn got(&mut self, response: &[u8]) -> Result<Got, Status> {
        body(response, |response| {
            let response: get_assertion::Response<'_> = ctap2::decode_response(response).unwrap();
            assert_eq!(response.user_selected, None);
            let credential = response.credential.unwrap();
            assert_eq!((credential.kind, credential.transports), (PUBLIC_KEY, None));
            Got {
                id: credential.id.into(),
                auth_data: response.auth_data.into(),
                signature: response.signature.into(),
                user_id: response.user.map(|user| user.id.into()),
                user_name: response.user.and_then(|user| user.name).map(Into::into),
                display_name: response.user.and_then(|user| user.display_name).map(Into::into),
                number: response.number_of_credentials,
                large_blob_key: response.large_blob_key.map(|key| key.0.into()),
                unsigned: response.unsigned_extension_outputs.map(|outputs| outputs.0.into()),
            }
        })
    }

    /// getPinToken.
    pub fn legacy_token(&mut self, protocol: PinUvAuthProtocol, pin: &str) -> Result<Token, Status> {
        let session = self.agree(protocol);
        let pin_hash_enc = self.encrypt(&session, &pin_hash(pin));
        let request =
            client_pin::Request { pin_hash_enc: Some(&pin_hash_enc), ..session.request(subcommand::GET_PIN_TOKEN) };
        self.token_by(&session, &request)
    }

    /// getPinUvAuthTokenUsingUvWithPermissions.
    pub fn uv_token(
        &mut self,
        protocol: PinUvAuthProtocol,
        permissions: Permissions,
        rp_id: Option<&str>,
    ) -> Result<Token, Status> {
        let session = self.agree(protocol);
        let permissions = Some(permissions.0.into());
        let request = client_pin::Request { permissions, rp_id, ..session.request(subcommand::GET_TOKEN_USING_UV) };
        self.token_by(&session, &request)
    }

    /// uvRetries.
    pub fn uv_retries(&mut self) -> u32 {
        let request = client_pin::Request { sub_command: Some(subcommand::GET_UV_RETRIES), ..Default::default() };
        let response = self.call(&message(Command::CLIENT_PIN, &request));
        let response: client_pin::Response<'_> = ctap2::decode_response(&response).unwrap();
        response.uv_retries.unwrap()
    }

    /// authenticatorBioEnrollment with a pinUvAuthParam, if there is a token.
    pub fn bio(
        &mut self,
        token: Option<&Token>,
        sub_command: u32,
        params: &bio_enrollment::Params<'_>,
    ) -> Result<Bio, Status> {
        self.bio_answer(&bio_message(token, sub_command, params))
    }

    pub fn bio_by(&mut self, request: &bio_enrollment::Request<'_>) -> Result<Bio, Status> {
        self.bio_answer(&message(Command::BIO_ENROLLMENT, request))
    }

    fn bio_answer(&mut self, request: &[u8]) -> Result<Bio, Status> {
        let response = self.call(request);
        body(&response, |response| {
            if response.len() == 1 {
                return Bio::default();
            }
            let response: bio_enrollment::Response<'_> = ctap2::decode_response(response).unwrap();
            Bio {
                modality: response.modality,
                sensor: response.fingerprint_kind.map(|kind| {
                    let samples = response.max_capture_samples_required_for_enroll.unwrap();
                    (kind, samples, response.max_template_friendly_name.unwrap())
                }),
                id: response.template_id.map(Into::into),
                sample: response.last_enroll_sample_status.map(|status| (status, response.remaining_samples.unwrap())),
                enrolled: response.template_infos.map_or(Vec::new(), |infos| {
                    let name = |info: TemplateInfo<'_>| info.template_friendly_name.unwrap().to_owned();
                    infos.iter().map(|info| (info.template_id.to_vec(), name(info))).collect()
                }),
            }
        })
    }

    /// Enrols a finger with good samples and returns its id.
    pub fn enrol(&mut self, token: &Token) -> Result<Vec<u8>, Status> {
        let begun = self.bio(Some(token), bio_enrollment::subcommand::ENROLL_BEGIN, &Default::default())?;
        let (id, (_, mut remaining)) = (begun.id.unwrap(), begun.sample.unwrap());
        while remaining > 0 {
            let params = bio_enrollment::Params { template_id: Some(&id), ..Default::default() };
            let next = self.bio(Some(token), bio_enrollment::subcommand::ENROLL_CAPTURE_NEXT_SAMPLE, &params)?;
            remaining = next.sample.unwrap().1;
        }
        Ok(id)
    }

    /// A registration with a token.
    pub fn make_with(
        &mut self,
        protocol: PinUvAuthProtocol,
        token: &Token,
        request: make_credential::Request<'_>,
    ) -> Result<Made, Status> {
        let param = token.authenticate(&RustCrypto, protocol, &[request.client_data_hash]);
        self.make(&make_credential::Request {
            pin_uv_auth_param: Some(param.as_bytes()),
            pin_uv_auth_protocol: Some(protocol.number()),
            ..request
        })
    }

    /// A sign-in with a token.
    pub fn get_with(
        &mut self,
        protocol: PinUvAuthProtocol,
        token: &Token,
        request: get_assertion::Request<'_>,
    ) -> Result<Got, Status> {
        let param = token.authenticate(&RustCrypto, protocol, &[request.client_data_hash]);
        self.get(&get_assertion::Request {
            pin_uv_auth_param: Some(param.as_bytes()),
            pin_uv_auth_protocol: Some(protocol.number()),
            ..request
        })
    }
}

impl<C: Backend> KeyDouble<'_, C> {
    pub fn client_pin(&mut self, request: &client_pin::Request<'_>) -> Status {
        self.status(&message(Command::CLIENT_PIN, request))
    }

    pub fn agree(&mut self, protocol: PinUvAuthProtocol) -> Session {
        let request = client_pin::Request {
            pin_uv_auth_protocol: Some(protocol.number()),
            sub_command: Some(subcommand::GET_KEY_AGREEMENT),
            ..Default::default()
        };
        let response = self.call(&message(Command::CLIENT_PIN, &request));
        let response: client_pin::Response<'_> = ctap2::decode_response(&response).unwrap();
        let key = response.key_agreement.unwrap();
        let (point, shared) = pin_uv::encapsulate(&C::default(), &mut self.rng, protocol, &key).unwrap();
        Session { protocol, point, shared }
    }

    pub fn encrypt(&mut self, session: &Session, plaintext: &[u8]) -> Vec<u8> {
        let mut out = vec![0; plaintext.len() + 16];
        let len = session.shared.encrypt(&C::default(), &mut self.rng, plaintext, &mut out).unwrap();
        out.truncate(len);
        out
    }

    /// setPIN with arbitrary bytes in place of a padded PIN.
    pub fn set_padded(&mut self, protocol: PinUvAuthProtocol, padded: &[u8]) -> Status {
        let session = self.agree(protocol);
        let new_pin_enc = self.encrypt(&session, padded);
        let param = session.shared.authenticate(&C::default(), &[&new_pin_enc]);
        self.client_pin(&client_pin::Request {
            pin_uv_auth_param: Some(param.as_bytes()),
            new_pin_enc: Some(&new_pin_enc),
            ..session.request(subcommand::SET_PIN)
        })
    }

    pub fn set_pin(&mut self, protocol: PinUvAuthProtocol, pin: &str) -> Status {
        self.set_padded(protocol, PaddedPin::new(pin, 0).unwrap().as_bytes())
    }

    pub fn change_padded(&mut self, protocol: PinUvAuthProtocol, old: &str, padded: &[u8]) -> Status {
        let session = self.agree(protocol);
        let new_pin_enc = self.encrypt(&session, padded);
        let pin_hash_enc = self.encrypt(&session, &PinHash::of(&C::default(), old.as_bytes()).0);
        let param = session.shared.authenticate(&C::default(), &[&new_pin_enc, &pin_hash_enc]);
        self.client_pin(&client_pin::Request {
            pin_uv_auth_param: Some(param.as_bytes()),
            new_pin_enc: Some(&new_pin_enc),
            pin_hash_enc: Some(&pin_hash_enc),
            ..session.request(subcommand::CHANGE_PIN)
        })
    }

    pub fn change_pin(&mut self, protocol: PinUvAuthProtocol, old: &str, new: &str) -> Status {
        self.change_padded(protocol, old, PaddedPin::new(new, 0).unwrap().as_bytes())
    }

    /// getPinUvAuthTokenUsingPinWithPermissions.
    pub fn token(
        &mut self,
        protocol: PinUvAuthProtocol,
        pin: &str,
        permissions: Permissions,
        rp_id: Option<&str>,
    ) -> Result<Token, Status> {
        let session = self.agree(protocol);
        let pin_hash_enc = self.encrypt(&session, &PinHash::of(&C::default(), pin.as_bytes()).0);
        let request = client_pin::Request {
            pin_hash_enc: Some(&pin_hash_enc),
            permissions: Some(permissions.0.into()),
            rp_id,
            ..session.request(subcommand::GET_TOKEN_USING_PIN)
        };
        self.token_by(&session, &request)
    }

    pub fn token_by(&mut self, session: &Session, request: &client_pin::Request<'_>) -> Result<Token, Status> {
        let response = self.call(&message(Command::CLIENT_PIN, request));
        body(&response, |response| {
            let response: client_pin::Response<'_> = ctap2::decode_response(response).unwrap();
            let mut out = [0; 32];
            let len = session.shared.decrypt(&C::default(), response.pin_uv_auth_token.unwrap(), &mut out).unwrap();
            Token::new(session.protocol, &out[..len]).unwrap()
        })
    }

    /// pinRetries and powerCycleState.
    pub fn retries(&mut self) -> (u32, bool) {
        let request = client_pin::Request { sub_command: Some(subcommand::GET_PIN_RETRIES), ..Default::default() };
        let response = self.call(&message(Command::CLIENT_PIN, &request));
        let response: client_pin::Response<'_> = ctap2::decode_response(&response).unwrap();
        (response.pin_retries.unwrap(), response.power_cycle_state.unwrap_or(false))
    }
}

/// authenticatorBioEnrollment with a pinUvAuthParam, if there is a token.
pub fn bio_message(token: Option<&Token>, sub_command: u32, params: &bio_enrollment::Params<'_>) -> Vec<u8> {
    let mut encoded = vec![0; 400];
    let len = cbor::encode(params, &mut encoded).unwrap();
    let raw = (*params != bio_enrollment::Params::default()).then_some(RawMap(&encoded[..len]));
    let head = bio_enrollment::authenticated_head(sub_command);
    let param = token
        .map(|token| token.authenticate(&RustCrypto, PinUvAuthProtocol::Two, &[&head, raw.map_or(&[], |raw| raw.0)]));
    let request = bio_enrollment::Request {
        modality: Some(bio_enrollment::FINGERPRINT),
        sub_command: Some(sub_command),
        sub_command_params: raw,
        pin_uv_auth_protocol: token.map(|_| 2),
        pin_uv_auth_param: param.as_ref().map(|param| param.as_bytes()),
        get_modality: None,
    };
    message(Command::BIO_ENROLLMENT, &request)
}

/// Encodes extension inputs or outputs.
pub fn raw<T: Write>(map: &T) -> Vec<u8> {
    let mut buffer = vec![0; 8192];
    let len = cbor::encode(map, &mut buffer).unwrap();
    buffer.truncate(len);
    buffer
}

/// A registration with extension inputs.
pub fn extended<'a>(request: make_credential::Request<'a>, inputs: &'a [u8]) -> make_credential::Request<'a> {
    make_credential::Request { extensions: Some(RawMap(inputs)), ..request }
}

/// A sign-in with extension inputs.
pub fn asking(inputs: &[u8]) -> get_assertion::Request<'_> {
    get_assertion::Request { extensions: Some(RawMap(inputs)), ..assertion() }
}

/// A sign-in with one of these credentials.
pub fn listed<'a>(
    request: get_assertion::Request<'a>,
    list: &'a [CredentialDescriptor<'a>],
) -> get_assertion::Request<'a> {
    get_assertion::Request { allow_list: Some(List::Slice(list)), ..request }
}

pub fn pin_hash(pin: &str) -> [u8; 16] {
    PinHash::of(&RustCrypto, pin.as_bytes()).0
}

pub fn rp_id_hash(rp_id: &str) -> [u8; 32] {
    RustCrypto.sha256(&[rp_id.as_bytes()])
}
