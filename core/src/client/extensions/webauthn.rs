//! Inputs and results under the identifiers and with the members of WebAuthn, as options and responses carry them.

use super::{
    CredProtect, GetExtensions, GetResults, HmacOutputs, HmacSalts, LargeBlobAccess, LargeBlobSupport, MakeExtensions,
    MakeResults, PrfInput, PrfOfCredential,
};
use crate::{
    cbor::{List, RawMap},
    client::InvalidOption,
    extensions::{cred_protect::Level, uvm},
    message,
};

message! {
    /// AuthenticationExtensionsClientInputs of both ceremonies.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub text struct ClientInputs<'a> {
        /// What the pseudo-random function is evaluated for.
        b"prf" => prf: optional PrfInputs<'a>,
        /// Whether to tell how the user was verified.
        b"uvm" => uvm: optional bool,
        /// Of a sign-in.
        b"appid" => app_id: optional &'a str,
        /// Whether the credential is for payments.
        b"payment" => payment: optional Payment,
        /// Of a registration: what to store.
        b"credBlob" => cred_blob: optional &'a [u8],
        /// Of a registration.
        b"credProps" => cred_props: optional bool,
        /// What to do with the large blob.
        b"largeBlob" => large_blob: optional LargeBlobInputs<'a>,
        /// Of a sign-in.
        b"getCredBlob" => get_cred_blob: optional bool,
        /// Of a registration.
        b"appidExclude" => app_id_exclude: optional &'a str,
        /// Of a registration.
        b"minPinLength" => min_pin_length: optional bool,
        /// The salts.
        b"hmacGetSecret" => hmac_get_secret: optional HmacSalts<'a>,
        /// Of a registration.
        b"hmacCreateSecret" => hmac_create_secret: optional bool,
        /// Of a registration.
        b"pinComplexityPolicy" => pin_complexity_policy: optional bool,
        /// Of a registration: a keyword.
        b"credentialProtectionPolicy" => cred_protect: optional &'a str,
        /// Of a registration.
        b"enforceCredentialProtectionPolicy" => enforce_cred_protect: optional bool,
    }
}

message! {
    /// AuthenticationExtensionsPRFInputs.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub text struct PrfInputs<'a> {
        /// For any credential.
        b"eval" => eval: optional PrfInput<'a>,
        /// By credential.
        b"evalByCredential" => eval_by_credential: optional List<'a, PrfOfCredential<'a>>,
    }
}

message! {
    /// AuthenticationExtensionsPaymentInputs, as far as they concern an authenticator.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub text struct Payment {
        /// Whether the credential is for payments.
        b"isPayment" => is_payment: optional bool,
    }
}

message! {
    /// AuthenticationExtensionsLargeBlobInputs.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub text struct LargeBlobInputs<'a> {
        /// Of a sign-in.
        b"read" => read: optional bool,
        /// Of a sign-in: the new blob.
        b"write" => write: optional &'a [u8],
        /// Of a registration: a keyword.
        b"support" => support: optional &'a str,
    }
}

impl<'a> ClientInputs<'a> {
    fn of(extensions: Option<RawMap<'a>>) -> Result<Self, InvalidOption> {
        extensions.unwrap_or(RawMap::EMPTY).decode().map_err(|_| InvalidOption::Extensions)
    }

    fn is_payment(&self) -> bool {
        self.payment.is_some_and(|payment| payment.is_payment == Some(true))
    }
}

