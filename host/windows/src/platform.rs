//! The credentials that Windows keeps, those of Windows Hello and of its passkeys: listed and deleted, from version 4 of
//! the API.

use std::ptr;

use keyfob_core::{
    cbor::Text,
    client::{Cause, Error},
};

use crate::{
    Library,
    abi::{self, hresult},
    library::{PlatformCredentialFunctions, failed, succeeded},
    memory::{self, flag, length, pointer, wide},
};

/// A credential that Windows keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlatformCredential {
    /// Its id.
    pub id: Vec<u8>,
    /// The RP ID.
    pub rp_id: String,
    /// The relying party's name.
    pub rp_name: String,
    /// The user handle.
    pub user_id: Vec<u8>,
    /// The name of the account.
    pub user_name: String,
    /// The user's name.
    pub user_display_name: String,
    /// Whether it can be deleted.
    pub removable: bool,
    /// Whether it is backed up (API 5).
    pub backed_up: Option<bool>,
    /// The name of the authenticator that has it (API 8).
    pub authenticator_name: Option<String>,
    /// Whether it may be used for payments on the sites of others (API 8).
    pub payment: Option<bool>,
    /// How its authenticator can be reached; empty before API 9.
    pub transports: Vec<Text<'static>>,
}

impl PlatformCredential {
    /// # Safety
    /// The pointers of `details` have their lengths, as far as its version goes, and texts a zero at their end.
    unsafe fn copied(details: &abi::WEBAUTHN_CREDENTIAL_DETAILS) -> Self {
        let has = |version| details.dwVersion >= version;
        // SAFETY: the caller's promise.
        unsafe {
            let rp = details.pRpInformation.as_ref();
            let user = details.pUserInformation.as_ref();
            let text = |text: Option<_>| text.and_then(|text| memory::text(text)).unwrap_or_default();
            Self {
                id: memory::copied(details.pbCredentialID, details.cbCredentialID),
                rp_id: text(rp.map(|rp| rp.pwszId)),
                rp_name: text(rp.map(|rp| rp.pwszName)),
                user_id: user.map_or(Vec::new(), |user| memory::copied(user.pbId, user.cbId)),
                user_name: text(user.map(|user| user.pwszName)),
                user_display_name: text(user.map(|user| user.pwszDisplayName)),
                removable: details.bRemovable != 0,
                backed_up: flag(has(2), details.bBackedUp),
                authenticator_name: if has(3) { memory::text(details.pwszAuthenticatorName) } else { None },
                payment: flag(has(3), details.bThirdPartyPayment),
                transports: if has(4) { memory::names(details.dwTransports) } else { Vec::new() },
            }
        }
    }
}

impl Library {
    fn for_credentials(&self) -> Result<PlatformCredentialFunctions, Error> {
        self.platform_credentials.ok_or(failed(Cause::Unsupported))
    }

    /// The credentials that Windows keeps, of all relying parties or of one.
    ///
    /// # Errors
    /// [`Cause::Unsupported`]: the API is older than version 4. Otherwise why Windows did not list them.
    pub fn platform_credentials(&self, rp_id: Option<&str>) -> Result<Vec<PlatformCredential>, Error> {
        let functions = self.for_credentials()?;
        let rp_id = rp_id.map(wide);
        let options = abi::WEBAUTHN_GET_CREDENTIALS_OPTIONS {
            dwVersion: 1,
            pwszRpId: rp_id.as_ref().map_or(ptr::null(), |rp_id| rp_id.as_ptr()),
            bBrowserInPrivateMode: 0,
        };
        let mut list = ptr::null_mut();
        // SAFETY: the options live until the function returns.
        let code = unsafe { (functions.list)(&options, &mut list) };
        if code == hresult::NTE_NOT_FOUND {
            return Ok(Vec::new());
        }
        succeeded(code).map_err(failed)?;
        // SAFETY: on success there is a list with as many pointers, which is freed once, after it was copied.
        unsafe {
            let found = list.as_ref().map_or(Vec::new(), |list| {
                let count = usize::try_from(list.cCredentialDetails).unwrap_or(0);
                let at = |index| list.ppCredentialDetails.wrapping_add(index).read().as_ref();
                (0..count).filter_map(at).map(|details| PlatformCredential::copied(details)).collect()
            });
            (functions.free)(list);
            Ok(found)
        }
    }

    /// Deletes a credential that Windows keeps.
    ///
    /// # Errors
    /// [`Cause::Unsupported`]: the API is older than version 4. Otherwise why Windows did not delete it, such as
    /// [`Status::NO_CREDENTIALS`](keyfob_core::Status::NO_CREDENTIALS).
    pub fn delete_platform_credential(&self, id: &[u8]) -> Result<(), Error> {
        let functions = self.for_credentials()?;
        // SAFETY: the id has this length.
        succeeded(unsafe { (functions.delete)(length(id), pointer(id)) }).map_err(failed)
    }
}
