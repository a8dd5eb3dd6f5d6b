//! A small authenticator with knobs, the user in front of it, and the two together.

use std::{cell::Cell, collections::VecDeque, rc::Rc, time::Duration};

use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::{
    Instant, Status,
    attestation::RawStatement,
    auth_data::{AttestedCredentialData, AuthData, Flags},
    cbor::{self, List, RawMap, Writer},
    client::Cause,
    cose::{Algorithm, CoseKey, Curve},
    crypto::{Crypto, P256Secret},
    ctap1,
    ctap2::{
        Command, CredentialDescriptor, CredentialParameters, UserEntity,
        client_pin::{self, subcommand},
        encode_response, get_assertion, get_info,
        large_blobs::INITIAL_ARRAY,
        make_credential,
    },
    pin_uv::{PinHash, PinUvAuthProtocol, SharedSecret, Token, decapsulate},
    transport::{self, KeepAlive, Received, Transport},
};

mod extensions;
mod pin;
mod user;
mod wire;

use extensions::key_of;
pub use user::User;
pub use wire::Fault;

pub const RP_ID: &str = "example.org";
pub const HASH: &[u8; 32] = &[0x5A; 32];
pub const ID: &[u8] = b"a credential id";
pub const PIN: &str = "1234";

/// What a device gets wrong in its answer to a command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Flaw {
    RpIdHash,
    UserNotPresent,
    UserNotVerified,
    /// Attested credential data where none belongs, or none where it belongs.
    Attested,
    Algorithm,
    EmptyCredentialId,
    OtherCredentialId,
    CredentialOmitted,
    Statement,
    Trailing,
    /// Outputs of extensions that were not asked for.
    Unasked,
}

/// The authenticator. Fields are its knobs and what it has seen.
pub struct Device<C> {
    crypto: C,
    rng: ChaCha8Rng,
    pub options: get_info::SupportedOptions,
    pub protocols: Option<Vec<u32>>,
    pub max_msg_size: Option<usize>,
    pub max_list: Option<usize>,
    pub max_id: Option<usize>,
    pub algorithms: Option<Vec<CredentialParameters<'static>>>,
    pub force_pin_change: Option<bool>,
    pub uv_attempts: Option<u32>,
    pub pin: &'static str,
    pub retries: u32,
    pub strikes: u32,
    pub power_cycles: bool,
    pub uv_retries: u32,
    /// What built-in user verification comes to, one after the other; then it succeeds.
    pub uv: VecDeque<Status>,
    /// What the commands are refused with, one after the other; then they succeed.
    pub refusals: VecDeque<Status>,
    /// What questions about credentials are refused with, one after the other; then they are answered.
    pub objections: VecDeque<Status>,
    pub flaw: Option<Flaw>,
    /// The format and the statement with which it attests.
    pub attestation: (&'static str, RawStatement<'static>),
    pub credentials: Vec<Vec<u8>>,
    pub padding: usize,
    /// The id of every user, in place of the first byte of the credential's.
    pub user_id: Option<&'static [u8]>,
    /// What tokens have to be asked for: this relying party, or none.
    pub rp_id: Option<&'static str>,
    /// Adds to what getInfo says.
    pub amend: fn(&mut get_info::Response<'static>),
    /// The answers to commands of management, one after the other.
    pub script: VecDeque<Vec<u8>>,
    /// The bytes of the tokens it issues, in place of random ones.
    pub token_bytes: Option<Vec<u8>>,
    /// The permissions that were asked for.
    pub permissions: Vec<u64>,
    /// Replaces the response with this index.
    pub tampered: Option<(usize, Vec<u8>)>,
    pub silent: bool,
    /// Whether it refuses to register beside an excluded credential.
    pub excludes: bool,
    /// What it answers to questions without a touch.
    pub probes: Option<Status>,
    /// How many assertions it claims to have, in place of how many there are.
    pub claimed: Option<u32>,
    /// Whether it waits for a touch before it says that it has no credential.
    pub touched_first: bool,
    /// What it answers without asking for a touch, beside that it has no credential.
    pub at_once: &'static [Status],
    /// Whether it answers what it was asked although that is cancelled by now.
    pub too_late: bool,
    /// What happens to the request with this index.
    pub fault: Option<(usize, Fault)>,
    /// The large-blob array.
    pub blobs: Vec<u8>,

    token: Option<(PinUvAuthProtocol, Vec<u8>)>,
    next: usize,
    verified: bool,
    events: VecDeque<wire::Event>,
    unplugged: bool,
    pub requests: Vec<Vec<u8>>,
    pub responses: Vec<Vec<u8>>,
    pub cancels: usize,
    pub reconnects: usize,
    /// Milliseconds; passes while one waits for the authenticator.
    pub now: Rc<Cell<u64>>,
}

impl<C: Crypto> Device<C> {
    /// No user verification at all.
    pub fn new(crypto: C) -> Self {
        Self {
            crypto,
            rng: ChaCha8Rng::seed_from_u64(1),
            options: get_info::SupportedOptions { rk: Some(true), ..Default::default() },
            protocols: None,
            max_msg_size: Some(1200),
            max_list: None,
            max_id: None,
            algorithms: None,
            force_pin_change: None,
            uv_attempts: None,
            pin: PIN,
            retries: 8,
            strikes: 0,
            power_cycles: true,
            uv_retries: 5,
            uv: VecDeque::new(),
            refusals: VecDeque::new(),
            objections: VecDeque::new(),
            flaw: None,
            attestation: ("none", RawStatement::EMPTY),
            credentials: vec![ID.to_vec()],
            padding: 0,
            user_id: None,
            rp_id: Some(RP_ID),
            amend: |_| (),
            script: VecDeque::new(),
            token_bytes: None,
            permissions: Vec::new(),
            tampered: None,
            silent: false,
            excludes: false,
            probes: None,
            claimed: None,
            touched_first: false,
            at_once: &[],
            too_late: false,
            fault: None,
            blobs: INITIAL_ARRAY.to_vec(),
            token: None,
            next: 0,
            verified: false,
            events: VecDeque::new(),
            unplugged: false,
            requests: Vec::new(),
            responses: Vec::new(),
            cancels: 0,
            reconnects: 0,
            now: Rc::default(),
        }
    }

