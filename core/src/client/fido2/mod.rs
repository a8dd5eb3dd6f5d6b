//! A client in one value, as the common client libraries have it: options of WebAuthn in, responses of WebAuthn out.
//!
//! ```text
//! CreationOptions ──▶ Creation ──▶ MakeCredential ──▶ RegistrationResponse      no I/O │ the ceremony │ what to return
//! RequestOptions  ──▶ Request  ──▶ GetAssertion   ──▶ ResponseSelection ──▶ AuthenticationResponse
//! ```
//!
//! [`Creation`] and [`Request`] hold what a ceremony borrows: the client data in the caller's buffer, and the options for
//! the authenticator, which a caller may refine. Those who drive a ceremony themselves use them without [`Fido2Client`].

use rand_core::CryptoRng;

use super::{
    Ceremony, Error, GetAssertion, MakeCredential, Session, UserInteraction, manage::Select, operation::Operation, run,
    run_async, run_each, run_each_async,
};
use crate::{
    Instant,
    crypto::{Crypto, Hash},
    ctap2::get_info,
    transport::{AsyncTransport, Transport},
    webauthn::{ClientDataCollector, CreationOptions, RequestOptions},
};

mod info;
mod json;
mod policy;
mod prepare;
mod responses;

pub use info::Info;
pub use policy::Policy;
pub use prepare::{Creation, Request};
pub use responses::{AuthenticationResponse, RegistrationResponse, ResponseSelection};

/// Registers and signs in. [`Fido2Client`] does with an authenticator of its own; a platform with an API of its own would
/// with that.
pub trait WebAuthnClient {
    /// Registers. `buffer` as in [`MakeCredential::new`]. Errors: the ceremony's.
    fn make_credential<'b>(
        &mut self,
        creation: &'b Creation<'b>,
        buffer: &'b mut [u8],
    ) -> Result<RegistrationResponse<'b>, Error>;

    /// Signs in. `buffer` as in [`GetAssertion::new`]. Errors: the ceremony's.
    fn get_assertion<'b>(
        &mut self,
        request: &'b Request<'b>,
        buffer: &'b mut [u8],
    ) -> Result<ResponseSelection<'b>, Error>;
}

/// A client of one authenticator.
pub struct Fido2Client<'p, T, D, U, C, R, K> {
    /// The channel to the authenticator.
    pub transport: T,
    /// Who asks.
    pub collector: D,
    /// Whom to ask.
    pub user: U,
    /// Where the standards leave a choice.
    pub policy: Policy<'p>,
    crypto: C,
    rng: R,
    clock: K,
}

impl<T, D, U, C, R, K> core::fmt::Debug for Fido2Client<'_, T, D, U, C, R, K> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Fido2Client(..)")
    }
}

impl<T, D, U, C, R, K> Fido2Client<'_, T, D, U, C, R, K> {
    /// A client with [`Policy::STANDARD`]. `clock` tells the time.
    pub const fn new(transport: T, collector: D, user: U, crypto: C, rng: R, clock: K) -> Self {
        Self { transport, collector, user, policy: Policy::STANDARD, crypto, rng, clock }
    }
}

impl<T, D: ClientDataCollector, U, C: Hash, R, K> Fido2Client<'_, T, D, U, C, R, K> {
    /// [`Creation::new`] with what the client has.
    pub fn creation<'o>(&self, options: &CreationOptions<'o>, buffer: &'o mut [u8]) -> Result<Creation<'o>, Error> {
        Creation::new(options, &self.collector, &self.policy, &self.crypto, buffer)
    }

    /// [`Request::new`] with what the client has.
    pub fn request<'o>(&self, options: &RequestOptions<'o>, buffer: &'o mut [u8]) -> Result<Request<'o>, Error> {
        Request::new(options, &self.collector, &self.policy, &self.crypto, buffer)
    }
}

impl<T, D, U, C, R, K> Fido2Client<'_, T, D, U, C, R, K>
where
    T: Transport,
    U: UserInteraction,
    C: Crypto + Clone,
    R: CryptoRng,
    K: FnMut() -> Instant,
{
    /// What the authenticator says about itself now, all of it. `buffer` as in [`MakeCredential::new`]. Errors: the
    /// operation's.
    pub fn info<'b>(&mut self, buffer: &'b mut [u8]) -> Result<get_info::Response<'b>, Error> {
        let info = Info::ceremony(buffer, self.crypto.clone(), &mut self.rng);
        run(self.policy.rule(info), &mut self.transport, &mut self.user, &mut self.clock)
    }

    /// Signs in, and reads or writes a large blob. `memory` and `buffer` as in [`GetAssertion::with_memory`]. Errors: the
    /// ceremony's.
    pub fn get_assertion_with_memory<'b>(
        &mut self,
        request: &'b Request<'b>,
        memory: &'b mut [u8],
        buffer: &'b mut [u8],
    ) -> Result<ResponseSelection<'b>, Error> {
        let (crypto, rng) = (self.crypto.clone(), &mut self.rng);
        let ceremony = GetAssertion::with_memory(&request.options, memory, buffer, crypto, rng);
        let assertions = run(self.policy.rule(ceremony), &mut self.transport, &mut self.user, &mut self.clock)?;
        Ok(ResponseSelection { client_data_json: request.client_data_json, assertions })
    }

    /// Waits until the user touches this authenticator, to tell it from others. `buffer` as in [`MakeCredential::new`].
    /// Errors: the operation's.
    pub fn selection(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        let select = Select::new(buffer, self.crypto.clone(), &mut self.rng);
        run(self.policy.rule(select), &mut self.transport, &mut self.user, &mut self.clock)
    }

    /// Runs an operation of [`manage`](super::manage) in `session`, so that the user is asked once for all that are run in
    /// it, and gives `each` what the operation shows on the way. `operation` makes it with the client's cryptography and
    /// random source.
    ///
    /// # Errors
    /// Those of the operation.
    pub fn manage<'b, O: Operation + 'b>(
        &mut self,
        session: &mut Session,
        operation: impl for<'r> FnOnce(C, &'r mut R) -> Ceremony<'b, O, C, &'r mut R>,
        each: impl FnMut(O::Item<'_>),
    ) -> Result<O::Outcome<'b>, Error> {
        let ceremony = operation(self.crypto.clone(), &mut self.rng).in_session(session);
        run_each(self.policy.rule(ceremony), &mut self.transport, &mut self.user, &mut self.clock, each)
    }
}

