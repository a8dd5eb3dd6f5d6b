//! A signature with a key.

use std::ffi::CStr;

use keyfob_core::{
    client::{GetAssertion, GetOptions, Requirement},
    crypto::{Hash, RustCrypto, der},
    ctap2::CredentialDescriptor,
    transport::hid::MAX_MESSAGE,
};

use crate::{abi, enroll::algorithm, failure::Failure, key::Key, options::Options};

/// What OpenSSH asks for.
pub struct Signing<'a> {
    pub algorithm: u32,
    /// What is signed: its hash is the hash of the client data.
    pub data: &'a [u8],
    pub application: &'a str,
    pub key_handle: &'a [u8],
    pub flags: u8,
    pub pin: Option<&'a CStr>,
    pub options: Options,
}

/// A signature.
pub struct Signed {
    pub flags: u8,
    pub counter: u32,
    /// r, or the whole signature.
    pub r: Vec<u8>,
    /// s, or nothing.
    pub s: Vec<u8>,
}

/// Signs.
///
/// # Errors
/// [`Failure`].
pub fn sign(asked: &Signing<'_>) -> Result<Signed, Failure> {
    algorithm(asked.algorithm)?;
    asked.options.place.with(false, |port| {
        let mut key = Key::new(port, asked.pin)?;
        let hash = RustCrypto.sha256(&[asked.data]);
        let allowed = [CredentialDescriptor::new(asked.key_handle)];
        let verifies = asked.flags & abi::USER_VERIFICATION != 0;
        let options = GetOptions {
            allow_list: (&allowed[..]).into(),
            user_presence: asked.flags & abi::USER_PRESENCE != 0,
            user_verification: if verifies { Requirement::Required } else { Requirement::Discouraged },
            ..GetOptions::new(asked.application, &hash)
        };
        let mut buffer = vec![0; MAX_MESSAGE];
        let assertions = key.run(GetAssertion::new(&options), &mut buffer, |_| ())?;
        let assertion = assertions.iter().next();
        let broken = || Failure::new(abi::ERR_GENERAL, "the key's answer has no signature of this algorithm");
        let assertion = assertion.ok_or_else(broken)?;
        let signature = assertion.response.signature;
        let (r, s) = match asked.algorithm {
            abi::ECDSA => {
                let (r, s) = der::read::<32>(signature).ok_or_else(broken)?;
                (r.into(), s.into())
            }
            _ if signature.len() == 64 => (signature.into(), Vec::new()),
            _ => return Err(broken()),
        };
        Ok(Signed { flags: assertion.auth_data.flags.0, counter: assertion.auth_data.sign_count, r, s })
    })
}
