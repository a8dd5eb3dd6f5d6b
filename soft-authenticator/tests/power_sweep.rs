//! Every command that changes anything, on a flash whose power is cut before, within and after every write and every
//! erasure. After power-up the store has the state before or after the interrupted commit.

use std::io::Write;

use keyfob_core::{
    Status,
    cbor::{List, Text},
    ctap1::{Control, Request as U2fRequest},
    ctap2::{
        CommandOptions, CredentialDescriptor, UserEntity,
        bio_enrollment::{self, subcommand as bio},
        config::{SetMinPinLength, subcommand as config},
        credential_management::{Params, subcommand as cred_mgmt},
        get_assertion::Request,
        make_credential,
    },
    extensions::large_blob::Support,
    pin_uv::{PinUvAuthProtocol::Two, Token},
};
use keyfob_soft_authenticator::{
    engine::Config,
    store::{
        Blobs, Change, MAX_RECORD, Query, Setting, Store,
        flash::{Cut, SimulatedFlash, Tear},
    },
};

use super::{harness::*, large_blob, user_verification::SENSOR};

/// The kind of key.
#[derive(Clone, Copy, PartialEq)]
pub enum Setup {
    /// With all capabilities, and without a PIN.
    Open,
    /// With a PIN and a finger.
    Protected,
    /// With the extension `largeBlob`, which excludes authenticatorLargeBlobs.
    LargeBlobExtension,
}

impl Setup {
    fn config(self) -> Config<'static> {
        match self {
            Self::LargeBlobExtension => large_blob::CONFIG,
            _ => Config { enterprise: MANAGED.enterprise, ..SENSOR },
        }
    }
}

/// The commands that change anything.
pub const COMMANDS: [(Setup, &[Command]); 3] =
    [(Setup::Open, OPEN), (Setup::Protected, PROTECTED), (Setup::LargeBlobExtension, LARGE_BLOB_EXTENSION)];
/// Slightly more pages than credentials, settings and two arrays need, so that pages are also freed within commands.
const PAGES: usize = 13;
const TEARS: [Tear; 5] = [Tear::Before, Tear::After, Tear::Within(1), Tear::Within(2), Tear::Within(3)];
pub const SETTINGS: [Setting; 12] = [
    Setting::Seed,
    Setting::Pin,
    Setting::PinRetries,
    Setting::SignCount,
    Setting::UvRetries,
    Setting::Options,
    Setting::MinPinRpIds,
    Setting::PersistentToken,
    Setting::Identifier,
    Setting::StoreState,
    Setting::Fingerprints,
    Setting::Superseded,
];

/// The state of a key before a command.
pub struct Prepared {
    pub setup: Setup,
    pub flash: BenchFlash,
    pub wrapped: Vec<u8>,
    resident: Vec<u8>,
    second: Vec<u8>,
    key_handle: Vec<u8>,
    finger: Vec<u8>,
}

pub type Command = (&'static str, fn(&mut Key, &Prepared) -> Status);

pub fn code<T>(result: Result<T, Status>) -> Status {
    result.map_or_else(|status| status, |_| Status::OK)
}

/// Gets a token and continues only if that succeeds.
pub fn with_token(
    key: &mut Key,
    permissions: keyfob_core::pin_uv::Permissions,
    rest: impl FnOnce(&mut Key, &Token) -> Status,
) -> Status {
    match key.token(Two, PIN, permissions, None) {
        Ok(token) => rest(key, &token),
        Err(status) => status,
    }
}

fn make(key: &mut Key, user: &[u8], rk: bool, uv: bool) -> Status {
    let options = CommandOptions { rk: Some(rk), uv: uv.then_some(true), ..Default::default() };
    code(key.make(&make_credential::Request { options: Some(options), ..registration(user) }))
}

fn sign_in(key: &mut Key, uv: bool) -> Status {
    let options = CommandOptions { uv: uv.then_some(true), ..Default::default() };
    code(key.get(&Request { options: Some(options), ..assertion() }))
}

pub fn u2f(key: &mut Key, request: &U2fRequest<'_>) -> Status {
    let mut apdu = vec![0; 400];
    let len = request.encode(&mut apdu).unwrap();
    key.call_u2f(&apdu[..len]);
    let now = key.now;
    key.engine.touch_for_u2f(now, true);
    let answer = key.call_u2f(&apdu[..len]);
    if answer.ends_with(&[0x90, 0]) { Status::OK } else { Status::OTHER }
}

fn write_blobs(key: &mut Key, token: Option<&Token>) -> Status {
    let array = blob_array(700);
    match key.write_fragment(token, 0, &array[..500], Some(700)) {
        Status::OK => key.write_fragment(token, 500, &array[500..], None),
        status => status,
    }
}

fn bio_with(key: &mut Key, sub_command: u32, params: bio_enrollment::Params<'_>) -> Status {
    with_token(key, BE, |key, token| code(key.bio(Some(token), sub_command, &params)))
}

fn manage_with(key: &mut Key, sub_command: u32, params: &Params<'_>) -> Status {
    with_token(key, CM, |key, token| status(&key.manage(token, sub_command, Some(&encoded(params)))))
}

const MIN_PIN_LENGTH: SetMinPinLength<'static> = SetMinPinLength {
    new_min_pin_length: Some(6),
    min_pin_length_rp_ids: Some(List::Slice(const { &[Text::new(RP)] })),
    force_change_pin: None,
    pin_complexity_policy: None,
};

