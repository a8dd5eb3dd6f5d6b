//! The resident keys that a key holds.

use std::ffi::{CStr, CString};

use keyfob_core::{
    client::manage::{Access, ListCredentials, ListRelyingParties},
    crypto::{Hash, RustCrypto},
    extensions::cred_protect::Level,
    transport::hid::MAX_MESSAGE,
};

use crate::{abi, enroll::public_key, failure::Failure, key::Key, options::Options};

/// How the applications of SSH keys begin. Credentials of web sites are left out.
const PREFIX: &str = "ssh:";

/// A resident key.
pub struct Resident {
    pub algorithm: u32,
    pub application: CString,
    pub flags: u8,
    pub public_key: Vec<u8>,
    pub key_handle: Vec<u8>,
    pub user_id: Vec<u8>,
}

/// Lists the resident keys.
///
/// # Errors
/// [`Failure`].
pub fn load(pin: Option<&CStr>, options: &Options) -> Result<Vec<Resident>, Failure> {
    options.place.with(false, |port| {
        let mut key = Key::new(port, pin)?;
        let mut buffer = vec![0; MAX_MESSAGE];
        let mut applications = Vec::new();
        key.run(ListRelyingParties::new(Access::User), &mut buffer, |found| {
            // An id that the key has shortened is not that of the application.
            let is_whole = RustCrypto.sha256(&[found.rp.id.as_bytes()]) == *found.rp_id_hash;
            if found.rp.id.starts_with(PREFIX)
                && is_whole
                && let Ok(application) = CString::new(found.rp.id)
            {
                applications.push((application, *found.rp_id_hash));
            }
        })?;
        let mut keys = Vec::new();
        for (application, rp_id_hash) in &applications {
            key.run(ListCredentials::new(rp_id_hash, Access::User), &mut buffer, |found| {
                let Some((algorithm, public_key)) = public_key(&found.public_key) else { return };
                let verifies = found.cred_protect == Some(Level::USER_VERIFICATION_REQUIRED);
                let verification = if verifies { abi::USER_VERIFICATION } else { 0 };
                keys.push(Resident {
                    algorithm,
                    application: application.clone(),
                    flags: abi::USER_PRESENCE | abi::RESIDENT_KEY | verification,
                    public_key,
                    key_handle: found.id.into(),
                    user_id: found.user.id.into(),
                });
            })?;
        }
        Ok(keys)
    })
}
