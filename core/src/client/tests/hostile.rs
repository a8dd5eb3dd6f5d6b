//! Authenticators and callers that do anything.

use proptest::{collection::vec, prelude::*};

use super::{
    extensions::{GetExtensions, MakeExtensions, PrfInput},
    *,
};
use crate::transport::KeepAlive;

const PRF: PrfInput<'static> = PrfInput { first: b"one", second: Some(b"two") };

pub type MakeDevice = fn() -> Device<StubCrypto>;
pub type Run = fn(&mut Device<StubCrypto>, &mut [u8]) -> Result<usize, Error>;

/// The ceremonies whose every response is then replaced: by PIN, by built-in user verification, with several
/// assertions, with lists that are searched and secrets that are evaluated.
pub fn ceremonies() -> Vec<(MakeDevice, Run)> {
    fn several(mut device: Device<StubCrypto>) -> Device<StubCrypto> {
        device.credentials = vec![b"one".to_vec(), b"two".to_vec()];
        device
    }
    fn make(device: &mut Device<StubCrypto>, buffer: &mut [u8]) -> Result<usize, Error> {
        make_in(buffer, StubCrypto, device, &make_options(), &mut User::with_pins([PIN, PIN])).map(|id| id.len())
    }
    fn get(device: &mut Device<StubCrypto>, buffer: &mut [u8]) -> Result<usize, Error> {
        get_in(buffer, StubCrypto, device, &get_options(), &mut User::with_pins([PIN, PIN])).map(|(ids, _)| ids.len())
    }
    fn make_after_search(device: &mut Device<StubCrypto>, buffer: &mut [u8]) -> Result<usize, Error> {
        let list = [CredentialDescriptor::new(b"one"), CredentialDescriptor::new(b"two")];
        let extensions = MakeExtensions { prf: Some(Some(PRF)), cred_blob: Some(b"blob"), ..MakeExtensions::NONE };
        let options = MakeOptions { exclude_list: List::Slice(&list), extensions, ..make_options() };
        make_in(buffer, StubCrypto, device, &options, &mut User::with_pins([PIN, PIN])).map(|id| id.len())
    }
    fn get_after_search(device: &mut Device<StubCrypto>, buffer: &mut [u8]) -> Result<usize, Error> {
        let list = [CredentialDescriptor::new(b"one"), CredentialDescriptor::new(ID)];
        let extensions = GetExtensions { prf: Some(PRF), ..GetExtensions::NONE };
        let options = GetOptions { allow_list: List::Slice(&list), extensions, ..get_options() };
        get_in(buffer, StubCrypto, device, &options, &mut User::with_pins([PIN, PIN])).map(|(ids, _)| ids.len())
    }
    let extended = || Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
    let by_pin = || Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    let by_old_pin = || {
        let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::One);
        device.options.pin_uv_auth_token = None;
        device
    };
    let with_several = || several(Device::with_uv(StubCrypto));
    vec![
        (by_pin, make),
        (by_pin, get),
        (by_old_pin, make),
        (with_several, get),
        (extended, make_after_search),
        (extended, get_after_search),
    ]
}

/// The requests and responses of an undisturbed run.
pub fn exchanges(device: MakeDevice, run: Run) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut device = device();
    run(&mut device, &mut [0; 1024]).unwrap();
    device.requests.into_iter().zip(device.responses).collect()
}

#[test]
fn every_status_in_place_of_every_response_ends_or_goes_on_without_a_panic() {
    for (device, run) in ceremonies() {
        for index in 0..exchanges(device, run).len() {
            for status in 1..=255 {
                let mut device = device();
                device.tampered = Some((index, vec![status]));
                let _ = run(&mut device, &mut [0; 1024]);
                assert!(device.requests.len() < 20);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_bytes_in_place_of_any_response_never_panic(
        bytes in vec(any::<u8>(), 0..300), success in any::<bool>(), which in 0..6_usize, index in 0..8_usize,
    ) {
        let (device, run) = ceremonies()[which];
        let mut device = device();
        let mut response = bytes;
        if success && let Some(first) = response.first_mut() {
            *first = 0;
        }
        device.tampered = Some((index, response));
        let _ = run(&mut device, &mut [0; 1024]);
        prop_assert!(device.requests.len() < 20);
    }

    #[test]
    fn arbitrary_inputs_in_arbitrary_order_never_panic(
        steps in vec((0..12_u8, any::<u16>(), any::<bool>()), 0..200), pin in any::<bool>(), kind in any::<bool>(),
    ) {
        let make = make_options();
        let get = get_options();
        let mut buffer = [0; 1024];
        let device = if pin { Device::with_pin(StubCrypto, PinUvAuthProtocol::Two) } else { Device::with_uv(StubCrypto) };
        if kind {
            wander(Ceremony::new(MakeCredential::new(&make), &mut buffer, StubCrypto, rng()), device, &steps);
        } else {
            wander(Ceremony::new(GetAssertion::new(&get), &mut buffer, StubCrypto, rng()), device, &steps);
        }
    }
}

/// Steps a ceremony with whatever comes, the device's true answers among it.
fn wander<'b, O: Operation>(
    mut ceremony: Ceremony<'b, O, StubCrypto, rand_chacha::ChaCha8Rng>,
    mut device: Device<StubCrypto>,
    steps: &[(u8, u16, bool)],
) {
    let mut now = 0;
    let mut answer = None;
    for (kind, number, flag) in steps {
        let input = match kind {
            0 => Input::Start,
            1..=4 if *flag => Input::Response(answer.take().unwrap_or(usize::from(*number))),
            1 => Input::Response(usize::from(*number)),
            2 | 3 => Input::Time,
            4 | 5 => Input::Pin(if *flag { PIN } else { "é" }),
            6 => Input::UserVerification(*flag),
            7 if *flag => Input::NoPin,
            7 => Input::Response(usize::MAX),
            8 => Input::KeepAlive(KeepAlive::from(*number as u8)),
            9 => Input::Reconnected,
            10 if *number < 6000 => Input::Cancel,
            10 if *number < 12000 => Input::TransportFailed,
            _ => Input::Time,
        };
        now += u64::from(*number) / 100;
        if let Ok(Output::Send(exchange)) = ceremony.step(at(now), input) {
            let response = device.answer(exchange.request());
            if let Some(buf) = exchange.buf.get_mut(..response.len()) {
                buf.copy_from_slice(&response);
                answer = Some(response.len());
            }
        }
    }
    let _ = ceremony.finish();
}