/// Commands of a key without a PIN.
const OPEN: &[Command] = &[
    ("makeCredential, discoverable", |key, _| make(key, b"new", true, false)),
    ("makeCredential, overwriting", |key, _| make(key, b"second", true, false)),
    ("getAssertion", |key, _| sign_in(key, false)),
    ("getAssertion, not discoverable", |key, prepared| {
        let list = [CredentialDescriptor::new(&prepared.wrapped)];
        code(key.get(&listed(assertion(), &list)))
    }),
    ("setPIN", |key, _| key.set_pin(Two, PIN)),
    ("reset", |key, _| key.status(&[0x07])),
    ("largeBlobs", |key, _| write_blobs(key, None)),
    ("enableEnterpriseAttestation", |key, _| key.configure(None, config::ENABLE_ENTERPRISE_ATTESTATION, None)),
    ("toggleAlwaysUv", |key, _| key.configure(None, config::TOGGLE_ALWAYS_UV, None)),
    ("enableLongTouchForReset", |key, _| key.configure(None, config::ENABLE_LONG_TOUCH_FOR_RESET, None)),
    ("setMinPINLength", |key, _| key.set_min_pin_length(None, &MIN_PIN_LENGTH)),
    ("U2F_AUTHENTICATE", |key, prepared| {
        let (application, key_handle) = (&rp_id_hash(RP), &prepared.key_handle[..]);
        let control = Control::ENFORCE_USER_PRESENCE;
        u2f(key, &U2fRequest::Authenticate { control, challenge: &HASH, application, key_handle })
    }),
];

