//! At every step of every ceremony: the authenticator is unplugged, says nothing, or the user cancels. Each ends in a
//! typed error within its time, and the next ceremony on the same authenticator works.

use super::{
    device::Fault,
    extensions::{GetExtensions, LargeBlobAccess, MakeExtensions, PrfInput},
    hostile::{MakeDevice, ceremonies},
    *,
};

const PRF: PrfInput<'static> = PrfInput { first: b"one", second: Some(b"two") };

type Run = fn(&mut Device<StubCrypto>, &mut User) -> Result<(), Error>;

fn user() -> User {
    User { new_pins: ["5678"].into(), ..User::with_pins([PIN, PIN]) }
}

/// Ceremonies that between them take every step there is.
fn runs() -> Vec<(MakeDevice, Run)> {
    fn make_with(device: &mut Device<StubCrypto>, user: &mut User) -> Result<(), Error> {
        let list = [CredentialDescriptor::new(b"one"), CredentialDescriptor::new(b"two")];
        let prf = Some(Some(PRF));
        let extensions = MakeExtensions { prf, app_id_exclude: Some("https://example.org"), ..MakeExtensions::NONE };
        let options = MakeOptions { exclude_list: List::Slice(&list), extensions, ..make_options() };
        make(StubCrypto, device, &options, user).map(drop)
    }
    fn get_with(device: &mut Device<StubCrypto>, user: &mut User) -> Result<(), Error> {
        let list = [CredentialDescriptor::new(b"one"), CredentialDescriptor::new(ID)];
        let options = GetOptions {
            allow_list: List::Slice(&list),
            extensions: GetExtensions { prf: Some(PRF), ..GetExtensions::NONE },
            ..get_options()
        };
        get(StubCrypto, device, &options, user).map(drop)
    }
    fn get_none(device: &mut Device<StubCrypto>, user: &mut User) -> Result<(), Error> {
        let list = [CredentialDescriptor::new(b"one")];
        let options = GetOptions { allow_list: List::Slice(&list), ..get_options() };
        match get(StubCrypto, device, &options, user) {
            Err(Error { cause: Cause::Status(Status::NO_CREDENTIALS), .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => panic!("there is none"),
        }
    }
    let extended = || Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
    let stale = || {
        Device::with_pin(StubCrypto, PinUvAuthProtocol::Two)
            .extended()
            .altered(|device| device.force_pin_change = Some(true))
    };
    vec![(extended, make_with), (extended, get_with), (stale, make_with), (extended, get_none)]
}

fn requests(device: MakeDevice, run: Run) -> usize {
    let mut device = device();
    run(&mut device, &mut user()).unwrap();
    device.requests.len()
}

#[test]
fn every_step_ends_with_an_unplug_a_silence_or_a_lost_answer() {
    for (device, run) in runs() {
        for index in 0..requests(device, run) {
            for (fault, cause) in
                [(Fault::Unplugged, Cause::Transport), (Fault::Lost, Cause::Transport), (Fault::Silent, Cause::Timeout)]
            {
                let mut device = device();
                device.fault = Some((index, fault));
                let error = run(&mut device, &mut user()).unwrap_err();
                assert_eq!(error.cause, cause, "request {index}");
                let longest = DEFAULT_TIMEOUT + Duration::from_secs(4);
                assert!(device.now.get() <= longest.as_millis() as u64, "{:?}", device.now);
                assert_eq!(device.cancels, usize::from(fault == Fault::Silent));
                (device.fault, device.force_pin_change) = (None, None);
                let pin = device.pin;
                run(&mut device, &mut User::with_pins([pin, pin])).unwrap();
            }
        }
    }
}

#[test]
fn every_step_can_be_cancelled_and_its_answer_is_waited_for() {
    for (device, run) in runs() {
        let steps = 1..=requests(device, run);
        for (request, too_late) in steps.flat_map(|request| [(request, false), (request, true)]) {
            let mut device = device().altered(|device| device.too_late = too_late);
            let mut user = User { cancels_at: Some(request), ..user() };
            assert_eq!(run(&mut device, &mut user).unwrap_err().cause, Cause::Cancelled, "request {request}");
            assert_eq!((device.requests.len(), device.cancels), (request, 1));
            device.force_pin_change = None;
            let pin = device.pin;
            run(&mut device, &mut User::with_pins([pin, pin])).unwrap();
        }
    }
}

/// Signs in and reads or writes a large blob: whether it was written, and what was read.
fn blob(
    device: &mut Device<StubCrypto>,
    access: LargeBlobAccess<'_>,
) -> Result<(Option<bool>, Option<Vec<u8>>), Error> {
    blob_of(device, access, &mut User::with_pins([PIN, PIN]))
}

fn blob_of(
    device: &mut Device<StubCrypto>,
    access: LargeBlobAccess<'_>,
    user: &mut User,
) -> Result<(Option<bool>, Option<Vec<u8>>), Error> {
    let list = [CredentialDescriptor::new(ID)];
    let extensions = GetExtensions { large_blob: Some(access), ..GetExtensions::NONE };
    let options = GetOptions { allow_list: List::Slice(&list), extensions, ..get_options() };
    let (mut memory, mut buffer) = ([0; 4096], [0; 1024]);
    let ceremony = Ceremony::new(GetAssertion::with_memory(&options, &mut memory), &mut buffer, StubCrypto, rng());
    let now = device.now.clone();
    let got = run(ceremony, device, user, || at(now.get()))?;
    let blob = got.large_blob(&StubCrypto, 0, &mut [0; 2048]).unwrap().map(<[u8]>::to_vec);
    Ok((got.get(0).unwrap().extensions.large_blob_written, blob))
}

#[test]
fn a_large_blob_takes_as_many_messages_as_it_needs() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
    let text: Vec<u8> = (0..900_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert_eq!(blob(&mut device, LargeBlobAccess::Read).unwrap(), (None, None));
    assert_eq!(blob(&mut device, LargeBlobAccess::Write(&text)).unwrap(), (Some(true), None));
    assert_eq!(device.commands(), [4, 6, 6, 6, 2, 0x0C, 4, 6, 6, 6, 2, 0x0C, 0x0C, 0x0C]);
    assert_eq!(blob(&mut device, LargeBlobAccess::Read).unwrap(), (None, Some(text)));
}

#[test]
fn the_blob_of_one_of_several_assertions_is_read_whatever_the_last_one_has() {
    for claimed in [None, Some(3)] {
        let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
        blob(&mut device, LargeBlobAccess::Write(b"a blob")).unwrap();
        device.credentials.push(b"two".to_vec()); // the answer for it has no key; a third one is refused
        device.claimed = claimed;
        let extensions = GetExtensions { large_blob: Some(LargeBlobAccess::Read), ..GetExtensions::NONE };
        let options = GetOptions { extensions, ..get_options() };
        let (mut memory, mut buffer) = ([0; 4096], [0; 1024]);
        let ceremony = Ceremony::new(GetAssertion::with_memory(&options, &mut memory), &mut buffer, StubCrypto, rng());
        let got = run(ceremony, &mut device, &mut User::with_pins([PIN]), || at(0)).unwrap();
        assert_eq!(got.len(), 2);
        let mut work = [0; 2048];
        assert_eq!(got.large_blob(&StubCrypto, 0, &mut work).unwrap(), Some(&b"a blob"[..]));
    }
}

#[test]
fn whatever_happens_to_a_large_blob_the_sign_in_succeeds() {
    let write = LargeBlobAccess::Write(b"a blob");
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
    blob(&mut device, write).unwrap();
    let responses = device.responses.clone();
    let first = device.requests.iter().position(|request| request[0] == 0x0C).unwrap();
    for (index, response) in responses.iter().enumerate().skip(first) {
        let damaged = (0..response.len()).map(|len| response[..len].to_vec());
        for damaged in damaged.chain((1..=255).map(|status| vec![status])) {
            let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
            device.tampered = Some((index, damaged.clone()));
            assert_eq!(blob(&mut device, write).unwrap(), (Some(false), None), "{damaged:02x?}");
            device.tampered = None;
            assert_eq!(blob(&mut device, write).unwrap(), (Some(true), None));
        }
        for fault in [Fault::Unplugged, Fault::Lost] {
            let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
            device.fault = Some((index, fault));
            assert_eq!(blob(&mut device, write).unwrap(), (Some(false), None));
        }
    }
    // An array with a wrong hash counts as empty, and is written anew.
    device.blobs[0] ^= 1;
    assert_eq!(blob(&mut device, LargeBlobAccess::Read).unwrap(), (None, None));
    assert_eq!(blob(&mut device, write).unwrap(), (Some(true), None));
}

#[test]
fn every_step_of_a_large_blob_ends_with_a_silence_or_a_cancellation_and_the_next_works() {
    let text: Vec<u8> = (0..900_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for access in [LargeBlobAccess::Read, LargeBlobAccess::Write(&text)] {
        let filled = || {
            let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
            blob(&mut device, LargeBlobAccess::Write(&text)).unwrap();
            (device.requests, device.responses) = (vec![], vec![]);
            device
        };
        let mut undisturbed = filled();
        blob(&mut undisturbed, access).unwrap();
        let steps = undisturbed.requests.len();
        assert!(undisturbed.commands().iter().filter(|command| **command == 0x0C).count() > 1);
        for index in 0..steps {
            for cancels in [false, true] {
                let mut device = filled();
                let mut user = User::with_pins([PIN, PIN]);
                if cancels {
                    user.cancels_at = Some(index + 1);
                } else {
                    device.fault = Some((index, Fault::Silent));
                }
                let before = device.now.get();
                let error = blob_of(&mut device, access, &mut user).unwrap_err();
                let expected = if cancels { Cause::Cancelled } else { Cause::Timeout };
                assert_eq!((error.cause, device.requests.len(), device.cancels), (expected, index + 1, 1));
                let longest = DEFAULT_TIMEOUT + Duration::from_secs(4);
                assert!(device.now.get() - before <= longest.as_millis() as u64);
                device.fault = None;
                let (written, read) = blob(&mut device, access).unwrap();
                // An array that was written in part has another hash than it says, and is as good as empty.
                let torn = matches!(access, LargeBlobAccess::Write(_));
                assert_eq!((written, read), if torn { (Some(true), None) } else { (None, Some(text.clone())) });
            }
        }
    }
}

#[test]
fn memory_that_is_too_small_for_a_large_blob_is_told_before_the_user_is_asked() {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two).extended();
    let list = [CredentialDescriptor::new(ID)];
    for (access, needed) in [(LargeBlobAccess::Read, 1024 + 21), (LargeBlobAccess::Write(b"1234"), 2048 + 21 + 9 + 16)]
    {
        let extensions = GetExtensions { large_blob: Some(access), ..GetExtensions::NONE };
        let options = GetOptions { allow_list: List::Slice(&list), extensions, ..get_options() };
        for (len, expected) in [(needed, Ok(())), (needed - 1, Err(Cause::BufferTooSmall { needed }))] {
            let (mut memory, mut buffer, mut user) = (vec![0; len], [0; 1024], User::with_pins([PIN]));
            let ceremony =
                Ceremony::new(GetAssertion::with_memory(&options, &mut memory), &mut buffer, StubCrypto, rng());
            let got = run(ceremony, &mut device, &mut user, || at(0));
            assert_eq!(
                (got.map(drop).map_err(|error| error.cause), user.prompts.len()),
                (expected, usize::from(expected.is_ok()))
            );
        }
    }
}

#[test]
fn the_steps_of_the_other_ceremonies_end_too() {
    for (device, run) in ceremonies() {
        let steps = hostile::exchanges(device, run).len();
        for index in 0..steps {
            let mut device = device();
            device.fault = Some((index, Fault::Unplugged));
            match run(&mut device, &mut [0; 1024]) {
                // Assertions that are there are returned.
                Ok(_) => assert!(index + 1 == steps && device.credentials.len() > 1),
                Err(error) => assert_eq!(error.cause, Cause::Transport),
            }
        }
    }
}
