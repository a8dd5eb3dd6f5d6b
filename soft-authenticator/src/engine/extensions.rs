//! Extensions (CTAP 2.3 §12), as registrations and assertions process them.
//!
//! What a request asks is read and checked before the user is asked for a touch, and kept as decisions: [`Asked`]. The
//! salts of `hmac-secret` take a key agreement, a slow thing, so they are decrypted in a step of their own:
//! [`DecryptedSalts`]. The outputs are written with the response, once for each credential of a sequence.
//!
//! A blob of the extension `largeBlob` (2.3) is kept with a discoverable credential, in its record, as `length before
//! compression 8 BE | blob`. A credential that can have one and has none keeps nothing.

use keyfob_core::{
    Failure,
    bytes::{self, Secret},
    cbor::{self, MapWriter, Message, RawMap, Write, Writer},
    crypto::Hash,
    ctap2::get_assertion::Request,
    extensions::{
        GetAssertionInputs, GetAssertionOutputs, MakeCredentialInputs, MakeCredentialOutputs, UnsignedOutputs,
        cred_blob, cred_protect, hmac_secret,
        large_blob::{self, GetAssertionInput, UnsignedOutput},
        large_blob_key, min_pin_length, pin_complexity_policy, third_party_payment, uvm,
    },
};

use super::{
    authenticator::{Authenticator, crypto_status, store_status},
    call::{decode, valid},
    ceremony::{Asked, CeremonyState, Counted, DecryptedSalts, LargeBlobAction, SALT},
    credential::Subject,
    platform::Platform,
    wrapping::{DerivedSecret, MAX_CRED_BLOB_LENGTH},
};
use crate::{
    caps::Caps,
    store::{Change, Credential, MAX_RECORD, NamelessCredential, Number, Setting, Store, StoreError},
};

/// The extensions, and what they are switched on with.
pub(super) const EXTENSIONS: [(&str, Caps); 10] = [
    (cred_blob::ID, Caps::CRED_BLOB),
    (cred_protect::ID, Caps::CRED_PROTECT),
    (hmac_secret::ID, Caps::HMAC_SECRET),
    (hmac_secret::MC_ID, Caps::HMAC_SECRET_MC),
    (large_blob::ID, Caps::LARGE_BLOB_EXTENSION),
    (large_blob_key::ID, Caps::LARGE_BLOBS),
    (min_pin_length::ID, Caps::CONFIG),
    (pin_complexity_policy::ID, Caps::PIN_COMPLEXITY),
    (third_party_payment::ID, Caps::THIRD_PARTY_PAYMENT),
    (uvm::ID, Caps::UVM),
];
/// The longest blob of `largeBlob`, in bytes: a response with it fits in the smallest message. Long names leave less
/// room.
const MAX_LARGE_BLOB: usize = 400;
/// Its length before compression, in bytes.
const SIZE: usize = 8;
/// Two outputs and the IV of protocol two.
const ENCRYPTED: usize = 16 + 2 * SALT;

/// User verification methods of the FIDO registry of predefined values (§3.1).
mod method {
    pub const PRESENCE_INTERNAL: u32 = 0x0001;
    pub const NONE: u32 = 0x0200;
    pub const PASSCODE_EXTERNAL: u32 = 0x0800;
}

/// Reads the extension inputs of a request. Their form has been checked with it.
pub(super) fn inputs<'a, T: cbor::Read<'a>>(extensions: Option<RawMap<'a>>) -> Result<T, cbor::Error> {
    extensions.unwrap_or(RawMap::EMPTY).decode_strict()
}

