//! Commands with a key that has few or many discoverable credentials: the time of the whole command and of its longest
//! step.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use keyfob_core::{
    auth_data::AuthData,
    bytes,
    cbor::{List, RawMap, Write, encode},
    cose::Algorithm,
    crypto::{Hash, RustCrypto},
    ctap1::{self, RegisterResponse, StatusWord},
    ctap2::{
        Command, CommandOptions, CredentialDescriptor, CredentialParameters, RpEntity, UserEntity, bio_enrollment,
        credential_management::{self as management, Params, authenticated_head, subcommand},
        decode_response, encode_request, get_assertion, make_credential,
    },
    extensions::cred_protect::Level,
    pin_uv::{Permissions, PinUvAuthProtocol, Token},
};
use keyfob_soft_authenticator::{
    devices::VirtualCrypto,
    engine::{Engine, Event, Platform, Progress, Wait},
    store::{Change, Credential, MAX_RECORD, Query, Setting, Store},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::{
    ceremonies::{Agreed, Authenticator, encoded_within},
    commands::{
        U2F_REGISTER, blobs_request, enroll, fingers_request, min_pin_length_request, read_blobs_request,
        u2f_authenticate, with_sensor,
    },
};

/// The relying party of the commands.
const MINE: &str = "example.org";
const HASH: &[u8; 32] = &[7; 32];
/// How many ids are in a list.
const LISTED: usize = 64;
/// The longest request, in bytes: with the list.
const LONGEST: usize = 4096;
/// How many credentials one commit stores when the store is filled.
const AT_ONCE: u32 = 1000;

struct Scaled;

impl Platform for Scaled {
    type Crypto = VirtualCrypto;
    type Rng = ChaCha20Rng;
    type Store = Box<dyn Store>;
}

/// A key whose store is large and whose steps are timed. Its PIN is set later. `ceremonies::Key` has a store of a hundred
/// credentials.
struct ScaledKey {
    engine: Engine<'static, Scaled>,
    /// The longest step of the last command.
    longest: Duration,
}

impl Authenticator for ScaledKey {
    fn call(&mut self, request: &[u8]) -> impl AsRef<[u8]> {
        let len = bytes::put(self.engine.buffer(), request);
        let now = keyfob_core::Instant::default();
        self.longest = Duration::ZERO;
        let mut event = None;
        loop {
            let start = Instant::now();
            let progress = match event {
                None => self.engine.begin(now, black_box(len)),
                Some(event) => self.engine.resume(now, event),
            };
            self.longest = self.longest.max(start.elapsed());
            event = match progress {
                Progress::Reply(len) => return self.engine.buffer()[..len].to_vec(),
                Progress::Pending(Wait::Touch) => Some(Event::Touched),
                Progress::Pending(_) => Some(Event::Tick),
            };
        }
    }
}

/// The relying parties whose credentials fill the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// All belong to the relying party of the commands.
    Mine,
    /// Each belongs to another relying party.
    Others,
}

/// The times of a command.
#[derive(Clone, Copy)]
pub struct Cost {
    /// The command's name.
    pub name: &'static str,
    /// The shortest time from the first byte to the last.
    pub whole: Duration,
    /// Its longest step.
    pub longest_step: Duration,
}

fn record(id: &[u8; 32], rp_id: &str, user: &[u8]) -> Vec<u8> {
    let mut record = [0; MAX_RECORD];
    let len = Credential {
        id,
        algorithm: Algorithm::ES256,
        secret: id,
        rp: RpEntity { id: rp_id, name: Some("A site") },
        user: UserEntity { id: user, name: Some("alice@example.com"), display_name: Some("Alice Example") },
        cred_protect: None,
        cred_blob: None,
        public_key: None,
        large_blob_key: None,
        third_party_payment: None,
        large_blob: None,
    }
    .encode(&mut record)
    .expect("fits");
    record[..len].to_vec()
}