impl<'o> MakeExtensions<'o> {
    /// The inputs that the options of a registration carry.
    ///
    /// # Errors
    /// [`InvalidOption::Extensions`]: an input has not the standard's type or length, or is one of sign-ins
    /// (evalByCredential, reading and writing a large blob); a protection has no such name.
    pub fn of_options(extensions: Option<RawMap<'o>>) -> Result<Self, InvalidOption> {
        let inputs = ClientInputs::of(extensions)?;
        let (prf, large_blob) = (inputs.prf.unwrap_or_default(), inputs.large_blob.unwrap_or_default());
        if prf.eval_by_credential.is_some() || large_blob.read.is_some() || large_blob.write.is_some() {
            return Err(InvalidOption::Extensions);
        }
        let level = |policy| match policy {
            "userVerificationOptional" => Ok(Level::USER_VERIFICATION_OPTIONAL),
            "userVerificationOptionalWithCredentialIDList" => {
                Ok(Level::USER_VERIFICATION_OPTIONAL_WITH_CREDENTIAL_ID_LIST)
            }
            "userVerificationRequired" => Ok(Level::USER_VERIFICATION_REQUIRED),
            _ => Err(InvalidOption::Extensions),
        };
        let enforce = inputs.enforce_cred_protect == Some(true);
        Ok(Self {
            app_id_exclude: inputs.app_id_exclude,
            cred_blob: inputs.cred_blob,
            cred_props: inputs.cred_props == Some(true),
            cred_protect: inputs.cred_protect.map(level).transpose()?.map(|level| CredProtect { level, enforce }),
            hmac_create_secret: inputs.hmac_create_secret == Some(true),
            hmac_get_secret: inputs.hmac_get_secret,
            large_blob: inputs.large_blob.map(|large_blob| match large_blob.support {
                Some("required") => LargeBlobSupport::Required,
                _ => LargeBlobSupport::Preferred,
            }),
            min_pin_length: inputs.min_pin_length == Some(true),
            payment: inputs.is_payment(),
            pin_complexity_policy: inputs.pin_complexity_policy == Some(true),
            prf: inputs.prf.map(|prf| prf.eval),
            uvm: inputs.uvm == Some(true),
            own: None,
            other: None,
        })
    }
}

impl<'o> GetExtensions<'o> {
    /// The inputs that the options of a sign-in carry.
    ///
    /// # Errors
    /// [`InvalidOption::Extensions`]: an input has not the standard's type or length; a large blob is both to be read
    /// and to be written, or its support asked for, which is for registrations.
    pub fn of_options(extensions: Option<RawMap<'o>>) -> Result<Self, InvalidOption> {
        let inputs = ClientInputs::of(extensions)?;
        let prf = inputs.prf.unwrap_or_default();
        let large_blob = inputs.large_blob.unwrap_or_default();
        Ok(Self {
            app_id: inputs.app_id,
            cred_blob: inputs.get_cred_blob == Some(true),
            hmac_get_secret: inputs.hmac_get_secret,
            large_blob: match (large_blob.support, large_blob.read.unwrap_or(false), large_blob.write) {
                (None, false, None) => None,
                (None, true, None) => Some(LargeBlobAccess::Read),
                (None, false, Some(blob)) => Some(LargeBlobAccess::Write(blob)),
                _ => return Err(InvalidOption::Extensions),
            },
            payment: inputs.is_payment(),
            prf: prf.eval,
            prf_by_credential: prf.eval_by_credential.unwrap_or(List::Slice(&[])),
            uvm: inputs.uvm == Some(true),
            own: None,
            other: None,
        })
    }
}

message! {
    /// AuthenticationExtensionsClientOutputs of both ceremonies.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub text struct ClientOutputs<'a> {
        /// The pseudo-random function.
        b"prf" => prf: optional PrfOutputs<'a>,
        /// How the user was verified.
        b"uvm" => uvm: optional uvm::UvmEntries<'a>,
        /// Whether the credential is one of the AppID.
        b"appid" => app_id: optional bool,
        /// Whether it was stored.
        b"credBlob" => cred_blob: optional bool,
        /// The new credential's properties.
        b"credProps" => cred_props: optional CredProps,
        /// The large blob.
        b"largeBlob" => large_blob: optional LargeBlobOutputs<'a>,
        /// The blob that is stored with the credential.
        b"getCredBlob" => get_cred_blob: optional &'a [u8],
        /// Whether the AppID was taken into account.
        b"appidExclude" => app_id_exclude: optional bool,
        /// The outputs for the salts.
        b"hmacGetSecret" => hmac_get_secret: optional SaltOutputs<'a>,
        /// Whether the credential has secrets.
        b"hmacCreateSecret" => hmac_create_secret: optional bool,
    }
}

