//! Every async operation of the client as a task of a multi-threaded tokio, over a pipe of tokio's own.

#[cfg(test)]
mod serial;
#[cfg(test)]
mod usb;

#[cfg(test)]
mod tests {
    use std::future::Future;

    use keyfob_core::{
        Instant,
        cbor::List,
        client::{
            AsyncUserInteraction, Ceremony, Error, GetAssertion, GetOptions, MakeCredential, MakeOptions, Operation,
            PinEntry, Prompt, Session,
            fido2::Fido2Client,
            manage::{
                Access, CancelEnrollment, ChangeFingerprints, ChangePin, ConfigSubcommand, Configure,
                CredentialsMetadata, DeleteCredential, Enroll, GetInfo, GetPersistentToken, ListCredentials,
                ListFingerprints, ListRelyingParties, RawCommand, ReadLargeBlobs, Reset, Retries, Selection,
                SensorInfo, SetPin, UpdateUser, WriteLargeBlobs,
            },
            run_async,
        },
        cose::Algorithm,
        crypto::RustCrypto,
        ctap2::{Command, CredentialDescriptor, CredentialParameters, RpEntity, UserEntity},
        transport::hid::AsyncHidTransport,
        webauthn::{CreationOptions, DefaultClientDataCollector, RelyingParty, RequestOptions, Requirement},
    };
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::usb::{Usb, now, plug_in};

    /// A dialog that yields to the executor before it answers.
    pub struct Dialog;

    impl AsyncUserInteraction for Dialog {
        async fn request_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool {
            tokio::task::yield_now().await;
            pin.set("1234");
            true
        }

        async fn request_new_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
            self.request_pin(prompt, pin).await
        }
    }

    /// A key, and all that its ceremonies need.
    struct Desk {
        transport: AsyncHidTransport<Usb, fn() -> Instant>,
        rng: ChaCha20Rng,
        buffer: Vec<u8>,
    }

    impl Desk {
        fn new() -> Self {
            let transport = AsyncHidTransport::new(plug_in(), now as fn() -> Instant, [7; 8]);
            Self { transport, rng: ChaCha20Rng::seed_from_u64(1), buffer: vec![0; 8_192] }
        }

        async fn run<O: Operation>(&mut self, operation: O) -> Result<O::Outcome<'_>, Error> {
            let ceremony = Ceremony::new(operation, &mut self.buffer, RustCrypto, &mut self.rng);
            run_async(ceremony, &mut self.transport, &mut Dialog, now).await
        }
    }

    /// Runs `task` on another thread, if the executor likes.
    async fn spawned<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> T {
        tokio::spawn(task).await.unwrap()
    }

    const HASH: [u8; 32] = [1; 32];
    const USER: UserEntity<'static> = UserEntity { id: &[1], name: Some("alice"), display_name: None };

    #[tokio::test(flavor = "multi_thread")]
    async fn ceremonies_and_management_run_as_tasks() {
        let mut desk = Desk::new();
        desk = spawned(async move {
            assert!(desk.run(GetInfo).await.is_ok());
            desk
        })
        .await;
        desk = spawned(async move {
            desk.run(SetPin).await.unwrap();
            desk.run(ChangePin).await.unwrap();
            desk.run(Retries::of_pin()).await.unwrap();
            desk
        })
        .await;
        desk = spawned(async move {
            let algorithms = [CredentialParameters::new(Algorithm::ES256)];
            let rp = RpEntity { id: "example.org", name: None };
            let mut options = MakeOptions::new(&HASH, rp, USER, &algorithms);
            options.resident_key = Requirement::Required;
            desk.run(MakeCredential::new(&options)).await.unwrap();
            desk
        })
        .await;
        desk = spawned(async move {
            let options = GetOptions::new("example.org", &HASH);
            assert_eq!(desk.run(GetAssertion::new(&options)).await.unwrap().len(), 1);
            desk
        })
        .await;
        desk = spawned(async move {
            desk.run(CredentialsMetadata::new(Access::User)).await.unwrap();
            desk.run(ListRelyingParties::new(Access::User)).await.unwrap();
            desk.run(Configure::new(ConfigSubcommand::ToggleAlwaysUv)).await.unwrap();
            desk.run(Selection::new()).await.unwrap();
            desk
        })
        .await;
        spawned(async move { desk.run(Reset).await.unwrap() }).await;
    }

    /// Takes what an executor with threads takes.
    fn takes<F: Future + Send>(_: F) {}

    #[test]
    fn the_futures_of_all_other_operations_can_change_threads() {
        let mut desk = Desk::new();
        takes(desk.run(GetPersistentToken::new()));
        takes(desk.run(Retries::of_uv()));
        takes(desk.run(ListCredentials::new(&HASH, Access::User)));
        takes(desk.run(UpdateUser::new(&[1], USER)));
        takes(desk.run(DeleteCredential::new(&[1])));
        takes(desk.run(SensorInfo::new()));
        takes(desk.run(Enroll::new(None)));
        takes(desk.run(ListFingerprints::new()));
        takes(desk.run(ChangeFingerprints::remove(&[1])));
        takes(desk.run(CancelEnrollment::new()));
        takes(desk.run(ReadLargeBlobs::new(&mut [0; 1_024])));
        takes(desk.run(WriteLargeBlobs::new(&[0; 17])));
        takes(desk.run(RawCommand::new(Command::GET_INFO, &[])));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_client_in_one_value_runs_as_a_task() {
        spawned(async move {
            let Desk { transport, rng, mut buffer } = Desk::new();
            let collector = DefaultClientDataCollector::new("https://example.org");
            let mut client = Fido2Client::new(transport, collector, Dialog, RustCrypto, rng, now as fn() -> Instant);
            client.info_async(&mut buffer).await.unwrap();
            client.manage_async(&mut Session::new(), SetPin, &mut buffer, |_| ()).await.unwrap();
            client.selection_async(&mut buffer).await.unwrap();

            let parameters = [CredentialParameters::new(Algorithm::ES256)];
            let rp = RelyingParty { id: Some("example.org"), name: "Example" };
            let options = CreationOptions::new(rp, USER, &HASH, &parameters);
            let mut client_data = [0; 1_024];
            let creation = client.creation(&options, &mut client_data).unwrap();
            let made = client.make_credential_async(&creation, &mut buffer).await.unwrap();
            let id = made.credential_id().to_vec();

            let allowed = [CredentialDescriptor::new(&id)];
            let options =
                RequestOptions { allow_credentials: Some(List::Slice(&allowed)), ..RequestOptions::new(&HASH) };
            let mut client_data = [0; 1_024];
            let request = client.request(&options, &mut client_data).unwrap();
            let responses = client.get_assertion_async(&request, &mut [], &mut buffer).await.unwrap();
            assert!(responses.get(0).is_some());
        })
        .await;
    }
}
