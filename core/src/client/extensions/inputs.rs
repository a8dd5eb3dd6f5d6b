//! Which inputs go to an authenticator: those that it knows.

use super::{CredProtect, GetExtensions, LargeBlobAccess, LargeBlobSupport, MakeExtensions, hmac::EncryptedSalts};
use crate::{
    cbor::{MapWriter, Message, Write, Writer},
    client::{Cause, facts::Facts},
    extensions::{
        GetAssertionInputs, MakeCredentialInputs, cred_blob, cred_protect, cred_protect::Level, hmac_secret,
        large_blob, large_blob_key, min_pin_length, pin_complexity_policy, third_party_payment, uvm,
    },
};

/// How an authenticator keeps large blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LargeBlobForm {
    /// In the large-blob array, encrypted with the credential's largeBlobKey.
    Array,
    /// By itself (2.3).
    Direct,
}

impl LargeBlobForm {
    pub fn of(facts: &Facts) -> Option<Self> {
        if facts.extensions.has(large_blob::ID) {
            return Some(Self::Direct);
        }
        let array = facts.options.large_blobs == Some(true) && facts.extensions.has(large_blob_key::ID);
        array.then_some(Self::Array)
    }
}

/// Whether hmac-secret can be used.
pub fn has_hmac_secret(facts: &Facts) -> bool {
    facts.extensions.has(hmac_secret::ID) && facts.protocol.is_some()
}

fn asked(wanted: bool, id: &str, facts: &Facts) -> Option<bool> {
    (wanted && facts.extensions.has(id)).then_some(true)
}

impl<'o> MakeExtensions<'o> {
    /// Whether the credential is to have secrets.
    pub(in crate::client) fn creates_secret(&self) -> bool {
        self.prf.is_some() || self.hmac_create_secret || self.hmac_get_secret.is_some()
    }

    /// # Errors
    /// [`Cause::CredProtectUnsupported`], [`Cause::LargeBlobUnsupported`].
    pub(in crate::client) fn examine(&self, facts: &Facts, resident_key: bool) -> Result<(), Cause> {
        let protects = facts.extensions.has(cred_protect::ID);
        if let Some(CredProtect { level, enforce: true }) = self.cred_protect
            && level > Level::USER_VERIFICATION_OPTIONAL
            && !protects
        {
            return Err(Cause::CredProtectUnsupported);
        }
        match (self.large_blob, LargeBlobForm::of(facts)) {
            (Some(LargeBlobSupport::Required), None) => Err(Cause::LargeBlobUnsupported),
            (Some(LargeBlobSupport::Required), Some(LargeBlobForm::Array)) if !resident_key => {
                Err(Cause::LargeBlobUnsupported)
            }
            _ => Ok(()),
        }
    }

    pub(in crate::client) const fn inputs<'a>(
        &'a self,
        facts: &'a Facts,
        resident_key: bool,
        sealed: Option<&'a EncryptedSalts>,
    ) -> MakeInputs<'a> {
        MakeInputs { wanted: self, facts, resident_key, sealed }
    }
}

/// The inputs of a registration, written member by member in the order of [`MakeCredentialInputs`].
pub(in crate::client) struct MakeInputs<'a> {
    wanted: &'a MakeExtensions<'a>,
    facts: &'a Facts,
    resident_key: bool,
    sealed: Option<&'a EncryptedSalts>,
}

impl Write for MakeInputs<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        let Self { wanted, facts, resident_key, sealed } = *self;
        let form = wanted.large_blob.and(LargeBlobForm::of(facts));
        let support = match wanted.large_blob {
            Some(LargeBlobSupport::Required) => large_blob::Support::REQUIRED,
            _ => large_blob::Support::PREFERRED,
        };
        let direct = (form == Some(LargeBlobForm::Direct)).then_some(large_blob::MakeCredentialInput { support });
        let blob = wanted.cred_blob.filter(|blob| blob.len() <= facts.max_cred_blob_length);
        let protection = wanted.cred_protect.filter(|_| facts.extensions.has(cred_protect::ID));
        let mut m = MapWriter::new(w, MakeCredentialInputs::KEYS, &[]);
        m.flag(asked(wanted.uvm, uvm::ID, facts));
        m.bytes(blob.filter(|_| facts.extensions.has(cred_blob::ID)));
        m.optional(&direct);
        m.number(protection.map(|protection| protection.level.0));
        m.flag((wanted.creates_secret() && has_hmac_secret(facts)).then_some(true));
        m.flag((form == Some(LargeBlobForm::Array) && resident_key).then_some(true));
        m.flag(asked(wanted.min_pin_length, min_pin_length::ID, facts));
        m.optional(&sealed.map(EncryptedSalts::input));
        m.flag(asked(wanted.payment, third_party_payment::ID, facts));
        m.flag(asked(wanted.pin_complexity_policy, pin_complexity_policy::ID, facts));
        m.end();
    }
}

impl<'o> GetExtensions<'o> {
    /// Whether a pseudo-random function is to be evaluated.
    pub(in crate::client) fn evaluates_prf(&self) -> bool {
        self.prf.is_some() || !self.prf_by_credential.is_empty()
    }

    /// `compressed`: the blob to be written, where the authenticator keeps it by itself, and its length.
    pub(in crate::client) const fn inputs<'a>(
        &'a self,
        facts: &'a Facts,
        sealed: Option<&'a EncryptedSalts>,
        compressed: &'a [u8],
    ) -> GetInputs<'a> {
        GetInputs { wanted: self, facts, sealed, compressed }
    }
}

/// The inputs of a sign-in, written member by member in the order of [`GetAssertionInputs`].
pub(in crate::client) struct GetInputs<'a> {
    wanted: &'a GetExtensions<'a>,
    facts: &'a Facts,
    sealed: Option<&'a EncryptedSalts>,
    compressed: &'a [u8],
}

impl Write for GetInputs<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        let Self { wanted, facts, sealed, compressed } = *self;
        let form = wanted.large_blob.and(LargeBlobForm::of(facts));
        let direct = wanted.large_blob.filter(|_| form == Some(LargeBlobForm::Direct)).map(|access| match access {
            LargeBlobAccess::Read => large_blob::GetAssertionInput { read: Some(true), ..Default::default() },
            LargeBlobAccess::Write(blob) => large_blob::GetAssertionInput {
                read: None,
                write: Some(compressed),
                original_size: Some(blob.len() as u64),
            },
        });
        let mut m = MapWriter::new(w, GetAssertionInputs::KEYS, &[]);
        m.flag(asked(wanted.uvm, uvm::ID, facts));
        m.flag(asked(wanted.cred_blob, cred_blob::ID, facts));
        m.optional(&direct);
        m.optional(&sealed.map(EncryptedSalts::input));
        m.flag((form == Some(LargeBlobForm::Array)).then_some(true));
        m.flag(asked(wanted.payment, third_party_payment::ID, facts));
        m.end();
    }
}