/// Fills a store up to a number of credentials, with a maximum number per commit, and tidies it meanwhile.
pub fn fill(store: &mut dyn Store, whose: Whose, to: u32, at_once: u32) {
    // A key does not open a store with credentials and without the seed.
    store.commit(&[Change::Set(Setting::Seed, &[0x5E; 32])]).expect("room");
    let from = store.count(Query::All).expect("a store");
    let mut dice = ChaCha20Rng::seed_from_u64(from.into());
    for start in (from..to).step_by(at_once.min(AT_ONCE) as usize) {
        let records: Vec<_> = (start..to.min(start + at_once))
            .map(|index| {
                let mut id = [1; 32];
                dice.fill_bytes(&mut id[1..]);
                let rp_id = match whose {
                    Whose::Mine => MINE.to_string(),
                    Whose::Others if index < 3 => MINE.to_string(),
                    Whose::Others => format!("login.site-{index}.example"),
                };
                (RustCrypto.sha256(&[rp_id.as_bytes()]), record(&id, &rp_id, &index.to_be_bytes()))
            })
            .collect();
        let puts: Vec<_> = records.iter().map(|(rp_id_hash, record)| Change::Put { rp_id_hash, record }).collect();
        store.commit(&puts).expect("room");
        while store.tidy().expect("a store") {}
    }
}

/// Runs every command that reads the store, each several times, and returns the fastest runs.
pub fn commands(store: Box<dyn Store>, times: usize) -> Vec<Cost> {
    let config = with_sensor();
    let buffer = Box::leak(vec![0; config.buffer_len()].into_boxed_slice());
    let rng = ChaCha20Rng::seed_from_u64(1);
    let engine = Engine::new(buffer, config, VirtualCrypto::default(), rng, store, keyfob_core::Instant::default());
    let mut bench = Bench {
        key: ScaledKey { engine: engine.expect("a configuration that works"), longest: Duration::ZERO },
        costs: Vec::new(),
        times,
        user: 0,
    };
    bench.ceremonies();
    let token = bench.pin();
    bench.management(&token);
    bench.settings(&token);
    bench.u2f();
    // Last, because it leaves no credential.
    bench.ask("reset", &[Command::RESET.0]);
    bench.costs
}

struct Bench {
    key: ScaledKey,
    costs: Vec<Cost>,
    times: usize,
    /// The last user that this function registered.
    user: u32,
}

impl Bench {
    /// Sends a request and returns the response. Keeps the shortest times.
    fn ask(&mut self, name: &'static str, request: &[u8]) -> Vec<u8> {
        let start = Instant::now();
        let response = self.key.call(request).as_ref().to_vec();
        let whole = start.elapsed();
        assert_eq!(response[0], 0, "{name}");
        self.keep(name, whole, self.key.longest);
        response
    }

    fn keep(&mut self, name: &'static str, whole: Duration, longest_step: Duration) {
        match self.costs.iter_mut().find(|cost| cost.name == name) {
            Some(cost) => {
                cost.whole = cost.whole.min(whole);
                cost.longest_step = cost.longest_step.min(longest_step);
            }
            None => self.costs.push(Cost { name, whole, longest_step }),
        }
        self.key.engine.response_sent();
        while self.key.engine.tidy() {}
    }

