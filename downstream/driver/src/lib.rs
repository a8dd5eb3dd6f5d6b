//! A driver for every ceremony, written outside of `keyfob-core`: one function with a loop.

use keyfob_core::{
    Instant,
    client::{
        Attestation, Ceremony, Error, Input, MakeCredential, MakeOptions, Memory, Operation, Output, Requirement,
    },
    cose::Algorithm,
    crypto::Crypto,
    ctap2::{CredentialParameters, RpEntity, UserEntity},
    transport::{Received, Transport},
};
use rand_core::CryptoRng;

/// Runs any ceremony over `transport`, and gives `pin` wherever one is asked for.
///
/// # Errors
/// Why the ceremony failed.
pub fn drive<'b, O: Operation, C: Crypto, R: CryptoRng, S: Memory>(
    mut ceremony: Ceremony<'b, O, C, R, S>,
    transport: &mut impl Transport,
    pin: &str,
    clock: impl Fn() -> Instant,
) -> Result<O::Outcome<'b>, Error> {
    let mut input = Input::Start;
    loop {
        input = match ceremony.step(clock(), input)? {
            Output::Send(exchange) => sent(transport.send(exchange.protocol, exchange.request())),
            Output::Wait { buf, limit } => match transport.receive(buf, limit) {
                Ok(Received::Response(length) | Received::TooLong(length)) => Input::Response(length),
                Ok(Received::KeepAlive(status)) => Input::KeepAlive(status),
                Ok(Received::Unreadable) => Input::Unreadable,
                Ok(_) => Input::Time,
                Err(_) => Input::TransportFailed,
            },
            Output::CancelDevice => sent(transport.cancel()),
            Output::AskPin(_) | Output::AskNewPin(_) => Input::Pin(pin),
            Output::AskUv(_) => Input::UserVerification(true),
            Output::Reconnect => match transport.reconnect() {
                Ok(()) => Input::Reconnected,
                Err(_) => Input::TransportFailed,
            },
            Output::Done => return ceremony.finish(),
            _ => Input::Time,
        };
    }
}

/// Registers with options that live here only: the attestation borrows from `buffer`, not from them.
///
/// # Errors
/// Why the registration failed.
pub fn register<'b, C: Crypto, R: CryptoRng>(
    (rp_id, user_id): (&str, &[u8]),
    client_data_hash: &[u8; 32],
    (transport, pin, clock): (&mut impl Transport, &str, impl Fn() -> Instant),
    (crypto, rng): (C, &'b mut R),
    buffer: &'b mut [u8],
) -> Result<Attestation<'b>, Error> {
    let algorithms = [CredentialParameters::new(Algorithm::ES256), CredentialParameters::new(Algorithm::EDDSA)];
    let rp = RpEntity { id: rp_id, name: None };
    let user = UserEntity { id: user_id, name: None, display_name: None };
    let options = MakeOptions {
        resident_key: Requirement::Required,
        ..MakeOptions::new(client_data_hash, rp, user, &algorithms)
    };
    drive(Ceremony::new(MakeCredential::new(&options), buffer, crypto, rng), transport, pin, clock)
}

fn sent<E>(result: Result<(), E>) -> Input<'static> {
    if result.is_ok() { Input::Time } else { Input::TransportFailed }
}

#[cfg(test)]
mod tests {
    use std::time;

    use keyfob_core::{
        cbor::List,
        client::{
            GetAssertion, GetOptions,
            manage::{Access, ChangePin, CredentialsMetadata, GetInfo, Reset, Retries, Selection, SetPin},
        },
        crypto::{Hash, RustCrypto},
        ctap2::CredentialDescriptor,
        transport::hid::HidTransport,
    };
    use keyfob_soft_authenticator::{
        devices::{InProcess, KeyOptions, VirtualKey},
        engine::Config,
    };
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;

    const CONFIG: Config<'static> = Config::new([0; 16]);

    /// A virtual key, and the clock for it.
    fn plugged_in(
        memory: &mut [u8],
    ) -> (HidTransport<InProcess<'_>, impl Fn() -> Instant + Copy>, impl Fn() -> Instant + Copy) {
        let start = time::Instant::now();
        let clock = move || Instant::from_millis(u64::try_from(start.elapsed().as_millis()).unwrap());
        let key = VirtualKey::new(memory, KeyOptions::new(CONFIG)).unwrap();
        (HidTransport::new(InProcess(key), clock, [7; 8]), clock)
    }

    /// The attestation outlives the options, and the function that has made them.
    #[test]
    fn a_function_builds_options_and_returns_the_attestation() {
        let mut memory = vec![0; CONFIG.buffer_len()];
        let (mut transport, clock) = plugged_in(&mut memory);
        let (mut rng, mut buffer) = (ChaCha20Rng::seed_from_u64(1), vec![0; 8_192]);
        let attestation = {
            let (rp_id, hash) = (String::from("example.org"), [1; 32]);
            let means = (&mut transport, "1234", clock);
            register((&rp_id, &[1]), &hash, means, (RustCrypto, &mut rng), &mut buffer).unwrap()
        };
        assert_eq!(attestation.auth_data.rp_id_hash, &RustCrypto.sha256(&[b"example.org"]));
        assert!(attestation.auth_data.attested_credential_data.is_some());
    }

    #[test]
    fn one_driver_runs_every_kind_of_ceremony() {
        let mut memory = vec![0; CONFIG.buffer_len()];
        let (mut transport, clock) = plugged_in(&mut memory);
        let (mut rng, pin, mut buffer) = (ChaCha20Rng::seed_from_u64(1), "1234", vec![0; 8_192]);

        let info =
            drive(Ceremony::new(GetInfo, &mut buffer, RustCrypto, &mut rng), &mut transport, pin, clock).unwrap();
        assert_eq!(info.aaguid, &[0; 16]);
        drive(Ceremony::new(SetPin, &mut buffer, RustCrypto, &mut rng), &mut transport, pin, clock).unwrap();
        drive(Ceremony::new(ChangePin, &mut buffer, RustCrypto, &mut rng), &mut transport, pin, clock).unwrap();

        let (hash, algorithms) = ([1; 32], [CredentialParameters::new(Algorithm::ES256)]);
        let rp = RpEntity { id: "example.org", name: None };
        let user = UserEntity { id: &[1], name: Some("alice"), display_name: None };
        let options = MakeOptions::new(&hash, rp, user, &algorithms);
        let make = Ceremony::new(MakeCredential::new(&options), &mut buffer, RustCrypto, &mut rng);
        let made = drive(make, &mut transport, pin, clock).unwrap();
        let id = made.auth_data.attested_credential_data.unwrap().credential_id.to_vec();

        let allowed = [CredentialDescriptor::new(&id)];
        let options = GetOptions { allow_list: List::Slice(&allowed), ..GetOptions::new("example.org", &hash) };
        let get = Ceremony::new(GetAssertion::new(&options), &mut buffer, RustCrypto, &mut rng);
        assert_eq!(drive(get, &mut transport, pin, clock).unwrap().len(), 1);

        let count = Ceremony::new(CredentialsMetadata::new(Access::User), &mut buffer, RustCrypto, &mut rng);
        drive(count, &mut transport, pin, clock).unwrap();
        drive(Ceremony::new(Retries::of_pin(), &mut buffer, RustCrypto, &mut rng), &mut transport, pin, clock).unwrap();
        drive(Ceremony::new(Selection::new(), &mut buffer, RustCrypto, &mut rng), &mut transport, pin, clock).unwrap();
        drive(Ceremony::new(Reset, &mut buffer, RustCrypto, &mut rng), &mut transport, pin, clock).unwrap();
    }
}