impl<P: Platform> Authenticator<'_, P> {
    /// What a registration asks for. `by_sensor`: this command verified the user. Statuses: of inputs that are not as
    /// the standard says.
    pub fn asked_of_registration(
        &mut self,
        extensions: Option<RawMap<'_>>,
        rp_id_hash: &[u8; 32],
        discoverable: bool,
        by_sensor: bool,
    ) -> Result<Asked, Failure> {
        if extensions.is_none() || !self.has_extensions() {
            return Ok(Asked::default());
        }
        let inputs = inputs(extensions);
        let inputs: &MakeCredentialInputs<'_> = valid(&inputs)?;
        let mut asked = Asked { uvm: self.uvm_asked(inputs.uvm, by_sensor), ..Asked::default() };
        if self.has(Caps::CRED_PROTECT) {
            asked.cred_protect = inputs.cred_protect;
            if asked.cred_protect.is_some_and(|level| !(1..=3).contains(&level.0)) {
                return Err(Failure::INVALID_PARAMETER); // a protection that cannot be given is not passed over
            }
        }
        if self.has(Caps::CRED_BLOB) {
            asked.cred_blob = inputs.cred_blob.map(|blob| blob.len() <= MAX_CRED_BLOB_LENGTH);
        }
        asked.hmac_secret = self.has(Caps::HMAC_SECRET) && inputs.hmac_secret == Some(true);
        if self.has(Caps::HMAC_SECRET_MC) && inputs.hmac_secret_mc.is_some() {
            if !asked.hmac_secret {
                return Err(Failure::MISSING_PARAMETER);
            }
            asked.salts = true;
        }
        if self.has_large_blob_key() && inputs.large_blob_key.is_some() {
            if inputs.large_blob_key == Some(false) || !discoverable {
                return Err(Failure::INVALID_OPTION);
            }
            asked.large_blob_key = true;
        }
        if let (true, Some(input)) = (self.has(Caps::LARGE_BLOB_EXTENSION), inputs.large_blob) {
            asked.large_blob = large_blob_of_registration(input.support, discoverable)?;
        }
        let min_pin_length = self.has(Caps::CONFIG) && inputs.min_pin_length == Some(true);
        let pin_complexity_policy = self.has(Caps::PIN_COMPLEXITY) && inputs.pin_complexity_policy == Some(true);
        if min_pin_length || pin_complexity_policy {
            let told = self.tells_pin_policy_to(rp_id_hash)?;
            asked.min_pin_length = min_pin_length && told;
            asked.pin_complexity_policy = pin_complexity_policy && told;
        }
        asked.third_party_payment = self.has(Caps::THIRD_PARTY_PAYMENT) && inputs.third_party_payment == Some(true);
        Ok(asked)
    }

    /// What an assertion asks for. `up`: the user is asked for a touch; `listed`: there is an allow list.
    pub fn asked_of_assertion(
        &mut self,
        extensions: Option<RawMap<'_>>,
        up: bool,
        listed: bool,
        by_sensor: bool,
    ) -> Result<Asked, Failure> {
        if extensions.is_none() || !self.has_extensions() {
            return Ok(Asked::default());
        }
        let inputs = inputs(extensions);
        let inputs: &GetAssertionInputs<'_> = valid(&inputs)?;
        let mut asked = Asked { uvm: self.uvm_asked(inputs.uvm, by_sensor), ..Asked::default() };
        asked.cred_blob = inputs.cred_blob.filter(|asked| *asked && self.has(Caps::CRED_BLOB));
        asked.salts = self.has(Caps::HMAC_SECRET) && inputs.hmac_secret.is_some();
        if asked.salts && !up {
            return Err(Failure::UNSUPPORTED_OPTION);
        }
        asked.large_blob_key = self.has_large_blob_key() && inputs.large_blob_key.is_some();
        if asked.large_blob_key && inputs.large_blob_key == Some(false) {
            return Err(Failure::INVALID_OPTION);
        }
        if let (true, Some(input)) = (self.has(Caps::LARGE_BLOB_EXTENSION), inputs.large_blob) {
            asked.large_blob = match (input.read, input.write, input.original_size) {
                (Some(true), None, None) => LargeBlobAction::Read,
                (None | Some(false), Some(_), Some(_)) if listed => LargeBlobAction::Write,
                _ => return Err(Failure::INVALID_OPTION),
            };
        }
        asked.third_party_payment = self.has(Caps::THIRD_PARTY_PAYMENT) && inputs.third_party_payment == Some(true);
        Ok(asked)
    }

    /// Whether any extension is switched on: else inputs are not even looked at.
    pub fn has_extensions(&self) -> bool {
        EXTENSIONS.iter().any(|(id, caps)| self.has_extension(id, *caps))
    }

    /// Whether the extension `id` is switched on, with `caps`.
    pub fn has_extension(&self, id: &str, caps: Caps) -> bool {
        self.has(caps) && (id != large_blob_key::ID || self.has_large_blob_key())
    }

    /// Whether credentials can have large-blob keys: there must be room for an array of at least 1,024 bytes
    /// (CTAP 2.3 §6.10).
    pub fn has_large_blob_key(&self) -> bool {
        self.has(Caps::LARGE_BLOBS) && self.store.large_blobs_capacity() >= 1024
    }

    /// Whether the authenticator's owner listed this relying party as one that may learn the PIN policy. A separate
    /// function, so that the list is not on the stack while inputs are read.
    #[inline(never)]
    fn tells_pin_policy_to(&mut self, rp_id_hash: &[u8; 32]) -> Result<bool, Failure> {
        let mut listed = [0; Setting::MAX_LEN];
        let len = self.store.get(Setting::MinPinRpIds, &mut listed).map_err(store_status)?.unwrap_or(0);
        let (hashes, _) = bytes::front(&listed, len).as_chunks::<32>();
        Ok(hashes.contains(rp_id_hash))
    }

    /// Agrees on a key and decrypts the salts of `hmac-secret` to `out`.
    #[inline(never)]
    pub fn decrypt_salts(
        &self,
        input: Option<hmac_secret::HmacSecretInput<'_>>,
        out: &mut Option<DecryptedSalts>,
    ) -> Result<(), Failure> {
        let Some(input) = input.filter(|_| self.has(Caps::HMAC_SECRET)) else { return Err(Failure::OTHER) };
        let unsupported = match input.pin_uv_auth_protocol {
            Some(_) => Failure::INVALID_PARAMETER,
            None => Failure::PIN_AUTH_INVALID, // the older platform meant protocol one
        };
        let protocol = self.protocol(input.pin_uv_auth_protocol.unwrap_or(1)).ok_or(unsupported)?;
        let shared = self.decapsulate(protocol, &input.key_agreement)?;
        let policy = self.config.policy;
        if !shared.verify(&self.crypto, &[input.salt_enc], input.salt_auth) {
            return Err(policy.by_version(Failure::PIN_AUTH_INVALID, Failure::EXTENSION_FIRST));
        }
        let mut salts = Secret([0; 2 * SALT]);
        match shared.decrypt(&self.crypto, input.salt_enc, &mut *salts) {
            Ok(len) if len == SALT || len == 2 * SALT => {
                *out = Some(DecryptedSalts { shared, salts, len });
                Ok(())
            }
            _ => Err(policy.by_version(Failure::INVALID_PARAMETER, Failure::INVALID_LENGTH)),
        }
    }

    /// The outputs of `hmac-secret` for the credential with this id, encrypted into `out`. `None` without salts.
    fn evaluate<'o>(
        &self,
        ceremony: &CeremonyState,
        id: &[u8],
        out: &'o mut [u8; ENCRYPTED],
    ) -> Result<Option<&'o [u8]>, Failure> {
        let (true, Some(DecryptedSalts { shared, salts, len })) = (self.has(Caps::HMAC_SECRET), &ceremony.salts) else {
            return Ok(None);
        };
        let purpose =
            if ceremony.is_verified() { DerivedSecret::CredRandomWithUv } else { DerivedSecret::CredRandomWithoutUv };
        let cred_random = self.credential_keys.secret(&self.crypto, purpose, &ceremony.rp_id_hash, id);
        let mut outputs = Secret([0; 2 * SALT]);
        for (output, salt) in outputs.as_chunks_mut::<SALT>().0.iter_mut().zip(salts.as_chunks::<SALT>().0) {
            *output = self.crypto.hmac_sha256(&*cred_random, &[salt]);
        }
        let outputs = outputs.get(..*len).ok_or(Failure::OTHER)?;
        let len =
            shared.encrypt_with_iv(&self.crypto, self.response_iv(ceremony), outputs, out).map_err(crypto_status)?;
        Ok(out.get(..len))
    }

    /// Where `uvm` is asked for: how the user is verified, if they are. Built-in user verification may have been for
    /// this command or for its token.
    fn uvm_asked(&self, uvm: Option<bool>, by_sensor: bool) -> Option<u32> {
        let method = if !by_sensor && !self.token_by_uv {
            method::PASSCODE_EXTERNAL
        } else {
            self.config.user_verification.modality
        };
        (self.has(Caps::UVM) && uvm == Some(true)).then_some(method)
    }

    /// The output of `uvm`.
    fn uvm(&self, ceremony: &CeremonyState) -> uvm::UvmEntry {
        let user_verification_method = match (ceremony.asked.uvm, ceremony.is_present()) {
            (Some(method), _) if ceremony.is_verified() => method,
            (_, true) => method::PRESENCE_INTERNAL,
            (_, false) => method::NONE,
        };
        let (key_protection, matcher_protection) = (self.config.key_protection, self.config.matcher_protection);
        uvm::UvmEntry {
            user_verification_method,
            key_protection: key_protection.into(),
            matcher_protection: matcher_protection.into(),
        }
    }

    /// Writes the signed outputs, nothing when there are none.
    pub fn write_outputs(
        &self,
        ceremony: &CeremonyState,
        subject: Subject<'_>,
        w: &mut Writer<'_>,
    ) -> Result<(), Failure> {
        let (asked, start) = (&ceremony.asked, w.len());
        if *asked == Asked::default() {
            return Ok(());
        }
        let (id, keys) = match subject {
            Subject::New(new, _) => (&new.id[..], MakeCredentialOutputs::KEYS),
            Subject::Opened(id, _) => (id, GetAssertionOutputs::KEYS),
        };
        let mut encrypted = [0; ENCRYPTED];
        let encrypted = self.evaluate(ceremony, id, &mut encrypted)?;
        let mut m = MapWriter::new(w, keys, &[]);
        if m.begin_list(asked.uvm.is_some()) {
            self.uvm(ceremony).write(m.item());
            m.end_list();
        }
        match subject {
            Subject::New(..) => {
                m.flag(asked.cred_blob);
                m.number(asked.cred_protect.map(|level| level.0));
                m.flag(asked.hmac_secret.then_some(true));
                m.number(asked.min_pin_length.then_some(self.options.min_pin_length.into()));
                m.bytes(encrypted);
                m.flag(asked.pin_complexity_policy.then_some(self.options.pin_complexity));
            }
            Subject::Opened(_, opened) => {
                m.bytes(asked.cred_blob.map(|_| opened.cred_blob));
                m.bytes(encrypted);
                m.flag(asked.third_party_payment.then_some(opened.properties.third_party_payment));
            }
        }
        m.end();
        if w.len() == start.saturating_add(1) {
            w.truncate(start);
        }
        Ok(())
    }

    /// Stores the blob of a request with the credential of this number, in one commit with the count of the signature.
    /// `None` for one that does not fit, or does not belong there: it is not stored, and the signature is still to be
    /// counted.
    #[inline(never)]
    pub fn write_large_blob(
        &mut self,
        ceremony: &CeremonyState,
        number: Option<Number>,
        input: GetAssertionInput<'_>,
        scratch: &mut [u8],
    ) -> Result<Option<Counted>, Failure> {
        let Some(number) = number.filter(|_| ceremony.is_verified() || !self.is_protected()) else { return Ok(None) };
        let (Some(blob), Some(size)) = (input.write, input.original_size) else { return Err(Failure::OTHER) };
        if blob.len() > MAX_LARGE_BLOB {
            return Ok(None);
        }
        let rp_id_hash = &ceremony.rp_id_hash;
        let opened = self.open_number(rp_id_hash, number, scratch).map_err(store_status)?;
        let stored = opened.and_then(|opened| opened.stored).and_then(|(_, record)| Credential::decode(record));
        // Without one, it was not made for one.
        let Some(stored) = stored.filter(|stored| stored.large_blob.is_some()) else { return Ok(None) };
        self.replace_large_blob(rp_id_hash, number, &stored, &[&size.to_be_bytes(), blob])
    }

    /// A separate function, so that the new record is not on the stack while the old one is read.
    #[inline(never)]
    fn replace_large_blob(
        &mut self,
        rp_id_hash: &[u8; 32],
        number: Number,
        stored: &Credential<'_>,
        large_blob: &[&[u8]],
    ) -> Result<Option<Counted>, Failure> {
        let state = self.new_store_state()?;
        let mut record = Secret([0; MAX_RECORD]);
        let Ok(len) = stored.encode_with(Some(large_blob), &mut *record) else { return Ok(None) };
        let record = record.get(..len).ok_or(Failure::OTHER)?;
        let state = state.as_ref().map(|state| Change::Set(Setting::StoreState, state));
        match self.count_signature([Some(Change::Replace { number, rp_id_hash, record }), state]) {
            Ok(counted) => Ok(Some(counted)),
            Err(StoreError::Full) => Ok(None),
            Err(error) => Err(store_status(error)),
        }
    }
}

