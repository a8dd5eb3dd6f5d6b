//! What a test tells a key: one handle, whether the key is in this process or behind the doors of a hub.

use std::{fmt, sync::Arc, time::Duration};

use keyfob_core::{Instant, ctap2::Command};
use mio::Waker;

use super::{
    Answer, Asked, CredentialProperties, HeldCredential, Lie, Step, TestCredential, TestError,
    knobs::Plan,
    state::{State, TestStore},
};
use crate::devices::Touch;

/// Tells a key what to do, from any thread, also while clients use it. Clones control the same key.
///
/// A [`TestKey`](super::TestKey) is one, by `Deref`. A key behind doors has one as well:
/// [`VirtualKey::controlled`](crate::devices::VirtualKey::controlled) returns it.
///
/// ```
/// use std::{net::{TcpListener, TcpStream}, thread};
/// use keyfob_core::{Instant, transport::hid::HidTransport};
/// use keyfob_soft_authenticator::devices::{KeyOptions, TcpPipe, VirtualKey, hub::Hub};
/// use keyfob_soft_authenticator::testing::TestCredential;
///
/// let listener = TcpListener::bind("127.0.0.1:0")?; // any free port
/// let address = listener.local_addr()?;
/// let (sender, receiver) = std::sync::mpsc::channel();
/// thread::spawn(move || {
///     let options = KeyOptions::workstation();
///     let mut memory = vec![0; options.config.buffer_len()];
///     let (mut key, control) = VirtualKey::controlled(&mut memory, options).unwrap();
///     sender.send(control).unwrap();
///     let mut hub = Hub::new(&mut key)?;
///     hub.listen_tcp(listener)?;
///     hub.run(|event| println!("{event:?}"))
/// });
///
/// let control = receiver.recv()?;
/// control.add(TestCredential::es256("example.org", b"user-0001"))?;
/// control.unplug(); // clients find no key now
/// # let pipe = TcpPipe::new(TcpStream::connect(address)?);
/// # let mut transport = HidTransport::new(pipe, Instant::default, *b"a nonce!");
/// # assert!(transport.open().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Control(pub(crate) TestStore);

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Control(..)")
    }
}

impl Control {
    /// Changes the state, and lets a key that waits see it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.0.lock();
        let changed = change(&mut state);
        if let Some(waker) = &state.waker {
            // Without its hub there is nothing to wake.
            let _ = waker.wake();
        }
        changed
    }

    /// The hub that serves the key is woken when something changes.
    pub(crate) fn wakes(&self, waker: Arc<Waker>) {
        self.0.lock().waker = Some(waker);
    }
}

/// The user, and the time.
impl Control {
    /// How the user touches the key from now on: at once, declining, never, after a time, or as a function says. A user
    /// who does not touch it is not verified either. A request that waits already has waited since it asked: where that is
    /// longer than [`Touch::After`] says, it is touched at once.
    pub fn set_touch(&self, touch: Touch) {
        self.change(|state| state.touch = Some(touch));
    }

    /// Whether the user consents, at once, or declines: `isUserConsenting` of WebAuthn L3 §11.2.
    pub fn set_user_consenting(&self, consents: bool) {
        self.set_touch(if consents { Touch::Auto } else { Touch::Deny });
    }

    /// The user touches the key once, or declines, for the request that waits now.
    ///
    /// # Errors
    /// [`TestError::NotAsked`]: no request waits for the user.
    pub fn touch(&self, consents: bool) -> Result<(), TestError> {
        self.change(|state| {
            state.one_touch = Some(consents).filter(|_| state.waits_for_user);
            if state.waits_for_user { Ok(()) } else { Err(TestError::NotAsked) }
        })
    }

    /// Whether a request waits for a touch or for user verification.
    pub fn waits_for_user(&self) -> bool {
        self.0.lock().waits_for_user
    }

    /// Whether the user is verified when the key tries: `isUserVerified` of WebAuthn L3 §11.9. The key has all its
    /// attempts again.
    pub fn set_user_verified(&self, verified: bool) {
        self.change(|state| state.user_verified = Some(verified));
    }

    /// The key's time. In a test's process it begins at 0, and only the test and the waiting of clients let it pass.
    /// Behind doors it is the machine's time since the key was made, and how far it was advanced.
    pub fn now(&self) -> Instant {
        self.0.lock().now()
    }

    /// Lets time pass: the key's clock jumps.
    pub fn advance(&self, duration: Duration) {
        self.change(|state| state.advance(duration));
    }
}

/// Credentials, as WebAuthn L3 §11.5 to §11.10 has them.
impl Control {
    /// Puts a credential into the key.
    ///
    /// # Errors
    /// [`TestError::CredentialIdTaken`], or which part of the credential is not valid.
    pub fn add(&self, credential: TestCredential) -> Result<HeldCredential, TestError> {
        self.change(|state| state.add(credential))
    }

    /// The credentials in the key: the discoverable ones, then the others, each in the order in which they came.
    pub fn credentials(&self) -> Vec<HeldCredential> {
        self.0.lock().credentials()
    }

