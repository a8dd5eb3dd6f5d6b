//! Registers and signs in with the key that is plugged in, or the one at an address: `cargo run --example desk`, and on
//! tokio with `--async`.

use std::{env, error::Error};

use keyfob::{Address, client, client_of, keys, open_async};
use keyfob_core::{
    cbor::List,
    client::{AsyncUserInteraction, UserInteraction, fido2::WebAuthnClient},
    cose::Algorithm,
    ctap2::{CredentialDescriptor, CredentialParameters, UserEntity},
    webauthn::{CreationOptions, RelyingParty, RequestOptions},
};

const ORIGIN: &str = "https://example.org";
const USER: UserEntity<'static> = UserEntity { id: b"user-0001", name: Some("alice"), display_name: None };

struct Terminal;

impl UserInteraction for Terminal {
    fn prompt_up(&mut self) {
        println!("Touch your security key.");
    }
}

impl AsyncUserInteraction for Terminal {
    async fn prompt_up(&mut self) {
        println!("Touch your security key.");
    }
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let (flags, addresses): (Vec<String>, _) = env::args().skip(1).partition(|argument| argument == "--async");
    let address = match addresses.first() {
        Some(address) => address.parse()?,
        None => keys()?.into_iter().next().ok_or("plug in a security key")?.address,
    };
    if flags.is_empty() {
        return blocking(&address);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async { tokio::spawn(on_tokio(address)).await? })
}

fn blocking(address: &Address) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut client = client(address, ORIGIN, Terminal)?;
    let (challenge, mut client_data, mut buffer) = (challenge()?, [0; 256], [0; 7609]);

    let (rp, algorithms) = (RelyingParty { id: None, name: "Example" }, [CredentialParameters::new(Algorithm::ES256)]);
    let creation = client.creation(&CreationOptions::new(rp, USER, &challenge, &algorithms), &mut client_data)?;
    let id = client.make_credential(&creation, &mut buffer)?.credential_id().to_vec();
    println!("Registered a credential of {} bytes.", id.len());

    let (allowed, mut client_data) = ([CredentialDescriptor::new(&id)], [0; 256]);
    let options = RequestOptions { allow_credentials: Some(List::Slice(&allowed)), ..RequestOptions::new(&challenge) };
    let request = client.request(&options, &mut client_data)?;
    let signed_in = client.get_assertion(&request, &mut buffer)?;
    println!("Signed in with {} bytes.", signed_in.get(0).ok_or("no assertion")?.assertion.response.signature.len());
    Ok(())
}

async fn on_tokio(address: Address) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut client = client_of(open_async(&address).await?, ORIGIN, Terminal)?;
    let (challenge, mut client_data, mut buffer) = (challenge()?, [0; 256], [0; 7609]);

    let (rp, algorithms) = (RelyingParty { id: None, name: "Example" }, [CredentialParameters::new(Algorithm::ES256)]);
    let creation = client.creation(&CreationOptions::new(rp, USER, &challenge, &algorithms), &mut client_data)?;
    let id = client.make_credential_async(&creation, &mut buffer).await?.credential_id().to_vec();
    println!("Registered a credential of {} bytes.", id.len());

    let (allowed, mut client_data) = ([CredentialDescriptor::new(&id)], [0; 256]);
    let options = RequestOptions { allow_credentials: Some(List::Slice(&allowed)), ..RequestOptions::new(&challenge) };
    let request = client.request(&options, &mut client_data)?;
    let signed_in = client.get_assertion_async(&request, &mut [], &mut buffer).await?;
    println!("Signed in with {} bytes.", signed_in.get(0).ok_or("no assertion")?.assertion.response.signature.len());
    Ok(())
}

fn challenge() -> Result<[u8; 32], getrandom::Error> {
    let mut challenge = [0; 32];
    getrandom::fill(&mut challenge)?;
    Ok(challenge)
}
