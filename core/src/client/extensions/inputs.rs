//! Which inputs go to an authenticator: those that it knows.

use super::{CredProtect, GetExtensions, LargeBlobAccess, LargeBlobSupport, MakeExtensions, hmac::EncryptedSalts};
use crate::{
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

    pub(in crate::client) fn inputs<'a>(
        &self,
        facts: &Facts,
        resident_key: bool,
        sealed: Option<&'a EncryptedSalts>,
    ) -> MakeCredentialInputs<'a>
    where
        'o: 'a,
    {
        let form = self.large_blob.and(LargeBlobForm::of(facts));
        let support = match self.large_blob {
            Some(LargeBlobSupport::Required) => large_blob::Support::REQUIRED,
            _ => large_blob::Support::PREFERRED,
        };
        MakeCredentialInputs {
            uvm: asked(self.uvm, uvm::ID, facts),
            cred_blob: self
                .cred_blob
                .filter(|blob| facts.extensions.has(cred_blob::ID) && blob.len() <= facts.max_cred_blob_length),
            large_blob: (form == Some(LargeBlobForm::Direct)).then_some(large_blob::MakeCredentialInput { support }),
            cred_protect: self
                .cred_protect
                .filter(|_| facts.extensions.has(cred_protect::ID))
                .map(|protection| protection.level),
            hmac_secret: (self.creates_secret() && has_hmac_secret(facts)).then_some(true),
            large_blob_key: (form == Some(LargeBlobForm::Array) && resident_key).then_some(true),
            min_pin_length: asked(self.min_pin_length, min_pin_length::ID, facts),
            hmac_secret_mc: sealed.map(EncryptedSalts::input),
            third_party_payment: asked(self.payment, third_party_payment::ID, facts),
            pin_complexity_policy: asked(self.pin_complexity_policy, pin_complexity_policy::ID, facts),
        }
    }
}

impl<'o> GetExtensions<'o> {
    /// Whether a pseudo-random function is to be evaluated.
    pub(in crate::client) fn evaluates_prf(&self) -> bool {
        self.prf.is_some() || !self.prf_by_credential.is_empty()
    }

    /// `compressed`: the blob to be written, where the authenticator keeps it by itself, and its length.
    pub(in crate::client) fn inputs<'a>(
        &self,
        facts: &Facts,
        sealed: Option<&'a EncryptedSalts>,
        compressed: &'a [u8],
    ) -> GetAssertionInputs<'a>
    where
        'o: 'a,
    {
        let form = LargeBlobForm::of(facts);
        GetAssertionInputs {
            uvm: asked(self.uvm, uvm::ID, facts),
            cred_blob: asked(self.cred_blob, cred_blob::ID, facts),
            large_blob: self.large_blob.filter(|_| form == Some(LargeBlobForm::Direct)).map(|access| match access {
                LargeBlobAccess::Read => large_blob::GetAssertionInput { read: Some(true), ..Default::default() },
                LargeBlobAccess::Write(blob) => large_blob::GetAssertionInput {
                    read: None,
                    write: Some(compressed),
                    original_size: Some(blob.len() as u64),
                },
            }),
            hmac_secret: sealed.map(EncryptedSalts::input),
            large_blob_key: (self.large_blob.is_some() && form == Some(LargeBlobForm::Array)).then_some(true),
            third_party_payment: asked(self.payment, third_party_payment::ID, facts),
        }
    }
}