    /// With a knob turned.
    pub fn altered(mut self, knob: impl FnOnce(&mut Self)) -> Self {
        knob(&mut self);
        self
    }

    /// A PIN is set, tokens have permissions.
    pub fn with_pin(crypto: C, protocol: PinUvAuthProtocol) -> Self {
        let mut device = Self::new(crypto);
        device.options.client_pin = Some(true);
        device.options.pin_uv_auth_token = Some(true);
        device.protocols = Some(vec![9, protocol.number(), 1]);
        device
    }

    /// A PIN is set, tokens have permissions; to be managed.
    pub fn managed(crypto: C) -> Self {
        let mut device = Self::with_pin(crypto, PinUvAuthProtocol::Two);
        device.rp_id = None;
        device
    }

    /// The pinUvAuthParam of `message` with the last token.
    pub fn proof(&self, message: &[&[u8]]) -> Vec<u8> {
        let (protocol, token) = self.token.as_ref().unwrap();
        self.crypto.hmac_sha256(token, message)[..protocol.mac_len()].to_vec()
    }

    /// Built-in user verification is set up, tokens have permissions.
    pub fn with_uv(crypto: C) -> Self {
        let mut device = Self::with_pin(crypto, PinUvAuthProtocol::Two);
        device.options.client_pin = None;
        device.options.uv = Some(true);
        device
    }

    pub fn commands(&self) -> Vec<u8> {
        self.requests.iter().map(|request| request[0]).collect()
    }

    pub fn sub_commands(&self) -> Vec<u32> {
        let pins = self.requests.iter().filter(|request| request[0] == Command::CLIENT_PIN.0);
        pins.map(|request| cbor::decode::<client_pin::Request>(&request[1..]).unwrap().sub_command.unwrap()).collect()
    }

    pub fn last(&self) -> &[u8] {
        &self.requests.last().unwrap()[1..]
    }

