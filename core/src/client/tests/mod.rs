//! Ceremonies against a small authenticator.

use super::*;
use crate::{
    Status,
    cbor::List,
    cose::Algorithm,
    crypto::{Crypto, StubCrypto},
    ctap2::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity},
    pin_uv::PinUvAuthProtocol,
};

mod authorization;
mod damaged;
mod defects;
mod device;
mod faults;
mod fido2;
mod frames;
mod hostile;
mod json;
mod machine;
mod manage;
mod outcome;
mod pin_attempts;
mod preflight;
mod quirks;
mod requests;
mod steps;
mod touch;
mod u2f;
mod uv_table;

use device::{Device, Flaw, HASH, ID, PIN, RP_ID, User, at, rng, status};

const ES256: &[CredentialParameters] = &[CredentialParameters::new(Algorithm::ES256)];

fn make_options() -> MakeOptions<'static> {
    let user = UserEntity { id: b"user", name: Some("name"), display_name: None };
    MakeOptions::new(HASH, RpEntity { id: RP_ID, name: None }, user, ES256)
}

fn get_options() -> GetOptions<'static> {
    GetOptions::new(RP_ID, HASH)
}

/// Registers, and returns the credential's id.
fn make<C: Crypto + Copy>(
    crypto: C,
    device: &mut Device<C>,
    options: &MakeOptions,
    user: &mut User,
) -> Result<Vec<u8>, Error> {
    make_in(&mut [0; 1024], crypto, device, options, user)
}

fn make_in<C: Crypto + Copy>(
    buffer: &mut [u8],
    crypto: C,
    device: &mut Device<C>,
    options: &MakeOptions,
    user: &mut User,
) -> Result<Vec<u8>, Error> {
    let ceremony = Ceremony::new(MakeCredential::new(options), buffer, crypto, rng());
    let now = device.now.clone();
    let attestation = run(ceremony, device, user, || at(now.get()))?;
    Ok(attestation.auth_data.attested_credential_data.unwrap().credential_id.to_vec())
}

/// Signs in, and returns the credentials' ids and how many there would have been.
fn get<C: Crypto + Copy>(
    crypto: C,
    device: &mut Device<C>,
    options: &GetOptions,
    user: &mut User,
) -> Result<(Vec<Vec<u8>>, usize), Error> {
    get_in(&mut [0; 1024], crypto, device, options, user)
}

fn get_in<C: Crypto + Copy>(
    buffer: &mut [u8],
    crypto: C,
    device: &mut Device<C>,
    options: &GetOptions,
    user: &mut User,
) -> Result<(Vec<Vec<u8>>, usize), Error> {
    let ceremony = Ceremony::new(GetAssertion::new(options), buffer, crypto, rng());
    let now = device.now.clone();
    let selection = run(ceremony, device, user, || at(now.get()))?;
    assert_eq!(selection.iter().count(), selection.len());
    Ok((selection.iter().map(|assertion| assertion.credential_id.to_vec()).collect(), selection.total()))
}

fn make_stub(device: &mut Device<StubCrypto>, options: &MakeOptions, user: &mut User) -> Result<Vec<u8>, Cause> {
    make(StubCrypto, device, options, user).map_err(|error| error.cause)
}

fn get_stub(
    device: &mut Device<StubCrypto>,
    options: &GetOptions,
    user: &mut User,
) -> Result<(Vec<Vec<u8>>, usize), Cause> {
    get(StubCrypto, device, options, user).map_err(|error| error.cause)
}
