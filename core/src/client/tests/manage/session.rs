//! Operations that share a session.

use super::*;
use crate::{
    client::tests::device::Fault,
    ctap2::{
        client_pin::{self, subcommand::*},
        credential_management,
    },
    large_blob::OVERHEAD,
    transport::{Received, Transport},
};

const CM: u64 = Permissions::CM.0 as u64;
const ACFG: u64 = Permissions::ACFG.0 as u64;

/// The device with everything that is managed here, and a script.
fn device<const N: usize>(script: [Vec<u8>; N]) -> Device<StubCrypto> {
    scripted(
        |options| {
            options.cred_mgmt = Some(true);
            options.authnr_cfg = Some(true);
            options.always_uv = Some(false);
            options.large_blobs = Some(true);
            options.bio_enroll = Some(false);
        },
        script,
    )
}

/// One device, its user, and a session with it.
struct Errand {
    device: Device<StubCrypto>,
    user: User,
    session: Session,
}

impl Errand {
    fn new<const N: usize>(script: [Vec<u8>; N]) -> Self {
        Self { device: device(script), user: User::manager([PIN, PIN, PIN]), session: Session::new() }
    }

    fn run<'b, O: Operation>(
        &mut self,
        ceremony: Ceremony<'b, O, StubCrypto, rand_chacha::ChaCha8Rng>,
    ) -> Result<Outcome<'b, O>, Cause> {
        let now = self.device.now.clone();
        let ceremony = ceremony.in_session(&mut self.session);
        run(ceremony, &mut self.device, &mut self.user, || at(now.get())).map_err(|error| error.cause)
    }

    fn count(&mut self) -> Result<(), Cause> {
        self.run(Ceremony::new(CredentialsMetadata::new(Access::User), &mut [0; 1024], StubCrypto, rng())).map(drop)
    }

    fn configure(&mut self) -> Result<(), Cause> {
        self.run(Ceremony::new(Configure::new(ConfigSubcommand::ToggleAlwaysUv), &mut [0; 1024], StubCrypto, rng()))
    }

    /// How often getInfo and the PIN were asked for.
    fn asked(&self) -> (usize, usize) {
        (sent(&self.device, Command::GET_INFO).len(), self.user.prompts.len())
    }
}

fn metadata() -> Vec<u8> {
    ok("credential_management_metadata")
}

fn refused(status: Status) -> Vec<u8> {
    vec![status.0]
}

#[test]
fn operations_in_a_session_ask_for_get_info_and_the_pin_once() {
    let mut errand = Errand::new([metadata(), metadata(), metadata()]);
    for _ in 0..3 {
        errand.count().unwrap();
    }
    assert_eq!((errand.asked(), errand.session.permissions()), ((1, 1), Permissions::CM));
    assert_eq!(errand.device.sub_commands(), [GET_PIN_RETRIES, GET_KEY_AGREEMENT, GET_TOKEN_USING_PIN]);
    for request in sent(&errand.device, Command::CREDENTIAL_MANAGEMENT) {
        let request: credential_management::Request = crate::cbor::decode(&request).unwrap();
        assert_eq!(request.pin_uv_auth_param.unwrap(), errand.device.proof(&[&[1]]));
    }
    // Without one each asks for itself.
    let mut device = device([metadata(), metadata()]);
    let mut user = User::manager([PIN, PIN]);
    for _ in 0..2 {
        let mut buffer = [0; 1024];
        let ceremony = Ceremony::new(CredentialsMetadata::new(Access::User), &mut buffer, StubCrypto, rng());
        run_with(ceremony, &mut device, &mut user, |_| ()).unwrap();
    }
    assert_eq!(user.prompts.len(), 2);
}

#[test]
fn a_token_that_is_refused_is_renewed_without_the_user() {
    for refusal in [Status::PIN_AUTH_INVALID, Status::PIN_TOKEN_EXPIRED, Status::PUAT_REQUIRED] {
        let mut errand = Errand::new([metadata(), refused(refusal), metadata(), metadata()]);
        for _ in 0..3 {
            errand.count().unwrap();
        }
        assert_eq!(errand.asked(), (2, 1), "{refusal}");
        let tokens = errand.device.sub_commands().into_iter().filter(|sub| *sub == GET_TOKEN_USING_PIN).count();
        assert_eq!(tokens, 2, "{refusal}");
    }
    // A fresh one is renewed once.
    let refusal = Status::PIN_AUTH_INVALID;
    let mut errand = Errand::new([metadata(), refused(refusal), refused(refusal), refused(refusal)]);
    errand.count().unwrap();
    assert_eq!((errand.count(), errand.asked()), (Err(status(refusal)), (2, 1)));
}