    /// The private key of a credential, PKCS#8 in DER, as [`TestCredential::private_key`] takes it.
    ///
    /// # Errors
    /// [`TestError::UnknownCredential`]; [`TestError::OtherCurve`]: its algorithm is not ES256.
    pub fn private_key(&self, credential_id: &[u8]) -> Result<Vec<u8>, TestError> {
        self.0.lock().private_key(credential_id)
    }

    /// The large blob of a credential, which a client has written or [`TestCredential::large_blob`] has put in. `None`:
    /// there is none.
    pub fn large_blob(&self, credential_id: &[u8]) -> Option<Vec<u8>> {
        self.0.lock().large_blob(credential_id)
    }

    /// Removes a credential.
    ///
    /// # Errors
    /// [`TestError::UnknownCredential`].
    pub fn remove(&self, credential_id: &[u8]) -> Result<(), TestError> {
        self.change(|state| state.remove(credential_id))
    }

    /// Removes all credentials.
    ///
    /// # Errors
    /// [`TestError::Store`].
    pub fn remove_all(&self) -> Result<(), TestError> {
        self.change(|state| state.credentials().iter().try_for_each(|held| state.remove(&held.credential_id)))
    }

    /// Changes a credential's counter, or whether it is backup eligible or backed up. Whether the values fit each other
    /// is up to the test.
    ///
    /// # Errors
    /// [`TestError::UnknownCredential`].
    pub fn set_credential_properties(&self, id: &[u8], properties: CredentialProperties) -> Result<(), TestError> {
        self.change(|state| state.set_properties(id, properties))
    }

    /// Whether credentials that are registered from now on are backup eligible, and whether they are backed up:
    /// `defaultBackupEligibility` and `defaultBackupState` of WebAuthn L3 §11.2.
    pub fn set_default_backup(&self, eligibility: bool, state: bool) {
        let registered = &mut self.0.lock().registered;
        (registered.backup_eligibility, registered.backup_state) = (eligibility, state);
    }
}

/// Lies and faults.
impl Control {
    /// Says this against the truth in every response from now on, besides earlier lies.
    pub fn lie(&self, lie: Lie) {
        self.0.lock().lies.push(lie);
    }

    /// Lies no longer.
    pub fn tell_the_truth(&self) {
        self.0.lock().lies.clear();
    }

    /// Answers every request with this command so, and does nothing. It takes the place of the one before for this command.
    pub fn answer(&self, command: Command, answer: impl Into<Answer>) {
        self.0.lock().force(command, answer.into(), None);
    }

    /// Answers the next `times` requests with this command so, before the standing answer of [`Self::answer`]. Several are
    /// given in the order in which the test has named them.
    pub fn answer_times(&self, times: u32, command: Command, answer: impl Into<Answer>) {
        self.0.lock().force(command, answer.into(), Some(times));
    }

    /// Forces no answers any longer.
    pub fn clear_answers(&self) {
        self.0.lock().clear_answers();
    }

    /// Delays every response by this time. Keep-alives go out meanwhile.
    pub fn set_delay(&self, delay: Duration) {
        self.change(|state| state.delay = delay);
    }

    /// Whether the key sends keep-alives while it works on a request.
    pub fn set_keep_alives(&self, sends: bool) {
        self.change(|state| state.sends_keep_alives = sends);
    }

    /// Lets a write to the key's store fail, once: 1 is the next one. The store is as it was before. The key also writes
    /// between two commands, for example to delete what a registration has replaced.
    pub fn fail_write(&self, number: u32) {
        self.0.lock().failing_commit = Some(number);
    }

    /// Lets the clock jump when this step is reached, once.
    pub fn jump_at(&self, step: Step, duration: Duration) {
        self.0.lock().plan(step, Plan::Jump(duration));
    }

    /// Takes the key out of its port: its clients get errors, and a request under way is lost. Behind doors, connections
    /// are closed until it is plugged in again.
    pub fn unplug(&self) {
        self.change(State::unplug);
    }

    /// Takes the key out when this step is reached, once.
    pub fn unplug_at(&self, step: Step) {
        self.0.lock().plan(step, Plan::Unplug);
    }

    /// Plugs the key in, again if it was in. What is stored stays; tokens and channels are gone. Behind doors it is in when
    /// the hub has told so; should its store fail, it stays out.
    pub fn plug_in(&self) {
        self.change(|state| (state.is_plugged_in, state.powers_up) = (true, true));
    }

    /// Whether the key is plugged in, or about to be.
    pub fn is_plugged_in(&self) -> bool {
        self.0.lock().is_plugged_in
    }

    /// What the key was asked since the beginning or [`Control::clear_history`]: every CTAP2 request, also those that
    /// were answered by force. Of more than 1,000 requests, the last 1,000.
    pub fn history(&self) -> Vec<Asked> {
        self.0.lock().history.iter().cloned().collect()
    }

    /// Forgets what the key was asked.
    pub fn clear_history(&self) {
        self.0.lock().history.clear();
    }
}