    fn register(&mut self, name: &'static str, user: u32, excluded: &[CredentialDescriptor<'_>]) -> Vec<u8> {
        let request = encoded_within(LONGEST, |buffer| {
            let request = make_credential::Request {
                client_data_hash: HASH,
                rp: RpEntity { id: MINE, name: None },
                user: UserEntity { id: &user.to_be_bytes(), name: Some("bob@example.com"), display_name: None },
                pub_key_cred_params: List::Slice(&[CredentialParameters::new(Algorithm::ES256)]),
                exclude_list: Some(List::Slice(excluded)).filter(|list| !list.is_empty()),
                extensions: None,
                options: Some(CommandOptions { rk: Some(true), ..CommandOptions::default() }),
                pin_uv_auth_param: None,
                pin_uv_auth_protocol: None,
                enterprise_attestation: None,
                attestation_formats_preference: None,
            };
            encode_request(Command::MAKE_CREDENTIAL, &request, buffer)
        });
        let response = self.ask(name, &request);
        let decoded: make_credential::Response<'_> = decode_response(&response).expect("a registration");
        let auth_data = AuthData::decode(decoded.auth_data).expect("well-formed");
        auth_data.attested_credential_data.expect("a credential").credential_id.to_vec()
    }

    fn sign_in(&mut self, name: &'static str, list: &[CredentialDescriptor<'_>]) {
        let request = encoded_within(LONGEST, |buffer| {
            let request = get_assertion::Request {
                rp_id: MINE,
                client_data_hash: HASH,
                allow_list: Some(List::Slice(list)).filter(|list| !list.is_empty()),
                extensions: None,
                options: None,
                pin_uv_auth_param: None,
                pin_uv_auth_protocol: None,
            };
            encode_request(Command::GET_ASSERTION, &request, buffer)
        });
        self.ask(name, &request);
    }

    fn ceremonies(&mut self) {
        let unknown: Vec<_> = (0..LISTED as u8).map(|byte| [byte; 32]).collect();
        for _ in 0..self.times {
            self.user += 1;
            let user = u32::MAX - self.user;
            self.register("register", user, &[]);
            self.register("register again", user, &[]);
            let list: Vec<_> = unknown.iter().map(|id| CredentialDescriptor::new(id)).collect();
            let id = self.register("register, 64 excluded", user, &list);
            let mut list = list;
            list[LISTED - 1] = CredentialDescriptor::new(&id);
            self.sign_in("sign in, list of 64", &list);
            self.sign_in("sign in, list of 1", &list[LISTED - 1..]);
            self.sign_in("sign in", &[]);
            self.ask("getNextAssertion", &[Command::GET_NEXT_ASSERTION.0]);
        }
    }

    fn manage(
        &mut self,
        name: &'static str,
        token: Option<&Token>,
        sub_command: u32,
        params: Option<Params<'_>>,
    ) -> Vec<u8> {
        let params = params.map(|params| raw(&params));
        let head = authenticated_head(sub_command);
        let message: [&[u8]; 2] = [&head, params.as_deref().unwrap_or_default()];
        let param = token.map(|token| token.authenticate(&RustCrypto, PinUvAuthProtocol::Two, &message));
        let request = management::Request {
            sub_command,
            sub_command_params: params.as_deref().map(RawMap),
            pin_uv_auth_protocol: token.map(|_| 2),
            pin_uv_auth_param: param.as_ref().map(|param| param.as_bytes()),
        };
        let request =
            encoded_within(LONGEST, |buffer| encode_request(Command::CREDENTIAL_MANAGEMENT, &request, buffer));
        self.ask(name, &request)
    }

    /// Sets a PIN, and returns a token with every permission that needs no relying party.
    fn pin(&mut self) -> Token {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let request = Agreed::new(&mut self.key, &mut rng).set_pin_request(&mut rng);
        self.ask("setPIN", &request);
        let all = [Permissions::BE, Permissions::LBW, Permissions::ACFG];
        let permissions = all.into_iter().fold(Permissions::CM, Permissions::with);
        for _ in 1..self.times {
            let request = Agreed::new(&mut self.key, &mut rng).change_pin_request(&mut rng);
            self.ask("changePIN", &request);
            let request = Agreed::new(&mut self.key, &mut rng).token_request(&mut rng, permissions, None);
            self.ask("getPinUvAuthToken", &request);
        }
        // The last one is in force.
        let mut agreed = Agreed::new(&mut self.key, &mut rng);
        let request = agreed.token_request(&mut rng, permissions, None);
        let response = self.ask("getPinUvAuthToken", &request);
        agreed.token(&response)
    }

    /// The commands that read or write no credential.
    fn settings(&mut self, token: &Token) {
        enroll(&mut self.key.engine, token);
        let enumerate = bio_enrollment::subcommand::ENUMERATE_ENROLLMENTS;
        for _ in 0..self.times {
            self.ask("getInfo", &[Command::GET_INFO.0]);
            self.ask("largeBlobs, 1,024 bytes written", &blobs_request(token));
            self.ask("largeBlobs, 1,024 bytes read", &read_blobs_request());
            self.ask("setMinPINLength", &min_pin_length_request(token));
            self.ask("enumerateEnrollments", &fingers_request(token, enumerate));
        }
    }

    /// U2F with a touch that has been given.
    fn u2f(&mut self) {
        for _ in 0..self.times {
            let registered = self.touched("U2F register", &U2F_REGISTER);
            let key_handle = RegisterResponse::decode(&registered).expect("a registration").key_handle;
            self.touched("U2F authenticate", &u2f_authenticate(key_handle));
        }
    }

    fn touched(&mut self, name: &'static str, request: &ctap1::Request<'_>) -> Vec<u8> {
        let request = encoded_within(LONGEST, |buffer| request.encode(buffer));
        let now = keyfob_core::Instant::default();
        // The first request is refused: a touch counts when it was asked for.
        let len = bytes::put(self.key.engine.buffer(), &request);
        self.key.engine.begin_u2f(now, len);
        self.key.engine.touch_for_u2f(now, true);
        let len = bytes::put(self.key.engine.buffer(), &request);
        let start = Instant::now();
        let mut progress = self.key.engine.begin_u2f(now, black_box(len));
        let mut longest = start.elapsed();
        let len = loop {
            let step = Instant::now();
            progress = match progress {
                Progress::Reply(len) => break len,
                Progress::Pending(_) => self.key.engine.resume(now, Event::Tick),
            };
            longest = longest.max(step.elapsed());
        };
        let (whole, response) = (start.elapsed(), self.key.engine.buffer()[..len].to_vec());
        assert!(response.ends_with(&StatusWord::NO_ERROR.0.to_be_bytes()), "{name}: {response:x?}");
        self.keep(name, whole, longest);
        response
    }

    fn management(&mut self, token: &Token) {
        let token = Some(token);
        let rp_id_hash = RustCrypto.sha256(&[MINE.as_bytes()]);
        let of_mine = Params { rp_id_hash: Some(&rp_id_hash), ..Params::default() };
        for _ in 0..self.times {
            self.manage("getCredsMetadata", token, subcommand::GET_CREDS_METADATA, None);
            self.manage("enumerateRPsBegin", token, subcommand::ENUMERATE_RPS_BEGIN, None);
            let begun =
                self.manage("enumerateCredentialsBegin", token, subcommand::ENUMERATE_CREDENTIALS_BEGIN, Some(of_mine));
            let next = subcommand::ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL;
            self.manage("enumerateCredentialsGetNextCredential", None, next, None);
            let begun: management::Response<'_> = decode_response(&begun).expect("a credential");
            let (credential, user) = (begun.credential_id.expect("an id"), begun.user.expect("a user"));
            let user = Params {
                credential_id: Some(credential),
                user: Some(UserEntity { id: user.id, name: Some("carol@example.com"), display_name: None }),
                ..Params::default()
            };
            self.manage("updateUserInformation", token, subcommand::UPDATE_USER_INFORMATION, Some(user));
            let gone = Params { credential_id: Some(credential), ..Params::default() };
            self.manage("deleteCredential", token, subcommand::DELETE_CREDENTIAL, Some(gone));
        }
    }
}