#[test]
fn another_permission_takes_another_token_and_not_the_user() {
    let mut errand = Errand::new([metadata(), vec![0], metadata()]);
    errand.count().unwrap();
    errand.configure().unwrap();
    errand.count().unwrap();
    assert_eq!((errand.device.permissions.as_slice(), errand.user.prompts.len()), (&[CM, ACFG, CM][..], 1));
}

#[test]
fn a_token_without_permissions_serves_everything() {
    let mut errand = Errand::new([metadata(), vec![0], metadata()]);
    errand.device.options.pin_uv_auth_token = None;
    errand.count().unwrap();
    errand.configure().unwrap();
    errand.count().unwrap();
    assert_eq!(errand.device.sub_commands(), [GET_PIN_RETRIES, GET_KEY_AGREEMENT, GET_PIN_TOKEN]);
}

/// What a session learns of getInfo is no longer so after these.
#[test]
fn what_changes_the_authenticator_has_get_info_asked_for_again() {
    let mut errand = Errand::new([vec![0], metadata(), vec![0], metadata()]);
    errand.configure().unwrap();
    errand.count().unwrap();
    assert_eq!(errand.asked(), (2, 1));
    errand.run(Ceremony::new(Reset, &mut [0; 1024], StubCrypto, rng())).unwrap();
    assert_eq!(errand.session.permissions(), Permissions::NONE);
    errand.count().unwrap();
    assert_eq!(errand.asked(), (3, 2), "a reset ends the token and the PIN");
}

#[test]
fn an_operation_that_fails_has_get_info_asked_for_again_and_not_the_user() {
    let mut errand = Errand::new([metadata(), refused(Status::OTHER), metadata()]);
    errand.count().unwrap();
    assert_eq!(errand.count(), Err(status(Status::OTHER)));
    errand.count().unwrap();
    assert_eq!(errand.asked(), (2, 1));
}

#[test]
fn a_pin_that_is_changed_is_asked_for_by_its_new_value() {
    let mut errand = Errand::new([metadata(), metadata()]);
    errand.count().unwrap();
    errand.user = User { new_pins: ["5678"].into(), ..User::manager([PIN, "5678"]) };
    errand.run(Ceremony::new(ChangePin, &mut [0; 1024], StubCrypto, rng())).unwrap();
    assert_eq!(errand.session.permissions(), Permissions::NONE);
    errand.count().unwrap();
    assert_eq!((errand.device.retries, errand.user.prompts.len(), errand.user.pins.len()), (8, 2, 0));
    assert!(errand.user.prompts.iter().all(|(reason, _)| *reason == Reason::First));
}

#[test]
fn a_pin_that_must_be_changed_is_changed_on_the_way_and_then_known() {
    let mut errand = Errand::new([metadata(), metadata(), refused(Status::PIN_AUTH_INVALID), metadata()]);
    errand.device.force_pin_change = Some(true);
    errand.user = User { new_pins: ["5678"].into(), ..User::manager([PIN]) };
    errand.count().unwrap();
    errand.device.force_pin_change = None;
    errand.count().unwrap();
    errand.count().unwrap();
    assert_eq!((errand.user.prompts.len(), errand.user.new_prompts.len()), (1, 1));
}

#[test]
fn a_pin_that_is_another_by_now_costs_one_attempt_and_is_asked_for() {
    let mut errand = Errand::new([metadata(), refused(Status::PIN_AUTH_INVALID), metadata()]);
    errand.count().unwrap();
    errand.device.pin = "9999";
    errand.user = User::manager(["9999"]);
    errand.count().unwrap();
    assert_eq!(errand.user.prompts, [(Reason::Wrong, Some(7))]);

    // One that is not given is not tried again with the old one.
    let mut errand = Errand::new([metadata(), refused(Status::PIN_AUTH_INVALID), refused(Status::PIN_AUTH_INVALID)]);
    errand.count().unwrap();
    errand.device.pin = "9999";
    errand.user = User::manager([]);
    for _ in 0..2 {
        assert_eq!(errand.count(), Err(Cause::PinRequired));
        assert_eq!(errand.device.retries, 7);
    }
}