/// Commands of a key with a PIN and a finger.
const PROTECTED: &[Command] = &[
    ("changePIN", |key, _| key.change_pin(Two, PIN, "5678")),
    ("changePIN, wrong", |key, _| key.change_pin(Two, "8765", "5678")),
    ("getPinUvAuthTokenUsingPin", |key, _| code(key.token(Two, PIN, MC, None))),
    ("getPinUvAuthTokenUsingPin, wrong", |key, _| code(key.token(Two, "8765", MC, None))),
    ("getPinUvAuthTokenUsingPin, persistent", |key, _| code(key.token(Two, PIN, PCMR, None))),
    ("getPinUvAuthTokenUsingUv, wrong", |key, _| {
        key.verdicts = vec![false];
        code(key.uv_token(Two, MC, None))
    }),
    ("makeCredential, with UV", |key, _| make(key, b"new", true, true)),
    ("makeCredential, overwriting with UV", |key, _| make(key, b"first", true, true)),
    ("getAssertion, with UV", |key, _| sign_in(key, true)),
    ("getAssertion, with wrong UV", |key, _| {
        key.verdicts = vec![false, false, false];
        sign_in(key, true)
    }),
    ("deleteCredential", |key, prepared| {
        let credential_id = Some(CredentialDescriptor::new(&prepared.resident));
        manage_with(key, cred_mgmt::DELETE_CREDENTIAL, &Params { credential_id, ..Params::default() })
    }),
    ("updateUserInformation", |key, prepared| {
        let credential_id = Some(CredentialDescriptor::new(&prepared.resident));
        let user = Some(UserEntity { id: b"first", name: Some("renamed"), display_name: None });
        manage_with(key, cred_mgmt::UPDATE_USER_INFORMATION, &Params { credential_id, user, rp_id_hash: None })
    }),
    ("largeBlobs, with PIN", |key, _| with_token(key, LBW, |key, token| write_blobs(key, Some(token)))),
    ("setMinPINLength, with PIN", |key, _| {
        with_token(key, ACFG, |key, token| key.set_min_pin_length(Some(token), &MIN_PIN_LENGTH))
    }),
    ("enrollBegin and enrollCaptureNextSample", |key, _| with_token(key, BE, |key, token| code(key.enrol(token)))),
    ("setFriendlyName", |key, prepared| {
        let template_id = Some(&prepared.finger[..]);
        let params = bio_enrollment::Params { template_id, template_friendly_name: Some("left"), ..Default::default() };
        bio_with(key, bio::SET_FRIENDLY_NAME, params)
    }),
    ("removeEnrollment", |key, prepared| {
        let params = bio_enrollment::Params { template_id: Some(&prepared.finger), ..Default::default() };
        bio_with(key, bio::REMOVE_ENROLLMENT, params)
    }),
    ("reset, with PIN", |key, _| key.status(&[0x07])),
];

/// Commands of a key with the extension `largeBlob`.
const LARGE_BLOB_EXTENSION: &[Command] = &[("getAssertion, with a large blob", |key, prepared| {
    let (blob, list) = ([5; 200], [CredentialDescriptor::new(&prepared.resident)]);
    let ask = large_blob::ask(large_blob::write(&blob));
    code(key.get(&listed(asking(&ask), &list)))
})];

pub const LOG: Mount = |flash| Box::new(on_flash(flash.clone()));

pub fn plug_in(flash: &BenchFlash, setup: Setup, mount: Mount) -> Key {
    Key::try_with(setup.config(), BenchStore::mounted(flash, mount)).unwrap()
}

/// A key with two credentials and an array, whose counter has been written `churn` times.
pub fn prepare(setup: Setup, churn: u32) -> Prepared {
    let flash = BenchFlash::new(SimulatedFlash::new(PAGES));
    let mut key = plug_in(&flash, setup, LOG);
    let with_blob = large_blob::support(Support::REQUIRED);
    let first = match setup {
        Setup::LargeBlobExtension => extended(resident(b"first"), &with_blob),
        _ => resident(b"first"),
    };
    let resident = key.make(&first).unwrap().id().to_vec();
    let second = key.make(&super::harness::resident(b"second")).unwrap().id().to_vec();
    let wrapped = key.make(&registration(b"wrapped")).unwrap().id().to_vec();
    let application = &rp_id_hash(RP);
    let key_handle = key.make(&registration(b"u2f")).unwrap().id().to_vec();
    let control = Control::ENFORCE_USER_PRESENCE;
    let request = U2fRequest::Authenticate { control, challenge: &HASH, application, key_handle: &key_handle };
    assert_eq!(u2f(&mut key, &request), Status::OK);
    if setup != Setup::LargeBlobExtension {
        assert_eq!(key.write_fragment(None, 0, &blob_array(600), Some(600)), Status::OK);
    }
    let mut finger = Vec::new();
    if setup == Setup::Protected {
        assert_eq!(key.set_pin(Two, PIN), Status::OK);
        let token = key.token(Two, PIN, BE, None).unwrap();
        finger = key.enrol(&token).unwrap();
    }
    for count in 2..churn + 2 {
        key.store.memory.borrow_mut().commit(&[Change::Set(Setting::SignCount, &count.to_be_bytes())]).unwrap();
    }
    Prepared { setup, flash, wrapped, resident, second, key_handle, finger }
}

/// The contents of a store, and the answers of a key that is powered up with it.
#[derive(Clone, PartialEq)]
pub struct State {
    settings: Vec<Option<Vec<u8>>>,
    credentials: Vec<(u32, [u8; 32], Vec<u8>)>,
    large_blobs: Vec<u8>,
    retries: (u32, bool),
    sign_in: Result<Vec<u8>, Status>,
    /// The status of sign-ins with the credentials that the relying party knew before the command.
    known: [Status; 2],
}

