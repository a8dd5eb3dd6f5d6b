//! The client on executors: its futures are `Send` if their parts are, waiting for a user does not block the executor,
//! and a dropped future leaves the key usable. The key is at the end of a pipe of HID reports.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::{Context, Poll},
    thread,
    time::{Duration, Instant as Clock},
};

use keyfob_core::{
    Instant,
    client::{
        AsyncUserInteraction, BlockingInteraction, Cause, Ceremony, Error, GetAssertion, GetOptions, MakeCredential,
        MakeOptions, Operation, PinEntry, Prompt, Requirement, Session, UserInteraction,
        fido2::{ClientPolicy, Fido2Client},
        manage::*,
        run_async, run_each_async,
    },
    cose::Algorithm,
    crypto::RustCrypto,
    ctap2::{Command, CredentialParameters, RpEntity, UserEntity, large_blobs::INITIAL_ARRAY},
    large_blob::OVERHEAD,
    transport::{AsyncReportIo, hid::AsyncHidTransport},
    webauthn::{CreationOptions, DefaultClientDataCollector, RelyingParty, RequestOptions},
};
use keyfob_soft_authenticator::{
    Caps,
    devices::{KeyOptions, Touch, VirtualKey},
    engine::Config,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use tokio::sync::{mpsc as channel, oneshot};

const PIN: &str = "1234";
const HASH: [u8; 32] = [7; 32];
const ES256: &[CredentialParameters] = &[CredentialParameters::new(Algorithm::ES256)];
const USER: UserEntity<'static> = UserEntity { id: b"user", name: Some("name"), display_name: None };

type Report = [u8; 64];

/// How an executor waits.
trait Timer {
    /// The output of `future`, if it is ready within `wait`.
    async fn within<F: Future + Send>(wait: Duration, future: F) -> Option<F::Output>;
}

struct Tokio;

impl Timer for Tokio {
    async fn within<F: Future + Send>(wait: Duration, future: F) -> Option<F::Output> {
        tokio::time::timeout(wait, future).await.ok()
    }
}

struct Embassy;

impl Timer for Embassy {
    async fn within<F: Future + Send>(wait: Duration, future: F) -> Option<F::Output> {
        let wait = embassy_time::Duration::from_micros(wait.as_micros() as u64);
        embassy_time::with_timeout(wait, future).await.ok()
    }
}

/// The client's end of the pipe.
struct Pipe<T> {
    to: mpsc::Sender<Report>,
    from: channel::UnboundedReceiver<Report>,
    timer: std::marker::PhantomData<fn() -> T>,
}

#[derive(Debug)]
struct Unplugged;

impl<T: Timer> AsyncReportIo for Pipe<T> {
    type Error = Unplugged;

    async fn write(&mut self, report: &Report) -> Result<(), Unplugged> {
        self.to.send(*report).map_err(|_| Unplugged)
    }

    async fn read(&mut self, wait: Duration) -> Result<Option<Report>, Unplugged> {
        match T::within(wait, self.from.recv()).await {
            Some(report) => report.map(Some).ok_or(Unplugged),
            None => Ok(None),
        }
    }
}

fn clock() -> impl FnMut() -> Instant + Clone + Send + 'static {
    let start = Clock::now();
    move || Instant::from_millis(start.elapsed().as_millis() as u64)
}

/// Plugs in a key that works in its own thread.
fn plug<T: Timer>(touch: Touch) -> AsyncHidTransport<Pipe<T>, impl FnMut() -> Instant + Send + 'static> {
    let (to, requests) = mpsc::channel::<Report>();
    let (answers, from) = channel::unbounded_channel();
    thread::spawn(move || {
        let plain = Config::new([0xAA; 16]);
        let config = Config { caps: plain.caps.with(Caps::BUILT_IN_UV).with(Caps::BIO_ENROLL), ..plain };
        let mut buffer = vec![0; config.buffer_len()];
        let mut key = VirtualKey::new(&mut buffer, KeyOptions { touch, ..KeyOptions::new(config) }).unwrap();
        loop {
            let pause = key.work().unwrap_or(Duration::from_millis(20));
            while let Some(report) = key.transmit() {
                if answers.send(report).is_err() {
                    return;
                }
            }
            match requests.recv_timeout(pause) {
                Ok(report) => key.receive(&report),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
        }
    });
    AsyncHidTransport::new(Pipe { to, from, timer: std::marker::PhantomData }, clock(), [1; 8])
}