    pub fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        self.requests.push(request.to_vec());
        let mut out = vec![0; 4096];
        let result = match Command(request[0]) {
            Command::GET_INFO => Ok(self.info(&mut out)),
            Command::CLIENT_PIN => self.client_pin(&cbor::decode(&request[1..]).unwrap(), &mut out),
            Command::MAKE_CREDENTIAL if self.script.is_empty() => {
                self.make(&cbor::decode(&request[1..]).unwrap(), &mut out)
            }
            Command::LARGE_BLOBS if self.script.is_empty() => {
                self.large_blobs(&cbor::decode(&request[1..]).unwrap(), &mut out)
            }
            Command::SELECTION if self.script.is_empty() => {
                out[0] = 0;
                Ok(1)
            }
            Command::GET_ASSERTION => self.get(&cbor::decode(&request[1..]).unwrap(), &mut out),
            Command::GET_NEXT_ASSERTION if self.next >= self.credentials.len() => Err(Status::NOT_ALLOWED),
            Command::GET_NEXT_ASSERTION => Ok(self.assertion(None, None, &mut out)),
            _ => match self.script.pop_front() {
                Some(answer) => {
                    out[..answer.len()].copy_from_slice(&answer);
                    Ok(answer.len())
                }
                None => Err(Status::INVALID_COMMAND),
            },
        };
        match result {
            Ok(len) => out.truncate(len),
            Err(status) => out = vec![status.0],
        }
        if let Some((index, tampered)) = &self.tampered
            && *index == self.requests.len() - 1
        {
            out = tampered.clone();
        }
        self.responses.push(out.clone());
        out
    }

