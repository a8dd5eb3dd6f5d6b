//! A client in one value, as the common client libraries have it: options of WebAuthn in, responses of WebAuthn out.
//!
//! ```text
//! CreationOptions ──▶ PreparedCreation ──▶ MakeCredential ──▶ RegistrationResponse
//! RequestOptions  ──▶ PreparedRequest  ──▶ GetAssertion   ──▶ ResponseSelection ──▶ AuthenticationResponse
//!                               no I/O │ the ceremony │ what to return
//! ```
//!
//! [`PreparedCreation`] and [`PreparedRequest`] hold what a ceremony borrows: the client data in the caller's buffer,
//! and the options for the authenticator, which a caller may refine. Those who drive a ceremony themselves use them
//! without [`Fido2Client`].

use rand_core::CryptoRng;

use super::{
    AsyncUserInteraction, Ceremony, Error, GetAssertion, MakeCredential, Operation, Session, UserInteraction,
    manage::{GetInfo, Selection},
    run, run_async, run_each, run_each_async,
};
use crate::{
    Instant,
    crypto::{Crypto, Hash},
    ctap2::get_info,
    transport::{AsyncTransport, Transport},
    webauthn::{Attachment, ClientDataCollector, CreationOptions, RequestOptions},
};

mod json;
mod policy;
mod prepare;
mod responses;

pub use policy::ClientPolicy;
pub use prepare::{PreparedCreation, PreparedRequest};
pub use responses::{AuthenticationResponse, RegistrationResponse, ResponseSelection};

/// A [`Fido2Client`] has a security key.
const ROAMING: Option<Attachment> = Some(Attachment::CrossPlatform);

/// Registers and signs in: [`Fido2Client`] with an authenticator of its own, others with the API of a platform. Their
/// results are made with [`Attestation::read`](super::Attestation::read) and
/// [`AssertionSelection::of`](super::AssertionSelection::of).
///
/// ```
/// use keyfob_core::client::{Assertion, AssertionSelection, Attestation, Cause, Error, Stage, fido2::*};
///
/// /// The API of a platform: what it answers, as authenticatorMakeCredential and authenticatorGetAssertion do.
/// struct Platform {
///     attestation: Vec<u8>,
///     assertion: Vec<u8>,
/// }
///
/// fn failed(cause: Cause) -> Error {
///     Error { code: cause.code(), stage: Stage::Command, cause }
/// }
///
/// fn put<'b>(answer: &[u8], buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
///     let needed = answer.len();
///     let place = buffer.get_mut(..needed).ok_or(failed(Cause::BufferTooSmall { needed }))?;
///     place.copy_from_slice(answer);
///     Ok(place)
/// }
///
/// impl WebAuthnClient for Platform {
///     fn make_credential<'b>(
///         &mut self,
///         creation: &PreparedCreation<'b>,
///         buffer: &'b mut [u8],
///     ) -> Result<RegistrationResponse<'b>, Error> {
///         let attestation = Attestation::read(put(&self.attestation, buffer)?).map_err(failed)?;
///         Ok(RegistrationResponse { client_data_json: creation.client_data_json, attestation, attachment: None })
///     }
///
///     fn get_assertion<'b>(
///         &mut self,
///         request: &PreparedRequest<'b>,
///         buffer: &'b mut [u8],
///     ) -> Result<ResponseSelection<'b>, Error> {
///         let assertion = Assertion::read(put(&self.assertion, buffer)?).map_err(failed)?;
///         let assertions = AssertionSelection::of(assertion);
///         Ok(ResponseSelection { client_data_json: request.client_data_json, assertions, attachment: None })
///     }
/// }
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// # use keyfob_core::{crypto::RustCrypto, webauthn::{DefaultClientDataCollector, RequestOptions}};
/// # let mut platform = Platform { attestation: hex(REGISTRATION), assertion: hex(SIGN_IN) };
/// # let collector = DefaultClientDataCollector::new("https://example.org");
/// # let (mut client_data, mut buffer) = ([0; 256], [0; 1024]);
/// # let options = RequestOptions::new(b"a challenge");
/// # let prepared =
/// #     PreparedRequest::new(&options, &collector, &ClientPolicy::default(), &RustCrypto, &mut client_data)?;
/// # assert_eq!(platform.get_assertion(&prepared, &mut buffer)?.assertions.len(), 1);
/// # Ok::<(), Error>(())
/// ```
pub trait WebAuthnClient {
    /// Registers. `buffer` as in [`Ceremony::new`].
    ///
    /// # Errors
    /// Why the ceremony failed.
    fn make_credential<'b>(
        &mut self,
        creation: &PreparedCreation<'b>,
        buffer: &'b mut [u8],
    ) -> Result<RegistrationResponse<'b>, Error>;

    /// Signs in. `buffer` as in [`Ceremony::new`].
    ///
    /// # Errors
    /// Why the ceremony failed.
    fn get_assertion<'b>(
        &mut self,
        request: &PreparedRequest<'b>,
        buffer: &'b mut [u8],
    ) -> Result<ResponseSelection<'b>, Error>;
}

