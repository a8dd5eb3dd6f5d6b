//! Registers and signs in, with a virtual key in this process.

use std::{error::Error, time};

use keyfob_core::{
    Instant,
    cbor::List,
    client::{
        UserInteraction,
        fido2::{Fido2Client, WebAuthnClient},
    },
    cose::Algorithm,
    crypto::RustCrypto,
    ctap2::{CredentialDescriptor, CredentialParameters, UserEntity},
    transport::hid::HidTransport,
    webauthn::{CreationOptions, DefaultClientDataCollector, RelyingParty, RequestOptions},
};
use keyfob_soft_authenticator::{
    devices::{InProcess, KeyOptions, VIRTUAL_KEY_AAGUID, VirtualKey},
    engine::Config,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

struct User;

impl UserInteraction for User {
    fn prompt_up(&mut self) {
        println!("Touch your security key.");
    }
}

pub fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::new(VIRTUAL_KEY_AAGUID);
    let mut memory = vec![0; config.buffer_len()];
    let key = VirtualKey::new(&mut memory, KeyOptions::new(config)).map_err(|error| format!("{error:?}"))?;

    let start = time::Instant::now();
    let clock = || Instant::from_millis(start.elapsed().as_millis() as u64);
    let transport = HidTransport::new(InProcess(key), clock, *b"a nonce!");
    let collector = DefaultClientDataCollector::new("https://example.org");
    let rng = ChaCha20Rng::from_seed(seed()?);
    let mut client = Fido2Client::new(transport, collector, User, RustCrypto, rng, clock);

    let rp = RelyingParty { id: None, name: "Example" };
    let user = UserEntity { id: b"user-0001", name: Some("alice"), display_name: None };
    let parameters = [CredentialParameters::new(Algorithm::ES256)];
    let (mut client_data, mut buffer) = ([0; 256], [0; 4096]);
    let creation = client.creation(&CreationOptions::new(rp, user, b"a challenge", &parameters), &mut client_data)?;
    let registered = client.make_credential(&creation, &mut buffer)?;
    println!("Registered a credential of {} bytes.", registered.credential_id().len());

    let allowed = [CredentialDescriptor::new(registered.credential_id())];
    let (mut client_data, mut buffer) = ([0; 256], [0; 4096]);
    let options =
        RequestOptions { allow_credentials: Some(List::Slice(&allowed)), ..RequestOptions::new(b"another challenge") };
    let request = client.request(&options, &mut client_data)?;
    let responses = client.get_assertion(&request, &mut buffer)?;
    let signed_in = responses.get(0).ok_or("no response")?;
    assert_eq!(signed_in.credential_id(), registered.credential_id());
    println!("Signed in.");
    Ok(())
}

fn seed() -> Result<[u8; 32], Box<dyn Error>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| error.to_string())?;
    Ok(seed)
}