message! {
    /// AuthenticationExtensionsPRFOutputs.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub text struct PrfOutputs<'a> {
        /// Of a registration: whether the credential has one.
        b"enabled" => enabled: optional bool,
        /// What it was evaluated to.
        b"results" => results: optional HmacOutputs<'a>,
    }
}

message! {
    /// HMACGetSecretOutput.
    #[derive(Clone, Copy, PartialEq)]
    pub text struct SaltOutputs<'a> {
        /// Of the first salt.
        b"output1" => output1: required &'a [u8; 32],
        /// Of the second.
        b"output2" => output2: optional &'a [u8; 32],
    }
}

message! {
    /// CredentialPropertiesOutput.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub text struct CredProps {
        /// Whether the credential is discoverable.
        b"rk" => rk: optional bool,
    }
}

message! {
    /// AuthenticationExtensionsLargeBlobOutputs.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub text struct LargeBlobOutputs<'a> {
        /// What was read.
        b"blob" => blob: optional &'a [u8],
        /// Whether it was written.
        b"written" => written: optional bool,
        /// Of a registration: whether the credential can have one.
        b"supported" => supported: optional bool,
    }
}

// They are secrets, which are not printed.
impl core::fmt::Debug for SaltOutputs<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SaltOutputs(..)")
    }
}

impl<'b> HmacOutputs<'b> {
    const fn salts(self) -> SaltOutputs<'b> {
        SaltOutputs { output1: self.first, output2: self.second }
    }
}

impl<'b> MakeResults<'b> {
    /// The results as a response carries them. `asked` tells what hmac-secret was used for.
    pub fn client_outputs(&self, asked: &MakeExtensions<'_>) -> ClientOutputs<'b> {
        // Where prf was asked for, the secrets are its own (WebAuthn L3 §10.1.4).
        let prf =
            asked.prf.map(|_| PrfOutputs { enabled: Some(self.hmac_secret == Some(true)), results: self.hmac_outputs });
        ClientOutputs {
            prf,
            uvm: self.uvm,
            cred_blob: self.cred_blob,
            cred_props: self.cred_props_rk.map(|rk| CredProps { rk: Some(rk) }),
            large_blob: asked.large_blob.map(|_| LargeBlobOutputs {
                supported: Some(self.large_blob == Some(true)),
                ..LargeBlobOutputs::default()
            }),
            app_id_exclude: self.app_id_exclude,
            hmac_get_secret: self.hmac_outputs.filter(|_| prf.is_none()).map(HmacOutputs::salts),
            hmac_create_secret: self.hmac_secret.filter(|_| asked.hmac_create_secret),
            ..ClientOutputs::default()
        }
    }
}

impl<'b> GetResults<'b> {
    /// The results as a response carries them. `asked` tells what hmac-secret was used for, `blob` is the large blob
    /// that was read.
    pub fn client_outputs(&self, asked: &GetExtensions<'_>, blob: Option<&'b [u8]>) -> ClientOutputs<'b> {
        let is_prf = asked.evaluates_prf();
        ClientOutputs {
            prf: is_prf.then_some(PrfOutputs { enabled: None, results: self.hmac_outputs }),
            uvm: self.uvm,
            app_id: self.app_id,
            large_blob: asked.large_blob.map(|access| LargeBlobOutputs {
                blob,
                written: matches!(access, LargeBlobAccess::Write(_)).then_some(self.large_blob_written == Some(true)),
                ..LargeBlobOutputs::default()
            }),
            get_cred_blob: self.cred_blob,
            hmac_get_secret: self.hmac_outputs.filter(|_| !is_prf).map(HmacOutputs::salts),
            ..ClientOutputs::default()
        }
    }
}

#[cfg(test)]
mod tests;