    fn info(&self, out: &mut [u8]) -> usize {
        let mut amended: get_info::Response<'static> =
            cbor::decode(&[0xA2, 1, 0x80, 3, 0x50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        amended.options = Some(self.options);
        (self.amend)(&mut amended);
        let info = get_info::Response {
            max_msg_size: self.max_msg_size,
            pin_uv_auth_protocols: self.protocols.as_deref().map(List::Slice),
            max_credential_count_in_list: self.max_list,
            max_credential_id_length: self.max_id,
            algorithms: self.algorithms.as_deref().map(List::Slice),
            force_pin_change: self.force_pin_change,
            preferred_platform_uv_attempts: self.uv_attempts,
            ..amended
        };
        encode_response(&info, out).unwrap()
    }

    /// Authorization of a command: whether the user is verified.
    fn authorize(
        &mut self,
        hash: &[u8; 32],
        param: Option<&[u8]>,
        protocol: Option<u32>,
        uv: Option<bool>,
    ) -> Result<(), Status> {
        if let Some(status) = self.refusals.pop_front() {
            return Err(status);
        }
        self.verified = match param {
            Some(param) => {
                let (issued, _) = self.token.as_ref().ok_or(Status::PIN_AUTH_INVALID)?;
                if self.proof(&[hash]) != param || protocol != Some(issued.number()) {
                    return Err(Status::PIN_AUTH_INVALID);
                }
                if uv.is_some() {
                    return Err(Status::INVALID_OPTION); // as some authenticators do
                }
                true
            }
            None => uv == Some(true),
        };
        if self.options.always_uv == Some(true) && !self.verified { Err(Status::PUAT_REQUIRED) } else { Ok(()) }
    }

    fn auth_data(&self, attested: bool, outputs: Option<&[u8]>, out: &mut [u8]) -> usize {
        let mut rp_id_hash = self.crypto.sha256(&[RP_ID.as_bytes()]);
        if self.flaw == Some(Flaw::RpIdHash) {
            rp_id_hash[31] ^= 1;
        }
        let algorithm = if self.flaw == Some(Flaw::Algorithm) { Algorithm::ESP256 } else { Algorithm::ES256 };
        let attested = attested != (self.flaw == Some(Flaw::Attested));
        let auth_data = AuthData {
            rp_id_hash: &rp_id_hash,
            flags: Flags(0)
                .with(Flags::UP, self.flaw != Some(Flaw::UserNotPresent))
                .with(Flags::UV, self.verified && self.flaw != Some(Flaw::UserNotVerified)),
            sign_count: 1,
            attested_credential_data: attested.then_some(AttestedCredentialData {
                aaguid: &[0; 16],
                credential_id: if self.flaw == Some(Flaw::EmptyCredentialId) { &[] } else { ID },
                public_key: CoseKey::Ec2 { algorithm, curve: Curve::P256, x: &[1; 32], y: &[2; 32] },
            }),
            extensions: outputs.map(RawMap),
        };
        let mut w = Writer::new(out);
        auth_data.encode(&mut w);
        w.finish().unwrap()
    }

    fn make(&mut self, request: &make_credential::Request, out: &mut [u8]) -> Result<usize, Status> {
        let options = request.options.unwrap_or_default();
        self.authorize(request.client_data_hash, request.pin_uv_auth_param, request.pin_uv_auth_protocol, options.uv)?;
        let known = |listed: CredentialDescriptor| self.credentials.iter().any(|known| known == listed.id);
        if self.excludes && request.exclude_list.is_some_and(|list| list.iter().any(known)) {
            return Err(Status::CREDENTIAL_EXCLUDED);
        }
        let outputs = match self.flaw {
            Some(Flaw::Unasked) => Some(extensions::all_make_outputs()),
            _ => request.extensions.map(|inputs| self.make_outputs(inputs)),
        };
        let mut auth_data = [0; 512];
        let len = self.auth_data(true, outputs.as_deref(), &mut auth_data);
        let response = make_credential::Response {
            fmt: if self.flaw == Some(Flaw::Statement) { "packed" } else { self.attestation.0 },
            auth_data: &auth_data[..len],
            att_stmt: Some(self.attestation.1),
            ep_att: None,
            large_blob_key: request.extensions.and_then(key_of),
            unsigned_extension_outputs: None,
        };
        let len = encode_response(&response, out).unwrap();
        Ok(len + usize::from(self.flaw == Some(Flaw::Trailing)))
    }

    fn get(&mut self, request: &get_assertion::Request, out: &mut [u8]) -> Result<usize, Status> {
        let options = request.options.unwrap_or_default();
        let probes = options.up == Some(false);
        if probes {
            assert_eq!((request.client_data_hash, request.extensions), (&[0; 32], None), "worth something");
            if let Some(status) = self.probes {
                return Err(status);
            }
        }
        if probes && let Some(status) = self.objections.pop_front() {
            return Err(status);
        }
        // What the command is refused with is not for questions.
        let refusals = if probes { std::mem::take(&mut self.refusals) } else { VecDeque::new() };
        let (param, protocol) = (request.pin_uv_auth_param, request.pin_uv_auth_protocol);
        let always_uv = self.options.always_uv.take_if(|_| probes);
        let authorized = self.authorize(request.client_data_hash, param, protocol, options.uv);
        self.options.always_uv = self.options.always_uv.or(always_uv);
        self.refusals.extend(refusals);
        authorized?;
        if request.allow_list.is_some_and(|list| list.len() > self.max_list.unwrap_or(1)) {
            return Err(Status::LIMIT_EXCEEDED);
        }
        self.next = 0;
        if let Some(list) = &request.allow_list {
            let known = |listed: CredentialDescriptor| self.credentials.iter().any(|known| known == listed.id);
            if !list.iter().any(known) {
                return Err(Status::NO_CREDENTIALS);
            }
        }
        let several = request.allow_list.is_none() && self.credentials.len() > 1;
        if let Some(list) = &request.allow_list {
            let listed = |known: &Vec<u8>| list.iter().any(|listed| known == listed.id);
            self.next = self.credentials.iter().position(listed).unwrap();
        }
        let claimed = self.claimed.or(several.then_some(self.credentials.len() as u32));
        Ok(self.assertion(claimed, request.extensions, out))
    }

    fn assertion(&mut self, number_of_credentials: Option<u32>, inputs: Option<RawMap<'_>>, out: &mut [u8]) -> usize {
        let outputs = match self.flaw {
            Some(Flaw::Unasked) => Some(extensions::all_get_outputs()),
            _ => inputs.map(|inputs| self.get_outputs(inputs)),
        };
        let mut auth_data = [0; 512];
        let len = self.auth_data(false, outputs.as_deref(), &mut auth_data);
        let padding = "x".repeat(self.padding);
        let id: &[u8] = match self.flaw {
            Some(Flaw::EmptyCredentialId) => &[],
            Some(Flaw::OtherCredentialId) => b"another",
            _ => &self.credentials[self.next],
        };
        let response = get_assertion::Response {
            credential: (self.flaw != Some(Flaw::CredentialOmitted)).then_some(CredentialDescriptor::new(id)),
            auth_data: &auth_data[..len],
            signature: &[9; 70],
            user: Some(UserEntity {
                id: self.user_id.or(id.get(..1)).unwrap_or(b"-"),
                name: Some(&padding),
                display_name: None,
            }),
            number_of_credentials,
            user_selected: None,
            large_blob_key: inputs.and_then(key_of),
            unsigned_extension_outputs: None,
        };
        self.next += 1;
        encode_response(&response, out).unwrap() + usize::from(self.flaw == Some(Flaw::Trailing))
    }
}

pub fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(2)
}

pub fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

pub const fn status(status: Status) -> Cause {
    Cause::Status(status)
}
