//! Lists the credentials of several relying parties and deletes one, with a virtual key in this process. The PIN is
//! asked for once.

use std::{error::Error, time};

use keyfob_core::{
    Instant,
    client::{
        PinEntry, Prompt, Requirement, Session, UserInteraction,
        fido2::{Fido2Client, WebAuthnClient},
        manage::{Access, DeleteCredential, ListCredentials, ListRelyingParties, SetPin},
    },
    cose::Algorithm,
    crypto::RustCrypto,
    ctap2::{CredentialParameters, UserEntity},
    transport::hid::HidTransport,
    webauthn::{AuthenticatorSelection, CreationOptions, DefaultClientDataCollector, RelyingParty},
};
use keyfob_soft_authenticator::{
    devices::{InProcess, KeyOptions, VIRTUAL_KEY_AAGUID, VirtualKey},
    engine::Config,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// The user, and how often the PIN was asked for.
#[derive(Default)]
struct User {
    asked: u32,
}

impl UserInteraction for User {
    fn request_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        self.asked += 1;
        pin.set("1234");
        true
    }

    fn request_new_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        pin.set("1234");
        true
    }
}

pub fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::new(VIRTUAL_KEY_AAGUID);
    let mut memory = vec![0; config.buffer_len()];
    let key = VirtualKey::new(&mut memory, KeyOptions::new(config)).map_err(|error| format!("{error:?}"))?;
    let start = time::Instant::now();
    let clock = || Instant::from_millis(start.elapsed().as_millis() as u64);
    let transport = HidTransport::new(InProcess(key), clock, *b"a nonce!");
    let collector = DefaultClientDataCollector::new("https://one.example");
    let rng = ChaCha20Rng::from_seed(seed()?);
    let mut client = Fido2Client::new(transport, collector, User::default(), RustCrypto, rng, clock);

    for origin in ["https://one.example", "https://two.example"] {
        client.collector = DefaultClientDataCollector::new(origin);
        let rp = RelyingParty { id: None, name: "Example" };
        let user = UserEntity { id: b"user-0001", name: Some("alice"), display_name: None };
        let discoverable =
            AuthenticatorSelection { resident_key: Some(Requirement::Required), ..AuthenticatorSelection::default() };
        let parameters = [CredentialParameters::new(Algorithm::ES256)];
        let options = CreationOptions {
            authenticator_selection: Some(discoverable),
            ..CreationOptions::new(rp, user, b"a challenge", &parameters)
        };
        let (mut client_data, mut buffer) = ([0; 256], [0; 4096]);
        let creation = client.creation(&options, &mut client_data)?;
        client.make_credential(&creation, &mut buffer)?;
    }

    let (mut session, mut buffer) = (Session::new(), [0; 4096]);
    let (mut parties, mut ids) = (Vec::new(), Vec::new());
    client.manage(&mut session, SetPin, &mut buffer, |_| ())?;
    client.manage(&mut session, ListRelyingParties::new(Access::User), &mut buffer, |found| {
        parties.push(*found.rp_id_hash)
    })?;
    for rp_id_hash in &parties {
        client.manage(&mut session, ListCredentials::new(rp_id_hash, Access::User), &mut buffer, |found| {
            ids.push(found.id.to_vec())
        })?;
    }
    let id = ids.first().ok_or("no credential is listed")?;
    client.manage(&mut session, DeleteCredential::new(id), &mut buffer, |_| ())?;
    println!("Listed {} credentials, deleted one. The PIN was asked for {} time.", ids.len(), client.user.asked);
    assert_eq!((ids.len(), client.user.asked), (2, 1));
    Ok(())
}

fn seed() -> Result<[u8; 32], Box<dyn Error>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| error.to_string())?;
    Ok(seed)
}
