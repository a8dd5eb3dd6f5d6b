//! What an authenticator answers, read as results.

use super::{GetExtensions, GetResults, LargeBlobAccess, MakeExtensions, MakeResults};
use crate::{
    auth_data::AuthData,
    cbor::{Error, RawMap, Read},
    ctap2::{get_assertion, make_credential},
    extensions::{
        GetAssertionInputs, GetAssertionOutputs, MakeCredentialInputs, MakeCredentialOutputs, UnsignedOutputs,
    },
};

/// Decodes extension outputs; an absent map gives the default value.
pub(in crate::client) fn read_outputs<'b, T: Read<'b> + Default>(map: Option<RawMap<'b>>) -> Result<T, Error> {
    map.map_or(Ok(T::default()), |map| map.decode())
}

impl<'b> MakeResults<'b> {
    /// What can be read without knowing what was asked.
    pub(in crate::client) fn read(
        response: &make_credential::Response<'b>,
        auth_data: &AuthData<'b>,
    ) -> Result<Self, Error> {
        let outputs: MakeCredentialOutputs<'_> = read_outputs(auth_data.extensions)?;
        let unsigned: UnsignedOutputs<'_> = read_outputs(response.unsigned_extension_outputs)?;
        let supported = unsigned.large_blob.and_then(|large_blob| large_blob.supported);
        Ok(Self {
            cred_blob: outputs.cred_blob,
            cred_protect: outputs.cred_protect,
            hmac_secret: outputs.hmac_secret,
            large_blob: response.large_blob_key.map(|_| true).or(supported),
            min_pin_length: outputs.min_pin_length,
            pin_complexity_policy: outputs.pin_complexity_policy,
            uvm: outputs.uvm,
            ..Self::default()
        })
    }

    /// Without the outputs that `inputs` did not ask for: an authenticator may give more than it was asked (WebAuthn L3
    /// §5.1.3). Those that depend on the ceremony are the registration's to fill in.
    pub(in crate::client) fn asked_by(self, inputs: &MakeExtensions<'_>) -> Self {
        let other = inputs.other.and_then(|map| map.decode::<MakeCredentialInputs<'_>>().ok()).unwrap_or_default();
        Self {
            cred_blob: self.cred_blob.filter(|_| inputs.cred_blob.or(other.cred_blob).is_some()),
            cred_protect: self.cred_protect.filter(|_| inputs.cred_protect.is_some() || other.cred_protect.is_some()),
            min_pin_length: self.min_pin_length.filter(|_| inputs.min_pin_length || other.min_pin_length.is_some()),
            pin_complexity_policy: self
                .pin_complexity_policy
                .filter(|_| inputs.pin_complexity_policy || other.pin_complexity_policy.is_some()),
            uvm: self.uvm.filter(|_| inputs.uvm || other.uvm.is_some()),
            ..self
        }
    }
}

/// The outputs that a sign-in asks for.
#[derive(Clone, Copy, Debug)]
pub(in crate::client) struct GetAsked {
    pub cred_blob: bool,
    pub large_blob: bool,
    pub payment: bool,
    pub uvm: bool,
}

impl GetAsked {
    pub fn by(inputs: &GetExtensions<'_>) -> Self {
        let other = inputs.other.and_then(|map| map.decode::<GetAssertionInputs<'_>>().ok()).unwrap_or_default();
        Self {
            cred_blob: inputs.cred_blob || other.cred_blob.is_some(),
            large_blob: inputs.large_blob == Some(LargeBlobAccess::Read) || other.large_blob.is_some(),
            payment: inputs.payment || other.third_party_payment.is_some(),
            uvm: inputs.uvm || other.uvm.is_some(),
        }
    }
}

impl<'b> GetResults<'b> {
    /// What can be read without knowing what was asked.
    pub(in crate::client) fn read(
        response: &get_assertion::Response<'b>,
        auth_data: &AuthData<'b>,
    ) -> Result<Self, Error> {
        let outputs: GetAssertionOutputs<'_> = read_outputs(auth_data.extensions)?;
        let unsigned: UnsignedOutputs<'_> = read_outputs(response.unsigned_extension_outputs)?;
        Ok(Self {
            cred_blob: outputs.cred_blob,
            large_blob_written: unsigned.large_blob.and_then(|large_blob| large_blob.written),
            payment: outputs.third_party_payment,
            uvm: outputs.uvm,
            ..Self::default()
        })
    }

    /// Without the outputs that were not asked for.
    pub(in crate::client) fn asked_by(self, asked: GetAsked) -> Self {
        Self {
            cred_blob: self.cred_blob.filter(|_| asked.cred_blob),
            payment: self.payment.filter(|_| asked.payment),
            uvm: self.uvm.filter(|_| asked.uvm),
            ..self
        }
    }
}