#[test]
fn the_last_attempt_is_not_spent_on_a_pin_that_may_be_an_old_one() {
    for retries in [1, 2] {
        let mut errand = Errand::new([metadata(), refused(Status::PIN_AUTH_INVALID), metadata()]);
        errand.count().unwrap();
        (errand.device.pin, errand.device.retries) = ("9999", retries);
        errand.user = User::manager(["9999"]);
        errand.count().unwrap();
        let reason = if retries == 1 { Reason::TokenRefused } else { Reason::Wrong };
        assert_eq!((errand.user.prompts, errand.device.retries), (vec![(reason, Some(1))], 8));
    }
    // None left: nothing is sent.
    let mut errand = Errand::new([metadata(), refused(Status::PIN_AUTH_INVALID)]);
    errand.count().unwrap();
    errand.device.retries = 0;
    errand.device.requests.clear();
    assert_eq!(errand.count(), Err(status(Status::PIN_BLOCKED)));
    assert_eq!(errand.device.sub_commands(), [GET_PIN_RETRIES]);
}

#[test]
fn an_old_pin_of_the_session_is_none_of_those_that_the_user_may_give() {
    let mut errand = Errand::new([metadata(), refused(Status::PIN_AUTH_INVALID), metadata()]);
    errand.count().unwrap();
    errand.device.pin = "9999";
    errand.user = User::manager(["9999"]);
    let mut buffer = [0; 1024];
    let ceremony = Ceremony::new(CredentialsMetadata::new(Access::User), &mut buffer, StubCrypto, rng());
    assert_eq!(errand.run(ceremony.pin_attempts(1)).map(drop), Ok(()));
    assert_eq!(errand.user.prompts, [(Reason::Wrong, Some(7))]);
}

#[test]
fn another_authenticator_is_not_sent_the_pin_of_the_first() {
    for configures in [false, true] {
        // With the permissions of the session's token, which is refused, or with others.
        let mut errand = Errand::new([if configures { vec![0] } else { metadata() }]);
        if configures { errand.configure() } else { errand.count() }.unwrap();
        errand.device = device([refused(Status::PIN_AUTH_INVALID), metadata()]);
        errand.device.amend = |info| info.aaguid = &[0xBB; 16];
        errand.device.pin = "9999";
        errand.user = User::manager(["9999"]);
        errand.count().unwrap();
        assert_eq!((errand.device.retries, errand.user.prompts.len()), (8, 1));
    }
}

/// A session's PIN is used where the PIN is the method, not where built-in verification is refused or fails.
#[test]
fn the_pin_of_a_session_does_not_stand_in_for_built_in_verification() {
    for refuses in [true, false] {
        let mut errand = Errand::new([metadata(), vec![0]]);
        (errand.device.options.uv, errand.device.options.uv_acfg) = (Some(true), Some(true));
        errand.user.refuses_uv = true;
        errand.count().unwrap();
        assert_eq!(errand.user.prompts.len(), 1);
        errand.user.refuses_uv = refuses;
        errand.configure().unwrap();
        assert_eq!((errand.user.uv_prompts.len(), errand.user.prompts.len()), (2, 1 + usize::from(refuses)));
        let last = sent(&errand.device, Command::CLIENT_PIN).pop().unwrap();
        let request: client_pin::Request = crate::cbor::decode(&last).unwrap();
        let sub_command = if refuses { GET_TOKEN_USING_PIN } else { GET_TOKEN_USING_UV };
        assert_eq!((request.sub_command, request.pin_hash_enc.is_some()), (Some(sub_command), refuses));
    }
}

/// What is plugged in after a power cycle may be another authenticator.
#[test]
fn a_power_cycle_takes_the_pin_from_the_session() {
    let mut errand = Errand::new([metadata(), refused(Status::PIN_AUTH_INVALID), metadata()]);
    errand.count().unwrap();
    (errand.device.strikes, errand.device.pin) = (3, "9999");
    errand.user = User::manager(["9999"]);
    errand.count().unwrap();
    assert_eq!((errand.device.reconnects, errand.user.prompts), (1, vec![(Reason::TokenRefused, Some(8))]));
}

