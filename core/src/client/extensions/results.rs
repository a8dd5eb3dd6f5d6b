//! What an authenticator answers, read as results.

use super::{GetResults, MakeResults};
use crate::{
    auth_data::AuthData,
    cbor::Error,
    ctap2::{get_assertion, make_credential},
    extensions::{GetAssertionOutputs, MakeCredentialOutputs, UnsignedOutputs},
};

impl<'b> MakeResults<'b> {
    /// What can be read without knowing what was asked.
    pub(in crate::client) fn read(
        response: &make_credential::Response<'b>,
        auth_data: &AuthData<'b>,
    ) -> Result<Self, Error> {
        let outputs: MakeCredentialOutputs<'b> =
            auth_data.extensions.map_or(Ok(Default::default()), |map| map.decode())?;
        let unsigned =
            response.unsigned_extension_outputs.map_or(Ok(UnsignedOutputs::default()), |map| map.decode())?;
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
}

impl<'b> GetResults<'b> {
    /// What can be read without knowing what was asked.
    pub(in crate::client) fn read(
        response: &get_assertion::Response<'b>,
        auth_data: &AuthData<'b>,
    ) -> Result<Self, Error> {
        let outputs: GetAssertionOutputs<'b> =
            auth_data.extensions.map_or(Ok(Default::default()), |map| map.decode())?;
        let unsigned =
            response.unsigned_extension_outputs.map_or(Ok(UnsignedOutputs::default()), |map| map.decode())?;
        Ok(Self {
            cred_blob: outputs.cred_blob,
            large_blob_written: unsigned.large_blob.and_then(|large_blob| large_blob.written),
            payment: outputs.third_party_payment,
            uvm: outputs.uvm,
            ..Self::default()
        })
    }
}
