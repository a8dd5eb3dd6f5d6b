//! The client in one value.

use keyfob_core::{
    cbor::Text,
    client::{
        AssertionSelection, Error, UserInteraction,
        fido2::{
            ClientPolicy, PreparedCreation, PreparedRequest, RegistrationResponse, ResponseSelection, WebAuthnClient,
        },
    },
    crypto::RustCrypto,
    webauthn::{ClientDataCollector, CreationOptions, RequestOptions},
};

use crate::{
    Library, LoadError,
    call::Call,
    get::get,
    library::{failed, succeeded},
    make::make,
    memory,
    platform::PlatformCredential,
};

/// What Windows can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The version of the API.
    pub api: u32,
    /// Whether Windows itself is an authenticator that verifies its user (Windows Hello).
    pub platform_authenticator: bool,
    /// The extensions of authenticators that go through this version of the API.
    pub extensions: &'static [&'static str],
}

/// A client of all authenticators that Windows reaches. There is one example at the top of the crate.
///
/// Windows shows its own dialogs. Of the [`UserInteraction`] only [`cancelled`](UserInteraction::cancelled) is called,
/// about twenty times a second. Extensions of the caller's own, `uvm`, `pinComplexityPolicy` and `appidExclude` are not
/// in the API: they are left out, and have no results.
#[derive(Debug)]
pub struct WindowsClient<'p, D, U> {
    /// Who asks.
    pub collector: D,
    /// Who may cancel.
    pub user: U,
    /// Where the standards leave a choice. Of [`ClientPolicy::STANDARD`], but any attachment will do: Windows has them
    /// all.
    pub policy: ClientPolicy<'p>,
    /// The window over which Windows shows its dialogs, an HWND as a number; `None` is the one in front.
    pub handle: Option<usize>,
    /// Whether `hmacCreateSecret` and `hmacGetSecret` are used, which are not for web pages: with them a page obtains the
    /// secrets of programs. Without it they are left out. The secrets of `prf` are others.
    pub allow_hmac_secret: bool,
    library: Library,
    transports: u32,
}

impl<D, U> WindowsClient<'_, D, U> {
    /// A client over the system's `webauthn.dll`.
    ///
    /// # Errors
    /// [`LoadError`]: this system does not have it.
    pub fn new(collector: D, user: U) -> Result<Self, LoadError> {
        Library::load().map(|library| Self::over(library, collector, user))
    }

    /// A client over a library that is open.
    pub const fn over(library: Library, collector: D, user: U) -> Self {
        let policy = ClientPolicy { attachment: None, ..ClientPolicy::STANDARD };
        Self { collector, user, policy, handle: None, allow_hmac_secret: false, library, transports: 0 }
    }

    /// The version of the API.
    pub const fn api(&self) -> u32 {
        self.library.api
    }

    /// What Windows can do, now.
    ///
    /// # Errors
    /// Why Windows does not say.
    pub fn info(&self) -> Result<Info, Error> {
        let mut available = 0;
        // SAFETY: there is room for the result.
        succeeded(unsafe { (self.library.has_platform_authenticator)(&mut available) }).map_err(failed)?;
        let extensions: &[&str] = match self.library.api {
            ..2 => &["hmac-secret"],
            2 => &["hmac-secret", "credProtect"],
            3 | 4 => &["hmac-secret", "credProtect", "credBlob", "minPinLength"],
            5..8 => &["hmac-secret", "credProtect", "credBlob", "minPinLength", "largeBlob"],
            _ => &["hmac-secret", "credProtect", "credBlob", "minPinLength", "largeBlob", "thirdPartyPayment"],
        };
        Ok(Info { api: self.library.api, platform_authenticator: available != 0, extensions })
    }

    /// How the authenticator of the last registration can be reached, for
    /// [`to_json`](RegistrationResponse::to_json). Before version 9 of the API, the transport that was used.
    pub fn transports(&self) -> Vec<Text<'static>> {
        memory::names(self.transports)
    }

    /// [`Library::platform_credentials`].
    ///
    /// # Errors
    /// As there.
    pub fn platform_credentials(&self, rp_id: Option<&str>) -> Result<Vec<PlatformCredential>, Error> {
        self.library.platform_credentials(rp_id)
    }

    /// [`Library::delete_platform_credential`].
    ///
    /// # Errors
    /// As there.
    pub fn delete_platform_credential(&self, id: &[u8]) -> Result<(), Error> {
        self.library.delete_platform_credential(id)
    }
}

impl WindowsClient<'static, (), ()> {
    /// Whether this system has the API.
    pub fn is_available() -> bool {
        Library::load().is_ok()
    }
}

impl<D: ClientDataCollector, U> WindowsClient<'_, D, U> {
    /// [`PreparedCreation::new`] with what the client has.
    ///
    /// # Errors
    /// As [`PreparedCreation::new`].
    pub fn creation<'o>(
        &self,
        options: &CreationOptions<'o>,
        buffer: &'o mut [u8],
    ) -> Result<PreparedCreation<'o>, Error> {
        PreparedCreation::new(options, &self.collector, &self.policy, &RustCrypto, buffer)
    }

    /// [`PreparedRequest::new`] with what the client has.
    ///
    /// # Errors
    /// As [`PreparedRequest::new`].
    pub fn request<'o>(
        &self,
        options: &RequestOptions<'o>,
        buffer: &'o mut [u8],
    ) -> Result<PreparedRequest<'o>, Error> {
        PreparedRequest::new(options, &self.collector, &self.policy, &RustCrypto, buffer)
    }
}

impl<D, U: UserInteraction> WebAuthnClient for WindowsClient<'_, D, U> {
    fn make_credential<'b>(
        &mut self,
        creation: &PreparedCreation<'b>,
        buffer: &'b mut [u8],
    ) -> Result<RegistrationResponse<'b>, Error> {
        let call = Call::new(&self.library, self.handle, self.allow_hmac_secret);
        let created = call.run(&mut self.user, |call| make(creation, call))?;
        self.transports = if created.transports == 0 { created.used } else { created.transports };
        let attestation = created.attestation(&creation.options, buffer).map_err(failed)?;
        let attachment = memory::attachment(created.used);
        Ok(RegistrationResponse { client_data_json: creation.client_data_json, attestation, attachment })
    }

    fn get_assertion<'b>(
        &mut self,
        request: &PreparedRequest<'b>,
        buffer: &'b mut [u8],
    ) -> Result<ResponseSelection<'b>, Error> {
        let call = Call::new(&self.library, self.handle, self.allow_hmac_secret);
        let asserted = call.run(&mut self.user, |call| get(request, call))?;
        let assertions = AssertionSelection::of(asserted.assertion(&request.options, buffer).map_err(failed)?);
        let attachment = memory::attachment(asserted.used);
        Ok(ResponseSelection { client_data_json: request.client_data_json, assertions, attachment })
    }
}