impl<W: WebAuthnClient + ?Sized> WebAuthnClient for &mut W {
    fn make_credential<'b>(
        &mut self,
        creation: &PreparedCreation<'b>,
        buffer: &'b mut [u8],
    ) -> Result<RegistrationResponse<'b>, Error> {
        (**self).make_credential(creation, buffer)
    }

    fn get_assertion<'b>(
        &mut self,
        request: &PreparedRequest<'b>,
        buffer: &'b mut [u8],
    ) -> Result<ResponseSelection<'b>, Error> {
        (**self).get_assertion(request, buffer)
    }
}

/// The types that a [`Fido2Client`] is made of, under one name. A program that keeps a client in a struct implements it
/// for a type of its own and writes `Fido2Client<'static, Mine>`; where types are inferred, a tuple does.
///
/// ```
/// # use keyfob_core::{Instant, client::fido2::{ClientTypes, Fido2Client}};
/// # struct Channel; struct Dialog; struct Collector; struct Backend; struct Random;
/// enum Desktop {}
///
/// impl ClientTypes for Desktop {
///     type Transport = Channel;
///     type Collector = Collector;
///     type User = Dialog;
///     type Crypto = Backend;
///     type Rng = Random;
///     type Clock = fn() -> Instant;
/// }
///
/// struct App {
///     client: Fido2Client<'static, Desktop>,
/// }
/// let client = Fido2Client::<Desktop>::of(Channel, Collector, Dialog, Backend, Random, Instant::default as fn() -> Instant);
/// let app = App { client };
/// ```
pub trait ClientTypes {
    /// A [`Transport`] or an [`AsyncTransport`].
    type Transport;
    /// A [`ClientDataCollector`].
    type Collector;
    /// A [`UserInteraction`] or an [`AsyncUserInteraction`].
    type User;
    /// A [`Crypto`].
    type Crypto;
    /// A [`CryptoRng`].
    type Rng;
    /// An `FnMut() -> Instant`.
    type Clock;
}

impl<T, D, U, C, R, K> ClientTypes for (T, D, U, C, R, K) {
    type Transport = T;
    type Collector = D;
    type User = U;
    type Crypto = C;
    type Rng = R;
    type Clock = K;
}

/// A client of one authenticator.
///
/// ```
/// use keyfob_core::client::{UserInteraction, fido2::{Fido2Client, WebAuthnClient}};
/// use keyfob_core::webauthn::{CreationOptions, DefaultClientDataCollector, RelyingParty};
/// use keyfob_core::{cose::Algorithm, crypto::RustCrypto, ctap2::{CredentialParameters, UserEntity}};
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// # struct Dialog;
/// # impl UserInteraction for Dialog {}
/// # let key = Key::default();
/// let collector = DefaultClientDataCollector::new("https://example.org");
/// let mut client = Fido2Client::new(key, collector, Dialog, RustCrypto, rng(), clock);
///
/// let rp = RelyingParty { id: None, name: "Example" }; // the RP ID follows from the origin
/// let user = UserEntity { id: b"user-0001", name: Some("alice"), display_name: None };
/// let algorithms = [CredentialParameters::new(Algorithm::ES256)];
/// let options = CreationOptions::new(rp, user, b"a challenge", &algorithms);
/// let (mut client_data, mut buffer) = ([0; 256], [0; 4096]);
/// let creation = client.creation(&options, &mut client_data)?;
/// let registered = client.make_credential(&creation, &mut buffer)?;
/// assert_eq!(registered.credential_id().len(), 32);
/// # Ok::<(), keyfob_core::client::Error>(())
/// ```
pub struct Fido2Client<'p, P: ClientTypes> {
    /// The channel to the authenticator.
    pub transport: P::Transport,
    /// Who asks.
    pub collector: P::Collector,
    /// Whom to ask.
    pub user: P::User,
    /// Where the standards leave a choice.
    pub policy: ClientPolicy<'p>,
    crypto: P::Crypto,
    rng: P::Rng,
    clock: P::Clock,
}