/// A user who enters the PIN after a moment.
struct Slow;

impl AsyncUserInteraction for Slow {
    async fn request_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        tokio::task::yield_now().await;
        pin.set(PIN);
        true
    }

    async fn request_new_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        tokio::task::yield_now().await;
        pin.set(PIN);
        true
    }
}

/// A user who enters the PIN at once.
struct Quick;

impl UserInteraction for Quick {
    fn request_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        pin.set(PIN);
        true
    }
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(8)
}

/// Checks that a future is `Send`.
fn movable<F: Future + Send>(future: F) -> F {
    future
}

fn make_options() -> MakeOptions<'static> {
    let mut options = MakeOptions::new(&HASH, RpEntity { id: "example.org", name: None }, USER, ES256);
    options.resident_key = Requirement::Required;
    options
}

/// Runs an operation to its end.
async fn run_in<'b, O: Operation, C: FnMut() -> Instant>(
    buffer: &'b mut [u8],
    transport: &mut AsyncHidTransport<Pipe<Tokio>, C>,
    operation: O,
) -> Result<O::Outcome<'b>, Error> {
    run_async(Ceremony::new(operation, buffer, RustCrypto, rng()), transport, &mut Slow, clock()).await
}

/// Runs an operation whose outcome is not needed.
async fn run<O: Operation, C: FnMut() -> Instant>(
    operation: O,
    transport: &mut AsyncHidTransport<Pipe<Tokio>, C>,
) -> Result<(), Error> {
    run_in(&mut [0; 4096], transport, operation).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_is_spawned_on_threads() {
    let task = tokio::spawn(async move {
        let (mut transport, mut buffer, mut memory) = (plug::<Tokio>(Touch::Auto), [0; 4096], [0; 2048 + OVERHEAD]);
        run_in(&mut buffer, &mut transport, SetPin).await.unwrap();
        run_in(&mut buffer, &mut transport, ChangePin).await.unwrap();
        assert_eq!(run_in(&mut buffer, &mut transport, Retries::of_pin()).await.unwrap().retries, 8);
        let options = make_options();
        let made = run_in(&mut buffer, &mut transport, MakeCredential::new(&options)).await.unwrap();
        let id = made.auth_data.attested_credential_data.unwrap().credential_id.to_vec();
        let options = GetOptions::new("example.org", &HASH);
        assert_eq!(
            run_in(&mut buffer, &mut transport, GetAssertion::new(&options))
                .await
                .unwrap()
                .get(0)
                .unwrap()
                .credential_id,
            id
        );
        let access = Access::User;
        assert_eq!(run_in(&mut buffer, &mut transport, CredentialsMetadata::new(access)).await.unwrap().existing, 1);
        let mut hashes = Vec::new();
        let list = Ceremony::new(ListRelyingParties::new(access), &mut buffer, RustCrypto, rng());
        let mut user = BlockingInteraction(Quick);
        let listed = run_each_async(list, &mut transport, &mut user, clock(), |item| hashes.push(*item.rp_id_hash));
        assert_eq!(movable(listed).await.unwrap(), 1);
        assert_eq!(run_in(&mut buffer, &mut transport, ListCredentials::new(&hashes[0], access)).await.unwrap(), 1);
        run_in(&mut buffer, &mut transport, UpdateUser::new(&id, UserEntity { name: Some("new"), ..USER }))
            .await
            .unwrap();
        run_in(&mut buffer, &mut transport, DeleteCredential::new(&id)).await.unwrap();
        run_in(&mut buffer, &mut transport, GetPersistentToken::new()).await.unwrap();
        run_in(&mut buffer, &mut transport, SensorInfo::new()).await.unwrap();
        let template = run_in(&mut buffer, &mut transport, Enroll::new(None)).await.unwrap().to_vec();
        assert_eq!(run_in(&mut buffer, &mut transport, ListFingerprints::new()).await.unwrap().len(), 1);
        run_in(&mut buffer, &mut transport, ChangeFingerprints::rename(&template, "thumb")).await.unwrap();
        run_in(&mut buffer, &mut transport, ChangeFingerprints::remove(&template)).await.unwrap();
        run_in(&mut buffer, &mut transport, CancelEnrollment::new()).await.unwrap();
        run_in(&mut buffer, &mut transport, ReadLargeBlobs::new(&mut memory)).await.unwrap();
        run_in(&mut buffer, &mut transport, WriteLargeBlobs::new(&INITIAL_ARRAY)).await.unwrap();
        run_in(&mut buffer, &mut transport, Configure::new(ConfigSubcommand::ToggleAlwaysUv)).await.unwrap();
        run_in(&mut buffer, &mut transport, GetInfo).await.unwrap();
        run_in(&mut buffer, &mut transport, Selection::new()).await.unwrap();
        run_in(&mut buffer, &mut transport, RawCommand::new(Command::GET_INFO, &[])).await.unwrap();
        run_in(&mut buffer, &mut transport, Reset).await.unwrap();
    });
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_webauthn_is_spawned_on_threads() {
    let task = tokio::spawn(async move {
        let collector = DefaultClientDataCollector::new("https://example.org");
        let transport = plug::<Tokio>(Touch::Auto);
        let mut client = Fido2Client::new(transport, collector, Slow, RustCrypto, rng(), clock());
        client.policy = ClientPolicy::STANDARD;
        let (mut json, mut buffer) = ([0; 512], [0; 4096]);
        assert!(movable(client.info_async(&mut buffer)).await.unwrap().options.is_some());
        movable(client.selection_async(&mut buffer)).await.unwrap();
        movable(client.run_async(SetPin, &mut buffer)).await.unwrap();
        let party = RelyingParty { id: Some("example.org"), name: "Example" };
        let creation = client.creation(&CreationOptions::new(party, USER, &[1; 16], ES256), &mut json).unwrap();
        let made = movable(client.make_credential_async(&creation, &mut buffer)).await.unwrap();
        let id = made.credential_id().to_vec();
        let allowed = [keyfob_core::ctap2::CredentialDescriptor::new(&id)];
        let mut json = [0; 512];
        let options = RequestOptions {
            rp_id: Some("example.org"),
            allow_credentials: Some((&allowed[..]).into()),
            ..RequestOptions::new(&[2; 16])
        };
        let request = client.request(&options, &mut json).unwrap();
        let got = movable(client.get_assertion_async(&request, &mut [], &mut buffer)).await.unwrap();
        assert_eq!(movable(got.choose_async(&mut Slow)).await.unwrap().credential_id(), id);
        let (mut session, metadata) = (Session::new(), CredentialsMetadata::new(Access::User));
        movable(client.manage_async(&mut session, metadata, &mut buffer, |_| ())).await.unwrap();
    });
    task.await.unwrap();
}

/// A user whose PIN comes from another task.
struct Dialog(Option<oneshot::Receiver<&'static str>>);

impl AsyncUserInteraction for Dialog {
    async fn request_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        let Some(typed) = self.0.take() else { return false };
        pin.set(typed.await.unwrap());
        true
    }
}

#[tokio::test]
async fn a_pin_dialog_does_not_hold_up_the_executor() {
    let mut transport = plug::<Tokio>(Touch::Auto);
    run(SetPin, &mut transport).await.unwrap();
    let (typed, dialog) = oneshot::channel();
    let (options, mut buffer) = (make_options(), [0; 4096]);
    let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, RustCrypto, rng());
    let mut user = Dialog(Some(dialog));
    // Both on one thread: the PIN comes from a task that runs while the ceremony waits for it.
    let ceremony = run_async(ceremony, &mut transport, &mut user, clock());
    let typing = async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        typed.send(PIN).unwrap();
    };
    let (made, ()) = tokio::join!(ceremony, typing);
    made.unwrap();
}