fn raw(value: &impl Write) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    let len = encode(value, &mut bytes).expect("fits");
    bytes.truncate(len);
    bytes
}

/// All credentials of the relying party of the commands.
pub fn mine(store: &mut dyn Store) -> u32 {
    let rp_id_hash = &RustCrypto.sha256(&[MINE.as_bytes()]);
    let protection = Level::USER_VERIFICATION_REQUIRED;
    store.count(Query::RelyingParty { rp_id_hash, protection }).expect("a store")
}

#[cfg(test)]
mod tests {
    use keyfob_soft_authenticator::store::{FlashStore, flash::SimulatedFlash};

    use super::*;

    #[test]
    fn every_command_is_measured_with_credentials_of_one_party_and_of_others() {
        for whose in [Whose::Mine, Whose::Others] {
            let flash = SimulatedFlash::<4096, 4>::new(10);
            let mut store = FlashStore::<_, _, 30, 4>::new(flash, RustCrypto, &[0x5E; 32]).expect("a store");
            fill(&mut store, whose, 10, 1);
            let costs = commands(Box::new(store), 2);
            assert!(costs.len() > 20, "{} rows", costs.len());
            assert!(costs.iter().all(|cost| cost.longest_step <= cost.whole && !cost.longest_step.is_zero()));
        }
    }
}