/// The authenticator was pulled out; what is plugged in next may be another of the same model.
#[test]
fn a_transport_that_fails_ends_the_session() {
    let mut errand = Errand::new([metadata()]);
    errand.count().unwrap();
    errand.device.fault = Some((errand.device.requests.len(), Fault::Unplugged));
    assert_eq!(errand.count(), Err(Cause::Transport));
    assert_eq!(errand.session.permissions(), Permissions::NONE);
    errand.device = device([metadata()]);
    errand.device.pin = "9999";
    errand.user = User::manager(["9999"]);
    errand.count().unwrap();
    assert_eq!((errand.device.retries, errand.user.prompts.len()), (8, 1));
}

/// A ceremony may be dropped at any time: it is not known then what the authenticator made of the PIN, or it was wrong.
#[test]
fn a_pin_is_not_sent_again_after_a_ceremony_that_was_dropped_while_it_was_tried() {
    for requests in [5, 6] {
        let mut errand = Errand::new([metadata(), refused(Status::PIN_AUTH_INVALID)]);
        errand.count().unwrap();
        errand.device.pin = "9999";
        let mut buffer = [0; 1024];
        let ceremony = Ceremony::new(CredentialsMetadata::new(Access::User), &mut buffer, StubCrypto, rng());
        drop_after(requests, ceremony.in_session(&mut errand.session), &mut errand.device);
        errand.device.script = [metadata()].into();
        errand.user = User::manager(["9999"]);
        errand.count().unwrap();
        assert_eq!(errand.user.prompts, [(Reason::First, Some(7))], "{requests}");
    }
}

/// Steps a ceremony until this many requests were sent, and drops it.
fn drop_after<'b, O: Operation>(
    mut requests: usize,
    mut ceremony: Ceremony<'b, O, StubCrypto, rand_chacha::ChaCha8Rng, &mut Session>,
    device: &mut Device<StubCrypto>,
) {
    let mut input = Input::Start;
    while requests > 0 {
        input = match ceremony.step(at(0), input).unwrap() {
            Output::Send(exchange) => {
                device.send(exchange.protocol, exchange.request()).unwrap();
                requests -= 1;
                Input::Time
            }
            Output::Wait { buf, limit } => match device.receive(buf, limit.min(Duration::from_millis(100))).unwrap() {
                Received::Response(len) => Input::Response(len),
                _ => Input::Time,
            },
            _ => Input::Time,
        };
    }
}

#[test]
fn built_in_user_verification_is_asked_for_each_token() {
    let mut errand = Errand::new([metadata(), metadata(), refused(Status::PIN_AUTH_INVALID), metadata()]);
    (errand.device.options.client_pin, errand.device.options.uv) = (None, Some(true));
    errand.count().unwrap();
    errand.count().unwrap();
    assert_eq!(errand.user.uv_prompts.len(), 1);
    errand.count().unwrap();
    let reasons: Vec<_> = errand.user.uv_prompts.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(reasons, [Reason::First, Reason::TokenRefused]);
}

#[test]
fn a_registration_or_a_sign_in_asks_the_user_all_the_same() {
    let mut errand = Errand::new([metadata()]);
    errand.count().unwrap();
    errand.device.rp_id = Some(RP_ID);
    let (make, get) = (make_options(), get_options());
    for _ in 0..2 {
        let mut user = User::with_pins([PIN, PIN]);
        let (mut buffer, now) = ([0; 1024], errand.device.now.clone());
        let ceremony =
            Ceremony::new(MakeCredential::new(&make), &mut buffer, StubCrypto, rng()).in_session(&mut errand.session);
        run(ceremony, &mut errand.device, &mut user, || at(now.get())).map(drop).unwrap();
        let ceremony =
            Ceremony::new(GetAssertion::new(&get), &mut buffer, StubCrypto, rng()).in_session(&mut errand.session);
        run(ceremony, &mut errand.device, &mut user, || at(now.get())).map(drop).unwrap();
        assert_eq!(user.prompts.len(), 2);
    }
    (errand.device.rp_id, errand.device.script) = (None, [metadata()].into());
    errand.count().unwrap();
    assert_eq!(errand.asked(), (1, 1));
}