impl<P: ClientTypes> core::fmt::Debug for Fido2Client<'_, P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Fido2Client(..)")
    }
}

impl<T, D, U, C, R, K> Fido2Client<'_, (T, D, U, C, R, K)> {
    /// A client with [`ClientPolicy::STANDARD`]. `clock` tells the time.
    pub const fn new(transport: T, collector: D, user: U, crypto: C, rng: R, clock: K) -> Self {
        Self { transport, collector, user, policy: ClientPolicy::STANDARD, crypto, rng, clock }
    }
}

impl<P: ClientTypes> Fido2Client<'_, P> {
    /// [`Fido2Client::new`] with types under a name.
    pub const fn of(
        transport: P::Transport,
        collector: P::Collector,
        user: P::User,
        crypto: P::Crypto,
        rng: P::Rng,
        clock: P::Clock,
    ) -> Self {
        Self { transport, collector, user, policy: ClientPolicy::STANDARD, crypto, rng, clock }
    }
}

impl<P: ClientTypes> Fido2Client<'_, P>
where
    P::Collector: ClientDataCollector,
    P::Crypto: Hash,
{
    /// [`PreparedCreation::new`] with what the client has.
    ///
    /// # Errors
    /// As [`PreparedCreation::new`].
    pub fn creation<'o>(
        &self,
        options: &CreationOptions<'o>,
        buffer: &'o mut [u8],
    ) -> Result<PreparedCreation<'o>, Error> {
        PreparedCreation::new(options, &self.collector, &self.policy, &self.crypto, buffer)
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
        PreparedRequest::new(options, &self.collector, &self.policy, &self.crypto, buffer)
    }
}

impl<P: ClientTypes> Fido2Client<'_, P>
where
    P::Transport: Transport,
    P::User: UserInteraction,
    P::Crypto: Crypto,
    P::Rng: CryptoRng,
    P::Clock: FnMut() -> Instant,
{
    /// Runs any operation under the client's policy. `buffer` as in [`Ceremony::new`].
    ///
    /// # Errors
    /// Why the ceremony failed.
    pub fn run<'b, O: Operation>(&mut self, operation: O, buffer: &'b mut [u8]) -> Result<O::Outcome<'b>, Error> {
        let ceremony = Ceremony::new(operation, buffer, &self.crypto, &mut self.rng);
        run(self.policy.rule(ceremony), &mut self.transport, &mut self.user, &mut self.clock)
    }

    /// What the authenticator says about itself now, all of it. `buffer` as in [`Ceremony::new`].
    ///
    /// # Errors
    /// Why the operation failed.
    pub fn info<'b>(&mut self, buffer: &'b mut [u8]) -> Result<get_info::Response<'b>, Error> {
        self.run(GetInfo, buffer)
    }

    /// Signs in, and reads or writes a large blob. `memory` as in [`GetAssertion::with_memory`].
    ///
    /// # Errors
    /// Why the ceremony failed.
    pub fn get_assertion_with_memory<'b>(
        &mut self,
        request: &PreparedRequest<'b>,
        memory: &'b mut [u8],
        buffer: &'b mut [u8],
    ) -> Result<ResponseSelection<'b>, Error> {
        let assertions = self.run(GetAssertion::with_memory(&request.options, memory), buffer)?;
        Ok(ResponseSelection { client_data_json: request.client_data_json, assertions, attachment: ROAMING })
    }

    /// Waits until the user touches this authenticator, to tell it from others. `buffer` as in [`Ceremony::new`].
    ///
    /// # Errors
    /// Why the operation failed.
    pub fn selection(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        self.run(Selection::new(), buffer)
    }

    /// Runs an operation of [`manage`](super::manage) in `session`, so that the user is asked once for all that are run
    /// in it, and gives `each` what the operation shows on the way. `buffer` as in [`Ceremony::new`].
    ///
    /// # Errors
    /// Why the operation failed.
    pub fn manage<'b, O: Operation>(
        &mut self,
        session: &mut Session,
        operation: O,
        buffer: &'b mut [u8],
        each: impl FnMut(O::Item<'_>),
    ) -> Result<O::Outcome<'b>, Error> {
        let ceremony = Ceremony::new(operation, buffer, &self.crypto, &mut self.rng).in_session(session);
        run_each(self.policy.rule(ceremony), &mut self.transport, &mut self.user, &mut self.clock, each)
    }
}