impl State {
    pub fn of(flash: &BenchFlash, prepared: &Prepared) -> Self {
        let setup = prepared.setup;
        let store = BenchStore::on_flash(flash);
        let settings = SETTINGS.map(|setting| store.setting(setting)).to_vec();
        let mut store = store.memory.borrow_mut();
        let (mut credentials, mut before, mut out) = (Vec::new(), None, [0; MAX_RECORD]);
        while let Some(found) = store.next(Query::All, before, &mut out).unwrap() {
            credentials.push((found.number, found.rp_id_hash, out[..found.len].to_vec()));
            before = Some(found.number);
        }
        let mut large_blobs = vec![0; store.large_blobs_len().unwrap()];
        store.read_large_blobs(Blobs::Committed, 0, &mut large_blobs).unwrap();
        // On a copy, because a sign-in changes the counter.
        let mut key = plug_in(&flash.copy(), setup, LOG);
        let retries = key.retries();
        let sign_in = key.get(&assertion()).map(|got| got.id);
        let known = [&prepared.resident, &prepared.second].map(|id| {
            let list = [CredentialDescriptor::new(id)];
            code(key.get(&listed(assertion(), &list)))
        });
        Self { settings, credentials, large_blobs, retries, sign_in, known }
    }

    /// The state after a command has made this many of its commits.
    pub fn after(commits: u32, run: fn(&mut Key, &Prepared) -> Status, prepared: &Prepared) -> Self {
        let flash = prepared.flash.copy();
        let mut key = plug_in(&flash, prepared.setup, LOG);
        key.store.fail_at(commits + 1, Fault::Before);
        run(&mut key, prepared);
        Self::of(&flash, prepared)
    }

    fn pin_retries(&self) -> u32 {
        self.retries.0
    }
}

/// The result of a sweep.
#[derive(Default)]
pub struct Swept {
    operations: u64,
    erasures: u64,
    cuts: u64,
}

/// When the power fails: at an operation, or after the command.
fn cuts(operations: u64) -> impl Iterator<Item = Option<Cut>> {
    let within = (0..operations).flat_map(|operation| TEARS.map(|tear| Some(Cut { operation, tear })));
    within.chain([None])
}

/// Runs a command with the power cut at every operation, on the store that `mount` makes. The expected states come from
/// the log without power cuts. `Err` describes a failure.
pub fn sweep((name, run): Command, prepared: &Prepared, mount: Mount) -> Result<Swept, String> {
    // The command's changes, commit by commit.
    let (whole, setup) = (prepared.flash.copy(), prepared.setup);
    let mut key = plug_in(&whole, setup, LOG);
    let erased = || whole.get().erasures.iter().map(|count| u64::from(*count)).sum::<u64>();
    let (applied, erased_before) = (key.store.applied(), erased());
    let operations = whole.get().operations;
    let expected = run(&mut key, prepared);
    let operations = whole.get().operations - operations;
    let (commits, erasures) = (key.store.applied() - applied, erased() - erased_before);
    assert!(commits > 0, "{name} changes nothing: {expected:?}");
    let mut states: Vec<State> = (0..commits).map(|made| State::after(made, run, prepared)).collect();
    states.push(State::of(&whole, prepared));
    let mut swept = Swept { operations, erasures, cuts: 0 };
    for cut in cuts(operations) {
        let flash = prepared.flash.copy();
        let mut key = plug_in(&flash, setup, mount);
        let before = key.store.applied();
        if let Some(cut) = cut {
            flash.get().cut(cut);
        }
        let answer = run(&mut key, prepared);
        let failed = flash.get().is_off();
        let made = (key.store.applied() - before) as usize;
        drop(key);
        flash.get().power_on();
        let state = State::of(&flash, prepared);
        let place = format!("{name}: {cut:?} of {operations} operations, after commit {made} of {commits}");
        let takes = name.starts_with("reset") || name == "deleteCredential";
        if !takes && !answer.is_ok() && state.known.contains(&Status::NO_CREDENTIALS) {
            return Err(format!("{place}: a credential that the relying party knows is gone"));
        }
        check(&state, &states, made, answer).map_err(|what| format!("{place}: {what}"))?;
        if failed != cut.is_some() {
            return Err(format!("{place}: the power did not fail in it"));
        }
        swept.cuts += 1 + recover(&flash, prepared, &state, cut, mount).map_err(|what| format!("{place}: {what}"))?;
    }
    Ok(swept)
}