/// The first polls of a future.
struct Polls<F>(u32, Pin<Box<F>>);

impl<F: Future> Future for Polls<F> {
    /// `None` if it was not finished.
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.1.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        self.0 -= 1;
        if self.0 == 0 { Poll::Ready(None) } else { Poll::Pending }
    }
}

#[tokio::test]
async fn a_registration_dropped_at_any_await_leaves_the_key_usable() {
    let mut transport = plug::<Tokio>(Touch::Auto);
    run(SetPin, &mut transport).await.unwrap();
    let options = make_options();
    for polls in 1.. {
        let dropped = Polls(polls, Box::pin(run(MakeCredential::new(&options), &mut transport))).await;
        run(MakeCredential::new(&options), &mut transport).await.unwrap();
        if let Some(made) = dropped {
            made.unwrap();
            assert!(polls > 5, "a registration that is never waited for shows nothing");
            return;
        }
    }
}

#[tokio::test]
async fn a_registration_dropped_while_the_key_waits_for_a_touch_leaves_it_usable() {
    let touched = Arc::new(AtomicBool::new(false));
    let (asked, user) = (Arc::new(AtomicBool::new(false)), touched.clone());
    let was_asked = asked.clone();
    let touch = Touch::Ask(Box::new(move |_| {
        asked.store(true, Ordering::SeqCst);
        user.load(Ordering::SeqCst).then_some(true)
    }));
    let mut transport = plug::<Tokio>(touch);
    let options = make_options();
    let waiting = async {
        while !was_asked.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        made = run(MakeCredential::new(&options), &mut transport) => panic!("{made:?} without a touch"),
        () = waiting => {}
    }
    touched.store(true, Ordering::SeqCst);
    run(MakeCredential::new(&options), &mut transport).await.unwrap();
    let metadata = run(CredentialsMetadata::new(Access::User), &mut transport).await;
    assert_eq!(metadata.unwrap_err().cause, Cause::PinNotSet, "the key answers what it was asked, and nothing older");
}