impl<T, D, U, C, R, K> WebAuthnClient for Fido2Client<'_, T, D, U, C, R, K>
where
    T: Transport,
    U: UserInteraction,
    C: Crypto + Clone,
    R: CryptoRng,
    K: FnMut() -> Instant,
{
    fn make_credential<'b>(
        &mut self,
        creation: &'b Creation<'b>,
        buffer: &'b mut [u8],
    ) -> Result<RegistrationResponse<'b>, Error> {
        let ceremony = MakeCredential::new(&creation.options, buffer, self.crypto.clone(), &mut self.rng);
        let attestation = run(self.policy.rule(ceremony), &mut self.transport, &mut self.user, &mut self.clock)?;
        Ok(RegistrationResponse { client_data_json: creation.client_data_json, attestation })
    }

    fn get_assertion<'b>(
        &mut self,
        request: &'b Request<'b>,
        buffer: &'b mut [u8],
    ) -> Result<ResponseSelection<'b>, Error> {
        self.get_assertion_with_memory(request, &mut [], buffer)
    }
}

/// The same over an async transport.
impl<T, D, U, C, R, K> Fido2Client<'_, T, D, U, C, R, K>
where
    T: AsyncTransport,
    U: UserInteraction,
    C: Crypto + Clone,
    R: CryptoRng,
    K: FnMut() -> Instant,
{
    /// [`Fido2Client::info`].
    pub async fn info_async<'b>(&mut self, buffer: &'b mut [u8]) -> Result<get_info::Response<'b>, Error> {
        let info = Info::ceremony(buffer, self.crypto.clone(), &mut self.rng);
        run_async(self.policy.rule(info), &mut self.transport, &mut self.user, &mut self.clock).await
    }

    /// [`Fido2Client::selection`].
    pub async fn selection_async(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        let select = Select::new(buffer, self.crypto.clone(), &mut self.rng);
        run_async(self.policy.rule(select), &mut self.transport, &mut self.user, &mut self.clock).await
    }

    /// [`Fido2Client::manage`].
    pub async fn manage_async<'b, O: Operation + 'b>(
        &mut self,
        session: &mut Session,
        operation: impl for<'r> FnOnce(C, &'r mut R) -> Ceremony<'b, O, C, &'r mut R>,
        each: impl FnMut(O::Item<'_>),
    ) -> Result<O::Outcome<'b>, Error> {
        let ceremony = operation(self.crypto.clone(), &mut self.rng).in_session(session);
        run_each_async(self.policy.rule(ceremony), &mut self.transport, &mut self.user, &mut self.clock, each).await
    }

    /// [`WebAuthnClient::make_credential`].
    pub async fn make_credential_async<'b>(
        &mut self,
        creation: &'b Creation<'b>,
        buffer: &'b mut [u8],
    ) -> Result<RegistrationResponse<'b>, Error> {
        let ceremony = MakeCredential::new(&creation.options, buffer, self.crypto.clone(), &mut self.rng);
        let attestation =
            run_async(self.policy.rule(ceremony), &mut self.transport, &mut self.user, &mut self.clock).await?;
        Ok(RegistrationResponse { client_data_json: creation.client_data_json, attestation })
    }

    /// [`WebAuthnClient::get_assertion`], and with `memory` [`Fido2Client::get_assertion_with_memory`].
    pub async fn get_assertion_async<'b>(
        &mut self,
        request: &'b Request<'b>,
        memory: &'b mut [u8],
        buffer: &'b mut [u8],
    ) -> Result<ResponseSelection<'b>, Error> {
        let (crypto, rng) = (self.crypto.clone(), &mut self.rng);
        let ceremony = GetAssertion::with_memory(&request.options, memory, buffer, crypto, rng);
        let assertions =
            run_async(self.policy.rule(ceremony), &mut self.transport, &mut self.user, &mut self.clock).await?;
        Ok(ResponseSelection { client_data_json: request.client_data_json, assertions })
    }
}
