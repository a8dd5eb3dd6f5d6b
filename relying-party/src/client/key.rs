//! The client's part of a ceremony, which a browser does otherwise: from options in JSON to a credential in JSON.

use std::{net::TcpStream, str::FromStr, time};

use keyfob_core::{
    Instant,
    attestation::RawStatement,
    cbor::{self, List},
    client::{
        self, GetAssertion, GetOptions, MakeCredential, MakeOptions, PinEntry, Prompt, Requirement, UserInteraction,
    },
    cose::Algorithm,
    crypto::{Hash, RustCrypto},
    ctap2::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity},
    transport::{ReportIo, Transport, hid::HidTransport},
    webauthn::{AttestationObject, ClientData, ClientDataType, PublicSuffixList, origin_matches},
};
use keyfob_soft_authenticator::{
    devices::{InProcess, KeyOptions, TcpPipe, VIRTUAL_KEY_AAGUID, VirtualKey},
    engine::Config,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};

use super::Error;
use crate::{
    number, random,
    server::members::{decode, encode},
};

/// Room for the longest message over HID, in bytes.
const MESSAGE: usize = 7609;
/// The AAGUID's place in authenticator data, in bytes (WebAuthn L3 §6.5.2).
const AAGUID: std::ops::Range<usize> = 37..53;

/// The choice of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyChoice {
    /// A virtual key that lives as long as this process.
    #[default]
    InProcess,
    /// An in-process key with the capabilities of an Arculus card: messages of 1,024 bytes, ES256 only.
    Card,
    /// A virtual key that `keyfob serve --tcp` serves.
    Tcp(String),
}

impl FromStr for KeyChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "in-process" => Ok(Self::InProcess),
            None if text == "card" => Ok(Self::Card),
            Some(("tcp", address)) => Ok(Self::Tcp(address.into())),
            _ => Err("a key is in-process, card or tcp:ADDRESS:PORT".into()),
        }
    }
}

/// A security key, independent of its transport.
pub trait Prover {
    /// Performs a registration with these options and returns the credential.
    ///
    /// # Errors
    /// [`Error`]: the options cannot be used, or the key failed.
    fn create(&mut self, origin: &str, options: &Value) -> Result<Value, Error>;
    /// Performs a sign-in with these options and returns the credential.
    ///
    /// # Errors
    /// [`Error`]: the options cannot be used, or the key failed.
    fn get(&mut self, origin: &str, options: &Value) -> Result<Value, Error>;
}

/// Opens a key and calls `work` with it.
///
/// # Errors
/// [`Error::Key`]; the errors of `work`.
pub fn with_key<T>(
    choice: &KeyChoice,
    pin: Option<String>,
    work: impl FnOnce(&mut dyn Prover) -> Result<T, Error>,
) -> Result<T, Error> {
    let profile = match choice {
        KeyChoice::InProcess => Config::fido2_3_full,
        KeyChoice::Card => Config::arculus_like,
        KeyChoice::Tcp(address) => {
            let stream = TcpStream::connect(address)
                .map_err(|error| Error::Key(format!("{address} cannot be reached: {error}")))?;
            stream.set_nodelay(true).map_err(|error| Error::Key(error.to_string()))?;
            return work(&mut SecurityKey::over_hid(TcpPipe::new(stream), pin)?);
        }
    };
    let config = profile(VIRTUAL_KEY_AAGUID);
    let mut buffer = vec![0; config.buffer_len()];
    let key = VirtualKey::new(&mut buffer, KeyOptions::new(config)).map_err(|error| Error::Key(format!("{error}")))?;
    work(&mut SecurityKey::over_hid(InProcess(key), pin)?)
}

/// A security key behind a transport, and its user.
pub struct SecurityKey<T> {
    transport: T,
    user: User,
    rng: ChaCha20Rng,
    start: time::Instant,
    buffer: Vec<u8>,
}

/// A user who may know a PIN.
struct User {
    pin: Option<String>,
    asked: bool,
}

