//! A browser's `navigator.credentials` for one page and one key: the client of keyfob-core, with the JSON of WebAuthn
//! L3 §5.1.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{self, Duration},
};

use keyfob_core::{
    Instant,
    auth_data::Flags,
    bytes,
    cbor::Text,
    client::{
        self, UserInteraction,
        fido2::{Fido2Client, WebAuthnClient},
    },
    crypto::{Hash, RustCrypto},
    ctap2::{Command, decode_response, get_assertion, make_credential},
    transport::{
        Protocol, Received, ReportIo, Transport,
        hid::{HidTransport, REPORT_LEN},
    },
    webauthn::{CreationOptions, DefaultClientDataCollector, PublicSuffixList, RequestOptions},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::{Asked, Control, TestError, TestKey, TestPort, Unplugged, knobs::set};
use crate::devices::hub::{HubHandle, ProcessPipe};

/// Room for the responses of a ceremony, in bytes.
const RESPONSES: usize = 16 << 10;
/// How the key can be reached.
const TRANSPORTS: &[Text<'static>] = const { &[Text::new("usb")] };

/// A page in a browser that sees one key. It has nobody who types a PIN, and takes the most recent of several accounts.
#[derive(Clone)]
pub struct Browser {
    key: Key,
    origin: String,
    is_credulous: bool,
    is_given_up: Arc<AtomicBool>,
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browser").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// The key that a browser sees.
#[derive(Clone)]
enum Key {
    Test(TestKey),
    /// Behind a hub, with the time at which the browser began.
    Hub(HubHandle, time::Instant),
}

impl Key {
    fn control(&self) -> Option<&Control> {
        match self {
            Self::Test(key) => Some(key),
            Self::Hub(hub, _) => hub.control(),
        }
    }

    fn is_plugged_in(&self) -> bool {
        self.control().is_none_or(Control::is_plugged_in)
    }

    /// Random numbers for a client: from the seed of a controlled key, as the credentials that are put in.
    fn rng(&self) -> Result<ChaCha20Rng, TestError> {
        let mut seed = [0; 32];
        match self.control() {
            Some(control) => control.0.lock().rng.fill_bytes(&mut seed),
            None => getrandom::fill(&mut seed).map_err(|_| TestError::Random)?,
        }
        Ok(ChaCha20Rng::from_seed(seed))
    }

    fn port(&self) -> Result<BrowserPort, TestError> {
        match self {
            Self::Test(key) => Ok(BrowserPort::Test(key.port())),
            Self::Hub(hub, _) => {
                hub.connect().map(|pipe| BrowserPort::Hub(Box::new(pipe))).map_err(|_| TestError::Unplugged)
            }
        }
    }

    fn clock(&self) -> Box<dyn FnMut() -> Instant + Send> {
        match self {
            Self::Test(key) => Box::new(key.clock()),
            Self::Hub(_, start) => {
                let start = *start;
                Box::new(move || Instant::default().plus(start.elapsed()))
            }
        }
    }
}

/// The pipe of reports to the key.
enum BrowserPort {
    Test(TestPort),
    Hub(Box<ProcessPipe>),
}

impl ReportIo for BrowserPort {
    type Error = Unplugged;

    fn write(&mut self, report: &[u8; REPORT_LEN]) -> Result<(), Unplugged> {
        match self {
            Self::Test(port) => port.write(report),
            Self::Hub(pipe) => pipe.write(report).map_err(|_| Unplugged),
        }
    }

    fn read(&mut self, wait: Duration) -> Result<Option<[u8; REPORT_LEN]>, Unplugged> {
        match self {
            Self::Test(port) => port.read(wait),
            Self::Hub(pipe) => pipe.read(wait).map_err(|_| Unplugged),
        }
    }
}

/// A user who leaves everything to the key, until the page is given up.
struct User(Arc<AtomicBool>);

impl UserInteraction for User {
    fn cancelled(&mut self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Browser {
    pub(super) fn new(key: TestKey, origin: &str) -> Self {
        Self::of(Key::Test(key), origin)
    }

    pub(crate) fn behind(hub: HubHandle, origin: &str) -> Self {
        Self::of(Key::Hub(hub, time::Instant::now()), origin)
    }

    fn of(key: Key, origin: &str) -> Self {
        Self { key, origin: origin.to_owned(), is_credulous: false, is_given_up: Arc::default() }
    }

    /// A page that is given up as soon as this is true, as with an `AbortSignal`: the key is cancelled.
    #[must_use]
    pub fn given_up_by(self, is_given_up: Arc<AtomicBool>) -> Self {
        Self { is_given_up, ..self }
    }

    /// A browser that believes the key: it passes on a wrong rpIdHash, and responses without UP or UV, which a real one
    /// refuses. So they reach the server under test.
    #[must_use]
    pub fn credulous(self) -> Self {
        Self { is_credulous: true, ..self }
    }

    /// `navigator.credentials.create()`: takes PublicKeyCredentialCreationOptionsJSON, registers, and returns
    /// RegistrationResponseJSON.
    ///
    /// # Errors
    /// [`TestError::Unplugged`], [`TestError::Options`], [`TestError::Client`].
    pub fn create(&self, options_json: impl AsRef<[u8]>) -> Result<String, TestError> {
        let json = options_json.as_ref();
        let mut cbor = room(json.len());
        let options = CreationOptions::from_json(json, &mut cbor).map_err(TestError::Options)?;
        let (mut client_data, mut buffer) = (room(json.len()), vec![0; RESPONSES]);
        let mut client = self.client()?;
        let creation = client.creation(&options, &mut client_data)?;
        let registered = client.make_credential(&creation, &mut buffer).map_err(|error| self.explain(error))?;
        let mut registered = registered;
        if let Some(told) = client.transport.told.last() {
            registered.attestation.response.auth_data = &told.auth_data;
        }
        text(|out| registered.to_json(&creation.options.extensions, TRANSPORTS, out))
    }

    /// `navigator.credentials.get()`: takes PublicKeyCredentialRequestOptionsJSON, signs in, and returns
    /// AuthenticationResponseJSON.
    ///
    /// # Errors
    /// As in [`Browser::create`].
    pub fn get(&self, options_json: impl AsRef<[u8]>) -> Result<String, TestError> {
        let json = options_json.as_ref();
        let mut cbor = room(json.len());
        let options = RequestOptions::from_json(json, &mut cbor).map_err(TestError::Options)?;
        let (mut client_data, mut buffer) = (room(json.len()), vec![0; RESPONSES]);
        let (mut memory, mut work) = (vec![0; RESPONSES], vec![0; RESPONSES]);
        let mut client = self.client()?;
        let request = client.request(&options, &mut client_data)?;
        let responses = client.get_assertion_with_memory(&request, &mut memory, &mut buffer);
        let responses = responses.map_err(|error| self.explain(error))?;
        let blob = responses.assertions.large_blob(&RustCrypto, 0, &mut work).ok().flatten();
        let mut signed_in = responses.get(0).ok_or(TestError::Response)?; // there is at least one
        let signature = signed_in.assertion.response.signature;
        if let Some(told) = client.transport.told.iter().find(|told| told.signature == signature) {
            signed_in.assertion.response.auth_data = &told.auth_data;
        }
        text(|out| signed_in.to_json(&request.options.extensions, blob, out))
    }

    #[allow(clippy::type_complexity)] // it is named nowhere else
    fn client(
        &self,
    ) -> Result<
        Fido2Client<
            'static,
            (
                Believer<impl Transport + use<>>,
                DefaultClientDataCollector<'_, PublicSuffixList>,
                User,
                RustCrypto,
                ChaCha20Rng,
                Box<dyn FnMut() -> Instant + Send>,
            ),
        >,
        TestError,
    > {
        if !self.key.is_plugged_in() {
            return Err(TestError::Unplugged);
        }
        let mut rng = self.key.rng()?;
        let transport = HidTransport::new(self.key.port()?, self.key.clock(), rng.next_u64().to_be_bytes());
        let transport = Believer::new(transport, self.is_credulous);
        let collector = DefaultClientDataCollector::new(&self.origin).with_suffixes(PublicSuffixList);
        Ok(Fido2Client::new(transport, collector, User(self.is_given_up.clone()), RustCrypto, rng, self.key.clock()))
    }

    /// A key that was taken out is the reason for whatever the client says.
    fn explain(&self, error: client::Error) -> TestError {
        if self.key.is_plugged_in() { error.into() } else { TestError::Unplugged }
    }
}

/// Room for options as CBOR, or for client data that holds a challenge out of them.
fn room(json: usize) -> Vec<u8> {
    vec![0; json.saturating_mul(2).saturating_add(1024)]
}

/// A text that is written with as much room as it says it needs.
fn text(mut write: impl FnMut(&mut [u8]) -> Result<usize, keyfob_core::json::WriteError>) -> Result<String, TestError> {
    let mut out = vec![0; 2 * RESPONSES];
    let len = write(&mut out).map_err(|_| TestError::Response)?;
    out.truncate(len);
    String::from_utf8(out).map_err(|_| TestError::Response)
}

/// What the key has said in a response.
struct Told {
    auth_data: Vec<u8>,
    signature: Vec<u8>,
}

/// A transport to the key. For a browser that believes everything, it keeps what the key has said, and shows the client
/// what the client checks: the rpIdHash that was asked for, UP and UV.
struct Believer<T> {
    transport: T,
    is_credulous: bool,
    /// The command under way.
    command: Command,
    rp_id_hash: [u8; 32],
    told: Vec<Told>,
}

impl<T> Believer<T> {
    const fn new(transport: T, is_credulous: bool) -> Self {
        Self { transport, is_credulous, command: Command(0), rp_id_hash: [0; 32], told: Vec::new() }
    }

    fn believe(&mut self, response: &mut [u8]) {
        let read = match self.command {
            Command::MAKE_CREDENTIAL => decode_response::<make_credential::Response<'_>>(response)
                .ok()
                .map(|response| (response.auth_data, &[][..])),
            Command::GET_ASSERTION | Command::GET_NEXT_ASSERTION => {
                decode_response::<get_assertion::Response<'_>>(response)
                    .ok()
                    .map(|response| (response.auth_data, response.signature))
            }
            _ => None,
        };
        let Some((auth_data, signature)) = read else { return };
        let Some(at) = bytes::offset(response, auth_data) else { return };
        let len = auth_data.len();
        self.told.push(Told { auth_data: auth_data.to_vec(), signature: signature.to_vec() });
        let auth_data = bytes::front_mut(bytes::rest_mut(response, at), len);
        bytes::copy_prefix(auth_data, &self.rp_id_hash);
        set(auth_data, Flags::UP, true);
        set(auth_data, Flags::UV, true);
    }
}

impl<T: Transport> Transport for Believer<T> {
    type Error = T::Error;

    fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), T::Error> {
        let asked = Asked::new(request);
        self.command = asked.command;
        if let Some(rp_id) = asked.rp_id {
            self.rp_id_hash = RustCrypto.sha256(&[rp_id.as_bytes()]);
        }
        self.transport.send(protocol, request)
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, T::Error> {
        let received = self.transport.receive(buffer, wait)?;
        if let (true, Received::Response(len)) = (self.is_credulous, received) {
            self.believe(bytes::front_mut(buffer, len));
        }
        Ok(received)
    }

    fn cancel(&mut self) -> Result<(), T::Error> {
        self.transport.cancel()
    }

    fn reconnect(&mut self) -> Result<(), T::Error> {
        self.transport.reconnect()
    }
}