/// Some authenticators take a token for one command only.
#[test]
fn a_token_that_is_used_up_within_an_operation_is_renewed() {
    let array = [7; 2500];
    let refusal = || refused(Status::PIN_AUTH_INVALID);
    let script = || [vec![0], refusal(), vec![0], refusal(), vec![0]];
    let mut errand = Errand::new(script());
    errand.run(Ceremony::new(WriteLargeBlobs::new(&array), &mut [0; 1300], StubCrypto, rng())).unwrap();
    let fragments = sent(&errand.device, Command::LARGE_BLOBS);
    assert_eq!((fragments.len(), errand.user.prompts.len()), (5, 1));
    // Without a session the user would have to be asked for each token.
    let (mut device, mut user, mut buffer) = (device(script()), User::manager([PIN, PIN, PIN]), [0; 1300]);
    let ceremony = Ceremony::new(WriteLargeBlobs::new(&array), &mut buffer, StubCrypto, rng());
    let written = run_with(ceremony, &mut device, &mut user, |_| ());
    assert_eq!((written, user.prompts.len()), (Err(status(Status::PIN_AUTH_INVALID)), 1));
    // One that is never taken is no reason to go on.
    let mut errand = Errand::new([vec![0], refusal(), refusal(), refusal(), refusal()]);
    let written = errand.run(Ceremony::new(WriteLargeBlobs::new(&array), &mut [0; 1300], StubCrypto, rng()));
    assert_eq!(written, Err(status(Status::PIN_AUTH_INVALID)));
}

#[test]
fn a_token_that_is_used_up_within_an_enrolment_is_renewed_and_the_template_is_kept() {
    let mut errand = Errand::new([
        ok("bio_enrollment_enroll_begin"),
        refused(Status::PIN_AUTH_INVALID),
        ok("bio_enrollment_enroll_next"),
        refused(Status::PIN_TOKEN_EXPIRED),
        ok("bio_enrollment_enroll_last"),
    ]);
    let mut buffer = [0; 1024];
    let template = errand.run(Ceremony::new(Enroll::new(None), &mut buffer, StubCrypto, rng())).map(<[u8]>::to_vec);
    assert_eq!((template, errand.asked()), (Ok(hex("6896")), (1, 1)));
}

#[test]
fn an_outcome_can_be_kept_while_the_session_goes_on() {
    let mut errand = Errand::new([ok_hex("a10151"), vec![0]]);
    errand.device.script[0].extend(crate::ctap2::large_blobs::INITIAL_ARRAY);
    let (mut memory, mut buffer) = ([0; 1024 + OVERHEAD], [0; 1024]);
    let ceremony =
        Ceremony::new(ReadLargeBlobs::new(&mut memory), &mut buffer, StubCrypto, rng()).in_session(&mut errand.session);
    let mut array = run(ceremony, &mut errand.device, &mut errand.user, || at(0)).unwrap();
    let written = array.serialize(&StubCrypto);
    let mut buffer = [0; 1024];
    let ceremony =
        Ceremony::new(WriteLargeBlobs::new(written), &mut buffer, StubCrypto, rng()).in_session(&mut errand.session);
    run(ceremony, &mut errand.device, &mut errand.user, || at(0)).unwrap();
    assert_eq!(errand.asked(), (1, 1));
}

#[test]
fn an_answer_of_get_info_that_is_too_long_to_be_kept_is_asked_for_again() {
    let mut errand = Errand::new([metadata(), metadata()]);
    errand.device.amend = |info| {
        info.extensions = Some(List::Slice(const { &[crate::cbor::Text::new("an extension with a name"); 60] }));
    };
    errand.device.max_msg_size = Some(4096);
    for _ in 0..2 {
        errand.run(Ceremony::new(CredentialsMetadata::new(Access::User), &mut [0; 4096], StubCrypto, rng())).unwrap();
    }
    assert_eq!(errand.asked(), (2, 1));
}

#[test]
fn a_session_does_not_print_its_secrets_and_takes_little_memory() {
    let mut errand = Errand::new([metadata()]);
    errand.device.token_bytes = Some(vec![0x11; 32]);
    errand.count().unwrap();
    assert_eq!(format!("{:?}", errand.session), "Session(Permissions(4), ..)");
    assert!(size_of::<Session>() <= 1152, "{}", size_of::<Session>());
}

#[test]
fn a_client_runs_operations_in_a_session() {
    let mut client = fido2::client(StubCrypto, device([metadata(), vec![0], metadata()]), User::manager([PIN]));
    let mut session = Session::new();
    let mut buffer = [0; 1024];
    let count = client.manage(&mut session, CredentialsMetadata::new(Access::User), &mut buffer, |_| ());
    assert_eq!(count.unwrap().remaining, 25);
    let mut buffer = [0; 1024];
    client.manage(&mut session, Configure::new(ConfigSubcommand::ToggleAlwaysUv), &mut buffer, |_| ()).unwrap();
    assert_eq!(client.user.prompts.len(), 1);
}
