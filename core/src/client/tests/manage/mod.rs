//! Management against the small authenticator, whose answers to the commands of management are scripted.

use super::*;
use crate::{
    client::manage::*,
    ctap2::{Command, get_info},
    pin_uv::{Permissions, Token},
    vectors::{bytes, hex},
};

mod credentials;
mod devices;
mod fingerprints;
mod hostile;
mod large_blobs;
mod pin;
mod session;

type Outcome<'b, O> = <O as Operation>::Outcome<'b>;

/// Runs an operation and gives what it shows to `each`.
fn run_with<'b, O: Operation, C: Crypto + Copy>(
    ceremony: Ceremony<'b, O, C, rand_chacha::ChaCha8Rng>,
    device: &mut Device<C>,
    user: &mut User,
    each: impl FnMut(O::Item<'_>),
) -> Result<Outcome<'b, O>, Cause> {
    let now = device.now.clone();
    run_each(ceremony, device, user, || at(now.get()), each).map_err(|error| error.cause)
}

/// Runs an operation for a user who knows the PIN.
fn run_op<'b, O: Operation, C: Crypto + Copy>(
    ceremony: Ceremony<'b, O, C, rand_chacha::ChaCha8Rng>,
    device: &mut Device<C>,
) -> Result<Outcome<'b, O>, Cause> {
    run_with(ceremony, device, &mut User::manager([PIN, PIN]), |_| ())
}

/// A successful answer with the body of a vector.
fn ok(vector: &str) -> Vec<u8> {
    [vec![0], bytes(vector)].concat()
}

fn ok_hex(body: &str) -> Vec<u8> {
    [vec![0], hex(body)].concat()
}

/// The device with getInfo's options set by `options`, and a script.
fn scripted<const N: usize>(options: fn(&mut get_info::SupportedOptions), script: [Vec<u8>; N]) -> Device<StubCrypto> {
    let mut device = Device::managed(StubCrypto);
    options(&mut device.options);
    device.script = script.into();
    device
}

/// The requests with this command byte.
fn sent(device: &Device<impl Crypto>, command: Command) -> Vec<Vec<u8>> {
    let requests = device.requests.iter().filter(|request| request[0] == command.0);
    requests.map(|request| request[1..].to_vec()).collect()
}

#[test]
fn every_ceremony_and_operation_takes_at_most_688_bytes_beside_its_buffers() {
    fn size<O: Operation>() -> (&'static str, usize) {
        (std::any::type_name::<O>(), size_of::<Ceremony<'_, O, StubCrypto, ()>>())
    }
    let sizes = [
        size::<MakeCredential<'_>>(),
        size::<GetAssertion<'_, '_>>(),
        size::<SetPin>(),
        size::<ChangePin>(),
        size::<Retries>(),
        size::<CredentialsMetadata<'_>>(),
        size::<ListRelyingParties<'_>>(),
        size::<ListCredentials<'_>>(),
        size::<DeleteCredential<'_>>(),
        size::<UpdateUser<'_>>(),
        size::<GetPersistentToken>(),
        size::<Enroll>(),
        size::<SensorInfo>(),
        size::<ListFingerprints>(),
        size::<ChangeFingerprints<'_>>(),
        size::<CancelEnrollment>(),
        size::<ReadLargeBlobs<'_>>(),
        size::<WriteLargeBlobs<'_>>(),
        size::<Configure<'_>>(),
        size::<Selection>(),
        size::<Reset>(),
        size::<RawCommand<'_>>(),
        size::<GetInfo>(),
    ];
    for (name, size) in sizes {
        println!("{name}: {size} bytes");
        assert!(size <= 688, "{name}: {size}");
    }
}

#[test]
fn an_operation_that_the_authenticator_does_not_have_is_refused_before_the_user_is_bothered() {
    let mut device = Device::managed(StubCrypto);
    let mut memory = [0; 100];
    let check = |result: Result<(), Cause>, expected: Cause| assert_eq!(result, Err(expected));
    let mut buffer = [0; 1024];
    let unsupported = Cause::Unsupported;
    let b = &mut buffer;
    check(
        run_op(Ceremony::new(CredentialsMetadata::new(Access::User), b, StubCrypto, rng()), &mut device).map(drop),
        unsupported,
    );
    check(run_op(Ceremony::new(ListFingerprints::new(), b, StubCrypto, rng()), &mut device).map(drop), unsupported);
    check(run_op(Ceremony::new(Enroll::new(None), b, StubCrypto, rng()), &mut device).map(drop), unsupported);
    check(run_op(Ceremony::new(GetPersistentToken::new(), b, StubCrypto, rng()), &mut device).map(drop), unsupported);
    check(run_op(Ceremony::new(Retries::of_uv(), b, StubCrypto, rng()), &mut device).map(drop), unsupported);
    check(
        run_op(Ceremony::new(ReadLargeBlobs::new(&mut memory), b, StubCrypto, rng()), &mut device).map(drop),
        unsupported,
    );
    check(run_op(Ceremony::new(WriteLargeBlobs::new(&[0; 17]), b, StubCrypto, rng()), &mut device), unsupported);
    check(
        run_op(Ceremony::new(Configure::new(ConfigSubcommand::ToggleAlwaysUv), b, StubCrypto, rng()), &mut device),
        unsupported,
    );
    assert!(device.commands().iter().all(|command| *command == Command::GET_INFO.0));
}

#[test]
fn a_user_without_a_pin_cannot_manage_where_a_token_is_required() {
    let mut device = scripted(|options| options.cred_mgmt = Some(true), []);
    device.options.client_pin = Some(false);
    let mut buffer = [0; 1024];
    let ceremony = Ceremony::new(CredentialsMetadata::new(Access::User), &mut buffer, StubCrypto, rng());
    assert_eq!(run_op(ceremony, &mut device), Err(Cause::PinNotSet));
}

#[test]
fn built_in_user_verification_manages_only_what_the_authenticator_says() {
    for (permission, built_in) in [(true, vec![6]), (false, vec![9])] {
        let mut device = scripted(
            |options| {
                options.uv = Some(true);
                options.bio_enroll = Some(true);
            },
            [ok("bio_enrollment_enumerate")],
        );
        device.options.uv_bio_enroll = permission.then_some(true);
        let mut buffer = [0; 1024];
        run_op(Ceremony::new(ListFingerprints::new(), &mut buffer, StubCrypto, rng()), &mut device).unwrap();
        assert_eq!(device.sub_commands().split_off(device.sub_commands().len() - 1), built_in);
    }
}

#[test]
fn an_operation_ends_within_its_own_time() {
    let mut device = scripted(|_| (), []);
    device.silent = true;
    let mut buffer = [0; 1024];
    let ceremony = Ceremony::new(Reset, &mut buffer, StubCrypto, rng()).within(Duration::from_secs(2));
    assert_eq!(run_op(ceremony, &mut device), Err(Cause::Timeout));
    assert!((5000..5300).contains(&device.now.get()), "{:?}", device.now);
}
