//! The errands in which the power fails: every command that changes anything.

use keyfob_core::{
    cbor::{List, Text},
    client::{
        Error, GetAssertion, GetOptions, MakeCredential, MakeOptions,
        manage::{
            ChangeFingerprints, ChangePin, ConfigSubcommand, Configure, DeleteCredential, Enroll, GetPersistentToken,
            Reset, SetPin, UpdateUser, WriteLargeBlobs,
        },
    },
    cose::Algorithm,
    crypto::{Hash, StubCrypto},
    ctap2::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity, config::SetMinPinLength},
    webauthn::Requirement,
};

use keyfob_soft_authenticator::store::{Change, Setting, Store};

use crate::key::{Bench, Client, open};

/// The key before an errand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// Two credentials and a large-blob array, without a PIN.
    Open,
    /// The same with a PIN.
    Pin,
    /// The same with a PIN and an enrolled finger.
    Finger,
}

/// Bytes of a copy, and how many.
type Kept = ([u8; 160], usize);

/// What the client knows of the key before an errand.
#[derive(Clone, Copy)]
pub struct Prepared {
    /// The id of a credential.
    credential_id: Kept,
    /// The id of the finger's template.
    template_id: Kept,
}

/// Something that a client does with the key.
pub struct Errand {
    /// What it is called in the results.
    pub name: &'static str,
    /// Where it begins.
    pub setup: Setup,
    /// Does it.
    pub run: fn(&mut Client<'_>, &Prepared) -> Result<(), Error>,
    /// Whether it fails.
    pub fails: bool,
    /// Whether the credential of the preparation may not work any more afterwards.
    pub takes: bool,
}

const RP_ID: &str = "example.org";
const HASH: &[u8; 32] = &[3; 32];

fn kept(bytes: &[u8]) -> Kept {
    let mut kept = [0; 160];
    let len = bytes.len().min(kept.len());
    kept[..len].copy_from_slice(&bytes[..len]);
    (kept, len)
}

impl Prepared {
    fn credential_id(&self) -> &[u8] {
        &self.credential_id.0[..self.credential_id.1]
    }

    fn template_id(&self) -> &[u8] {
        &self.template_id.0[..self.template_id.1]
    }
}

fn make(client: &mut Client<'_>, user: &[u8]) -> Result<Kept, Error> {
    let algorithms = [CredentialParameters::new(Algorithm::ES256)];
    let user = UserEntity { id: user, name: Some("alice@example.org"), display_name: None };
    let options = MakeOptions {
        resident_key: Requirement::Required,
        ..MakeOptions::new(HASH, RpEntity { id: RP_ID, name: None }, user, &algorithms)
    };
    let made = client.run(MakeCredential::new(&options))?;
    Ok(kept(made.auth_data.attested_credential_data.map_or(&[], |data| data.credential_id)))
}

/// Signs in with the credential of the preparation. The user is not verified.
///
/// # Errors
/// Why that failed.
pub fn sign_in(client: &mut Client<'_>, prepared: &Prepared) -> Result<(), Error> {
    let allowed = [CredentialDescriptor::new(prepared.credential_id())];
    let mut options = GetOptions::new(RP_ID, HASH);
    options.user_verification = Requirement::Discouraged;
    options.allow_list = List::Slice(&allowed);
    client.run(GetAssertion::new(&options)).map(drop)
}

/// Signs in with a credential that the key finds by itself.
fn discover(client: &mut Client<'_>, user_verification: Requirement) -> Result<(), Error> {
    let options = GetOptions { user_verification, ..GetOptions::new(RP_ID, HASH) };
    client.run(GetAssertion::new(&options)).map(drop)
}

/// Writes an array with one element that is not a blob of ours.
fn write_blobs(client: &mut Client<'_>, filling: u8) -> Result<(), Error> {
    let mut array = [filling; 419];
    array[..4].copy_from_slice(&[0x81, 0x59, 0x01, 0x8F]);
    let (content, hash) = array.split_at_mut(403);
    hash.copy_from_slice(&StubCrypto.sha256(&[content])[..16]);
    client.run(WriteLargeBlobs::new(&array))
}

fn set(client: &mut Client<'_>, setting: ConfigSubcommand<'_>) -> Result<(), Error> {
    client.run(Configure::new(setting))
}

const MIN_PIN_LENGTH: ConfigSubcommand<'static> = ConfigSubcommand::MinPinLength(SetMinPinLength {
    new_min_pin_length: Some(6),
    min_pin_length_rp_ids: Some(List::Slice(const { &[Text::new(RP_ID)] })),
    force_change_pin: None,
    pin_complexity_policy: None,
});