#[embassy_executor::task]
async fn on_embassy(done: mpsc::Sender<Vec<u8>>) {
    let (mut transport, mut buffer, options) = (plug::<Embassy>(Touch::Auto), [0; 4096], make_options());
    let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, RustCrypto, rng());
    let made = run_async(ceremony, &mut transport, &mut BlockingInteraction(Quick), clock()).await.unwrap();
    let id = made.auth_data.attested_credential_data.unwrap().credential_id.to_vec();
    let options = GetOptions::new("example.org", &HASH);
    // The ceremony is dropped and repeated.
    for wait in [1, 60_000] {
        let mut buffer = [0; 4096];
        let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, RustCrypto, rng());
        let mut user = BlockingInteraction(Quick);
        let signing = pin!(run_async(ceremony, &mut transport, &mut user, clock()));
        let got = embassy_time::with_timeout(embassy_time::Duration::from_millis(wait), signing).await;
        if let Ok(got) = got {
            assert_eq!(got.unwrap().get(0).unwrap().credential_id, id);
        }
    }
    done.send(id).unwrap();
}

#[test]
fn an_executor_of_embassy_registers_and_signs_in() {
    let (done, finished) = mpsc::channel();
    thread::spawn(move || {
        let executor = Box::leak(Box::new(embassy_executor::Executor::new()));
        executor.run(|spawner| spawner.spawn(on_embassy(done).unwrap()));
    });
    let id = finished.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(!id.is_empty());
}