impl UserInteraction for User {
    fn request_pin(&mut self, _: &Prompt<'_>, entry: &mut PinEntry) -> bool {
        // A wrong PIN stays wrong, and each attempt counts, so it is entered only once.
        let Some(pin) = self.pin.as_ref().filter(|_| !self.asked) else { return false };
        self.asked = true;
        entry.set(pin);
        true
    }
}

fn instant(start: time::Instant) -> Instant {
    Instant::from_millis(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX))
}

impl<R: ReportIo> SecurityKey<HidTransport<R, Box<dyn FnMut() -> Instant>>> {
    /// A key that takes CTAPHID reports.
    ///
    /// # Errors
    /// [`Error::Key`]: the key cannot be opened.
    pub fn over_hid(io: R, pin: Option<String>) -> Result<Self, Error> {
        let start = time::Instant::now();
        let clock: Box<dyn FnMut() -> Instant> = Box::new(move || instant(start));
        let nonce = random::bytes().map_err(|error| Error::Key(error.to_string()))?;
        Self::new(HidTransport::new(io, clock, nonce), pin)
    }
}

impl<T: Transport> SecurityKey<T> {
    /// A key behind this transport, and a user with this PIN.
    ///
    /// # Errors
    /// [`Error::Key`]: the key cannot be opened.
    pub fn new(transport: T, pin: Option<String>) -> Result<Self, Error> {
        let seed = random::bytes().map_err(|error| Error::Key(error.to_string()))?;
        let rng = ChaCha20Rng::from_seed(seed);
        let user = User { pin, asked: false };
        Ok(Self { transport, user, rng, start: time::Instant::now(), buffer: vec![0; MESSAGE] })
    }
}

impl<T: Transport> Prover for SecurityKey<T> {
    fn create(&mut self, origin: &str, options: &Value) -> Result<Value, Error> {
        let rp_id = options["rp"]["id"].as_str().ok_or(Error::Options("rp.id"))?;
        check_origin(rp_id, origin)?;
        let client_data = client_data(ClientDataType::Create, options, origin)?;
        let hash = RustCrypto.sha256(&[&client_data]);
        let user_id = bytes(&options["user"]["id"]).ok_or(Error::Options("user.id"))?;
        let rp = RpEntity { id: rp_id, name: options["rp"]["name"].as_str() };
        let user = UserEntity {
            id: &user_id,
            name: options["user"]["name"].as_str(),
            display_name: options["user"]["displayName"].as_str(),
        };
        let parameters = parameters(&options["pubKeyCredParams"]);
        let excluded = ids(&options["excludeCredentials"])?;
        let excluded: Vec<_> = excluded.iter().map(|id| CredentialDescriptor::new(id)).collect();
        let selection = &options["authenticatorSelection"];
        let mut make = MakeOptions::new(&hash, rp, user, &parameters);
        make.exclude_list = List::Slice(&excluded);
        make.user_verification = requirement(&selection["userVerification"], Requirement::Preferred);
        let rk = if selection["requireResidentKey"] == true { Requirement::Required } else { Requirement::Discouraged };
        make.resident_key = requirement(&selection["residentKey"], rk);
        self.user.asked = false;
        let start = self.start;
        let ceremony = client::Ceremony::new(MakeCredential::new(&make), &mut self.buffer, RustCrypto, &mut self.rng);
        let made = client::run(ceremony, &mut self.transport, &mut self.user, || instant(start));
        let made = made.map_err(Error::Ceremony)?;

        let mut auth_data = made.response.auth_data.to_vec();
        let mut object = AttestationObject {
            fmt: made.response.fmt,
            att_stmt: made.response.att_stmt.unwrap_or(RawStatement::EMPTY),
            auth_data: &[],
        };
        if !matches!(options["attestation"].as_str(), Some("direct" | "indirect" | "enterprise")) {
            // WebAuthn L3 §5.1.3 step 22.4, "none": the relying party does not learn the model.
            (object.fmt, object.att_stmt) = ("none", RawStatement::EMPTY);
            auth_data.get_mut(AAGUID).unwrap_or_default().fill(0);
        }
        object.auth_data = &auth_data;
        let mut bytes = vec![0; MESSAGE + 64];
        let length = cbor::encode(&object, &mut bytes).map_err(|error| Error::Key(error.to_string()))?;
        bytes.truncate(length);
        let id = made.auth_data.attested_credential_data.map(|data| encode(data.credential_id));
        Ok(json!({
            "id": id,
            "rawId": id,
            "type": "public-key",
            "authenticatorAttachment": "cross-platform",
            "response": {
                "clientDataJSON": encode(&client_data),
                "attestationObject": encode(&bytes),
                "transports": ["usb"],
            },
            "getClientExtensionResults": {},
        }))
    }