const fn errand(setup: Setup, name: &'static str, run: fn(&mut Client<'_>, &Prepared) -> Result<(), Error>) -> Errand {
    Errand { name, setup, run, fails: false, takes: false }
}

/// One after which the credential of the preparation may not work any more.
const fn takes(errand: Errand) -> Errand {
    Errand { takes: true, ..errand }
}

/// Everything that changes something.
pub const ERRANDS: &[Errand] = &[
    errand(Setup::Open, "register", |client, _| make(client, b"new").map(drop)),
    errand(Setup::Open, "register again", |client, _| make(client, b"second").map(drop)),
    errand(Setup::Open, "sign in", sign_in),
    errand(Setup::Open, "set the PIN", |client, _| client.run(SetPin)),
    errand(Setup::Open, "write large blobs", |client, _| write_blobs(client, 2)),
    errand(Setup::Open, "enterprise attestation", |client, _| set(client, ConfigSubcommand::EnterpriseAttestation)),
    takes(errand(Setup::Open, "always UV", |client, _| set(client, ConfigSubcommand::ToggleAlwaysUv))),
    errand(Setup::Open, "long touch for reset", |client, _| set(client, ConfigSubcommand::LongTouchForReset)),
    errand(Setup::Open, "shortest PIN", |client, _| set(client, MIN_PIN_LENGTH)),
    takes(errand(Setup::Open, "reset", |client, _| client.run(Reset))),
    errand(Setup::Pin, "change the PIN", |client, _| client.run(ChangePin)),
    Errand {
        fails: true,
        ..errand(Setup::Pin, "a wrong PIN", |client, _| {
            client.wrong_pin = true;
            discover(client, Requirement::Required)
        })
    },
    errand(Setup::Pin, "register, PIN", |client, _| make(client, b"new").map(drop)),
    errand(Setup::Pin, "sign in, PIN", |client, _| discover(client, Requirement::Required)),
    takes(errand(Setup::Pin, "delete a credential", |client, prepared| {
        client.run(DeleteCredential::new(prepared.credential_id()))
    })),
    errand(Setup::Pin, "rename a user", |client, prepared| {
        let user = UserEntity { id: b"first", name: Some("renamed"), display_name: None };
        client.run(UpdateUser::new(prepared.credential_id(), user))
    }),
    errand(Setup::Pin, "write large blobs, PIN", |client, _| write_blobs(client, 2)),
    errand(Setup::Pin, "shortest PIN, PIN", |client, _| set(client, MIN_PIN_LENGTH)),
    errand(Setup::Pin, "a persistent token", |client, _| client.run(GetPersistentToken::new()).map(drop)),
    errand(Setup::Pin, "enrol a finger", |client, _| client.run(Enroll::new(None)).map(drop)),
    takes(errand(Setup::Pin, "reset, PIN", |client, _| client.run(Reset))),
    errand(Setup::Finger, "sign in, finger", |client, _| discover(client, Requirement::Required)),
    errand(Setup::Finger, "name a finger", |client, prepared| {
        client.run(ChangeFingerprints::rename(prepared.template_id(), "left"))
    }),
    errand(Setup::Finger, "remove a finger", |client, prepared| {
        client.run(ChangeFingerprints::remove(prepared.template_id()))
    }),
];

/// Prepares a key on the bench's flash, which is erased, and writes its counter `churn` times.
///
/// # Errors
/// What went wrong.
pub fn prepare(bench: &mut Bench<'_>, setup: Setup, churn: u32) -> Result<Prepared, &'static str> {
    let prepared = bench.plug(u32::MAX, |client| {
        let credential_id = make(client, b"first")?;
        make(client, b"second")?;
        discover(client, Requirement::Discouraged)?;
        write_blobs(client, 1)?;
        let mut template_id = ([0; 160], 0);
        if setup != Setup::Open {
            client.run(SetPin)?;
        }
        if setup == Setup::Finger {
            template_id = client.run(Enroll::new(None)).map(kept)?;
        }
        Ok(Prepared { credential_id, template_id })
    })?;
    let mut log = open(bench.flash)?;
    for count in 1_000..1_000 + churn {
        let changes = [Change::Set(Setting::SignCount, &count.to_be_bytes())];
        log.commit(&changes).map_err(|_| "the log cannot be filled")?;
    }
    prepared.map_err(|_: Error| "the key cannot be prepared")
}