/// What a request asks of the extension `largeBlob`. A separate function, so that the request is not on the stack below
/// the rest.
#[inline(never)]
pub(super) fn large_blob_input(message: &[u8], len: usize) -> Result<GetAssertionInput<'_>, Failure> {
    Ok(inputs::<GetAssertionInputs<'_>>(extensions_of_assertion(message, len)?)?.large_blob.unwrap_or_default())
}

/// The extensions of a request, which is not on the stack while they are read.
#[inline(never)]
pub(super) fn extensions_of_assertion(message: &[u8], len: usize) -> Result<Option<RawMap<'_>>, Failure> {
    Ok(valid::<Request<'_>>(&decode(message, len))?.extensions)
}

/// The outputs of a registration that are not signed.
pub(super) fn unsigned_registration_outputs(asked: &Asked) -> Option<UnsignedOutputs<'static>> {
    let supported = UnsignedOutput { supported: Some(true), ..UnsignedOutput::default() };
    (asked.large_blob == LargeBlobAction::Make).then_some(UnsignedOutputs { large_blob: Some(supported) })
}

/// The outputs of an assertion that are not signed.
pub(super) fn unsigned_assertion_outputs<'s>(
    asked: &Asked,
    stored: Option<NamelessCredential<'s>>,
) -> Option<UnsignedOutputs<'s>> {
    let output = match asked.large_blob {
        LargeBlobAction::Read => {
            let (size, blob) = stored?.large_blob?.split_first_chunk::<SIZE>()?;
            UnsignedOutput {
                blob: Some(blob),
                original_size: Some(u64::from_be_bytes(*size)),
                ..UnsignedOutput::default()
            }
        }
        LargeBlobAction::Written(written) => UnsignedOutput { written: Some(written), ..UnsignedOutput::default() },
        LargeBlobAction::Nothing | LargeBlobAction::Make | LargeBlobAction::Write => return None,
    };
    Some(UnsignedOutputs { large_blob: Some(output) })
}

/// Whether a credential can have a large blob, and whether it must.
fn large_blob_of_registration(
    support: large_blob::Support<'_>,
    discoverable: bool,
) -> Result<LargeBlobAction, Failure> {
    match support {
        large_blob::Support::REQUIRED | large_blob::Support::PREFERRED if discoverable => Ok(LargeBlobAction::Make),
        large_blob::Support::PREFERRED => Ok(LargeBlobAction::Nothing),
        large_blob::Support::REQUIRED => Err(Failure::LARGE_BLOB_STORAGE_FULL),
        _ => Err(Failure::INVALID_OPTION),
    }
}