/// Checks that `state` is allowed after `made` of the commits between `states`.
fn check(state: &State, states: &[State], made: usize, answer: Status) -> Result<(), &'static str> {
    if answer == Status::PIN_INVALID && state.pin_retries() >= states[0].pin_retries() {
        return Err("the PIN was compared, and the attempt is not counted");
    }
    let next = states.get(made + 1);
    if *state != states[made] && Some(state) != next {
        let missing = states[..made].contains(state);
        return Err(if missing {
            "an acknowledged commit is missing"
        } else {
            "neither the old state nor the new one"
        });
    }
    let most = states[made].pin_retries().max(next.map_or(0, State::pin_retries));
    if state.pin_retries() > most { Err("PIN retries grew") } else { Ok(()) }
}

/// Cuts the power again and again while the powered-up key tidies. Returns how often.
fn recover(
    flash: &BenchFlash,
    prepared: &Prepared,
    state: &State,
    cut: Option<Cut>,
    mount: Mount,
) -> Result<u64, &'static str> {
    let operation = cut.map_or(0, |cut| cut.operation);
    for again in 0..2 {
        flash
            .get()
            .cut(Cut { operation: (operation + again) % 4, tear: TEARS[(operation + again) as usize % TEARS.len()] });
        let store = BenchStore::mounted(flash, mount);
        while store.memory.borrow_mut().tidy() == Ok(true) && !flash.get().is_off() {}
        flash.get().power_on();
    }
    let store = BenchStore::mounted(flash, mount);
    while store.memory.borrow_mut().tidy().unwrap() {}
    if State::of(flash, prepared) == *state { Ok(2) } else { Err("lost in the recovery") }
}

/// Prints a line that is also visible without `--nocapture`, unlike with `println`.
#[allow(clippy::explicit_write)]
fn say(line: std::fmt::Arguments<'_>) {
    writeln!(std::io::stdout(), "{line}").unwrap();
}

#[test]
fn whatever_is_cut_wherever_the_old_state_or_the_new_one_comes_up() {
    let mut all = Swept::default();
    // The log in its first pages, and at several places after it has wrapped around.
    for churn in [0, 150, 240, 251] {
        for (setup, commands) in COMMANDS {
            let prepared = prepare(setup, churn);
            for command in commands {
                let swept = sweep(*command, &prepared, LOG).unwrap_or_else(|wrong| panic!("{wrong}"));
                all.operations += swept.operations;
                all.erasures += swept.erasures;
                all.cuts += swept.cuts;
            }
        }
    }
    let commands: usize = COMMANDS.iter().map(|(_, commands)| commands.len()).sum();
    let Swept { operations, erasures, cuts } = all;
    say(format_args!(
        "power cuts: {commands} commands in 4 states of the log x every operation = {cuts} cuts \
         ({operations} operations, {erasures} of them erasures)"
    ));
    assert!(erasures > 20, "a sweep with too few erasures");
}

#[test]
fn a_first_power_up_can_be_cut_anywhere() {
    let mut cuts = 0;
    for tear in TEARS {
        for operation in 0.. {
            let flash = BenchFlash::new(SimulatedFlash::new(PAGES));
            flash.get().cut(Cut { operation, tear });
            let done =
                Key::try_with(Setup::Open.config(), BenchStore::on_flash(&flash)).is_ok() && !flash.get().is_off();
            if done {
                break;
            }
            flash.get().power_on();
            let mut key = plug_in(&flash, Setup::Open, LOG);
            assert_eq!(make(&mut key, b"first", true, false), Status::OK);
            assert_eq!(sign_in(&mut key.power_cut(), false), Status::OK);
            cuts += 1;
        }
    }
    say(format_args!("power cuts: first power-up, {cuts} cuts"));
}