    fn get(&mut self, origin: &str, options: &Value) -> Result<Value, Error> {
        let rp_id = options["rpId"].as_str().ok_or(Error::Options("rpId"))?;
        check_origin(rp_id, origin)?;
        let client_data = client_data(ClientDataType::Get, options, origin)?;
        let hash = RustCrypto.sha256(&[&client_data]);
        let allowed = ids(&options["allowCredentials"])?;
        let allowed: Vec<_> = allowed.iter().map(|id| CredentialDescriptor::new(id)).collect();
        let mut get = GetOptions::new(rp_id, &hash);
        get.allow_list = List::Slice(&allowed);
        get.user_verification = requirement(&options["userVerification"], Requirement::Preferred);
        self.user.asked = false;
        let start = self.start;
        let ceremony = client::Ceremony::new(GetAssertion::new(&get), &mut self.buffer, RustCrypto, &mut self.rng);
        let selection = client::run(ceremony, &mut self.transport, &mut self.user, || instant(start));
        let selection = selection.map_err(Error::Ceremony)?;
        let assertion = selection.get(0).ok_or(Error::Key("it answers without an assertion".into()))?;
        let id = encode(assertion.credential_id);
        Ok(json!({
            "id": id,
            "rawId": id,
            "type": "public-key",
            "authenticatorAttachment": "cross-platform",
            "response": {
                "clientDataJSON": encode(&client_data),
                "authenticatorData": encode(assertion.response.auth_data),
                "signature": encode(assertion.response.signature),
                "userHandle": assertion.user_handle().map(encode),
            },
            "getClientExtensionResults": {},
        }))
    }
}

fn check_origin(rp_id: &str, origin: &str) -> Result<(), Error> {
    if origin_matches(rp_id, origin, &PublicSuffixList) { Ok(()) } else { Err(Error::Origin(rp_id.into())) }
}

fn client_data(kind: ClientDataType, options: &Value, origin: &str) -> Result<Vec<u8>, Error> {
    let challenge = bytes(&options["challenge"]).ok_or(Error::Options("challenge"))?;
    let client_data = ClientData { kind, challenge: &challenge, origin, cross_origin: false, top_origin: None };
    let mut json = vec![0; 8 * (challenge.len() + origin.len()) + 128];
    let length = client_data.write(&mut json).map_err(|_| Error::Options("challenge"))?;
    json.truncate(length);
    Ok(json)
}

fn parameters(list: &Value) -> Vec<CredentialParameters<'static>> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let known =
        list.iter().filter(|params| params["type"] == "public-key").filter_map(|params| number::whole(&params["alg"]));
    known.filter_map(|alg| i32::try_from(alg).ok()).map(|alg| CredentialParameters::new(Algorithm(alg))).collect()
}

fn ids(list: &Value) -> Result<Vec<Vec<u8>>, Error> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let known = list.iter().filter(|descriptor| descriptor["type"] == "public-key");
    known.map(|descriptor| bytes(&descriptor["id"]).ok_or(Error::Options("a credential's id"))).collect()
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    decode(value.as_str()?)
}

fn requirement(value: &Value, otherwise: Requirement) -> Requirement {
    match value.as_str() {
        Some("required") => Requirement::Required,
        Some("preferred") => Requirement::Preferred,
        Some("discouraged") => Requirement::Discouraged,
        _ => otherwise,
    }
}