impl<P: ClientTypes> WebAuthnClient for Fido2Client<'_, P>
where
    P::Transport: Transport,
    P::User: UserInteraction,
    P::Crypto: Crypto,
    P::Rng: CryptoRng,
    P::Clock: FnMut() -> Instant,
{
    fn make_credential<'b>(
        &mut self,
        creation: &PreparedCreation<'b>,
        buffer: &'b mut [u8],
    ) -> Result<RegistrationResponse<'b>, Error> {
        let attestation = self.run(MakeCredential::new(&creation.options), buffer)?;
        Ok(RegistrationResponse { client_data_json: creation.client_data_json, attestation, attachment: ROAMING })
    }

    fn get_assertion<'b>(
        &mut self,
        request: &PreparedRequest<'b>,
        buffer: &'b mut [u8],
    ) -> Result<ResponseSelection<'b>, Error> {
        self.get_assertion_with_memory(request, &mut [], buffer)
    }
}

/// The same over an async transport. The futures are `Send` where the client's parts are.
impl<P: ClientTypes> Fido2Client<'_, P>
where
    P::Transport: AsyncTransport,
    P::User: AsyncUserInteraction,
    P::Crypto: Crypto,
    P::Rng: CryptoRng,
    P::Clock: FnMut() -> Instant,
{
    /// [`Fido2Client::run`].
    ///
    /// # Errors
    /// Why the ceremony failed.
    pub async fn run_async<'b, O: Operation>(
        &mut self,
        operation: O,
        buffer: &'b mut [u8],
    ) -> Result<O::Outcome<'b>, Error> {
        let ceremony = Ceremony::new(operation, buffer, &self.crypto, &mut self.rng);
        run_async(self.policy.rule(ceremony), &mut self.transport, &mut self.user, &mut self.clock).await
    }

    /// [`Fido2Client::info`].
    ///
    /// # Errors
    /// Why the operation failed.
    pub async fn info_async<'b>(&mut self, buffer: &'b mut [u8]) -> Result<get_info::Response<'b>, Error> {
        self.run_async(GetInfo, buffer).await
    }

    /// [`Fido2Client::selection`].
    ///
    /// # Errors
    /// Why the operation failed.
    pub async fn selection_async(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        self.run_async(Selection::new(), buffer).await
    }

    /// [`Fido2Client::manage`].
    ///
    /// # Errors
    /// Why the operation failed.
    pub async fn manage_async<'b, O: Operation>(
        &mut self,
        session: &mut Session,
        operation: O,
        buffer: &'b mut [u8],
        each: impl FnMut(O::Item<'_>),
    ) -> Result<O::Outcome<'b>, Error> {
        let ceremony = Ceremony::new(operation, buffer, &self.crypto, &mut self.rng).in_session(session);
        run_each_async(self.policy.rule(ceremony), &mut self.transport, &mut self.user, &mut self.clock, each).await
    }

    /// [`WebAuthnClient::make_credential`].
    ///
    /// # Errors
    /// Why the ceremony failed.
    pub async fn make_credential_async<'b>(
        &mut self,
        creation: &PreparedCreation<'b>,
        buffer: &'b mut [u8],
    ) -> Result<RegistrationResponse<'b>, Error> {
        let attestation = self.run_async(MakeCredential::new(&creation.options), buffer).await?;
        Ok(RegistrationResponse { client_data_json: creation.client_data_json, attestation, attachment: ROAMING })
    }

    /// [`WebAuthnClient::get_assertion`], and with `memory` [`Fido2Client::get_assertion_with_memory`].
    ///
    /// # Errors
    /// Why the ceremony failed.
    pub async fn get_assertion_async<'b>(
        &mut self,
        request: &PreparedRequest<'b>,
        memory: &'b mut [u8],
        buffer: &'b mut [u8],
    ) -> Result<ResponseSelection<'b>, Error> {
        let operation = GetAssertion::with_memory(&request.options, memory);
        let assertions = self.run_async(operation, buffer).await?;
        Ok(ResponseSelection { client_data_json: request.client_data_json, assertions, attachment: ROAMING })
    }
}
