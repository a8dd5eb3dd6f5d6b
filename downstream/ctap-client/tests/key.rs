//! What the client makes of a key that works, and of one that does not.

use std::time::Duration;

use downstream_ctap_client::{Client, Device, Error, Gone, REPORT};
use keyfob_core::{Status, ctap2::Command, transport::ReportIo};
use keyfob_soft_authenticator::{
    devices::Touch,
    testing::{Step, TestKey, TestPort},
};

/// The port of a key, as this client sees devices.
struct Port(TestPort);

impl Device for Port {
    fn write(&mut self, report: &[u8; REPORT]) -> Result<(), Gone> {
        self.0.write(report).map_err(|_| Gone)
    }

    fn read(&mut self, wait: Duration) -> Result<Option<[u8; REPORT]>, Gone> {
        self.0.read(wait).map_err(|_| Gone)
    }
}

fn client(key: &TestKey) -> Client<Port> {
    Client::open(Port(key.port()), *b"a nonce!").unwrap()
}

fn register(key: &TestKey) -> Result<Vec<u8>, Error> {
    client(key).register("example.org", b"user-0001", &[7; 32])
}

#[test]
fn a_key_says_its_versions_and_registers() {
    let key = TestKey::seeded(5);
    assert!(client(&key).versions().unwrap().contains(&"FIDO_2_0".to_owned()));
    // User verification is never asked for, so the key waits for a touch.
    let auth_data = register(&key).unwrap();
    assert_eq!(auth_data[32] & 0x45, 0x41, "user present, not verified, with a credential");
    assert_eq!(key.credentials().len(), 1);
    let asked = key.history();
    let commands: Vec<Command> = asked.iter().map(|asked| asked.command).collect();
    assert_eq!(commands, [Command::GET_INFO, Command::MAKE_CREDENTIAL]);
    assert_eq!(asked[1].rp_id.as_deref(), Some("example.org"));
}

#[test]
fn a_status_is_the_reason_of_a_failure() {
    let key = TestKey::seeded(5);
    key.set_user_consenting(false);
    assert_eq!(register(&key), Err(Error::Status(Status::OPERATION_DENIED.0)));
    key.answer(Command::MAKE_CREDENTIAL, Status::KEY_STORE_FULL);
    assert_eq!(register(&key), Err(Error::Status(Status::KEY_STORE_FULL.0)));
}

#[test]
fn a_slow_key_is_waited_for_while_it_sends_keep_alives() {
    let key = TestKey::seeded(5);
    key.set_delay(Duration::from_secs(20));
    assert!(register(&key).is_ok());
    key.set_keep_alives(false);
    assert_eq!(register(&key), Err(Error::Silent));
}

#[test]
fn a_user_who_never_touches_ends_in_the_keys_timeout() {
    let key = TestKey::seeded(5);
    key.set_touch(Touch::Never);
    assert_eq!(register(&key), Err(Error::Status(Status::USER_ACTION_TIMEOUT.0)));
    // A key whose user has longer: the client gives up first.
    key.set_touch(Touch::Auto);
    key.set_delay(Duration::from_secs(90));
    assert_eq!(register(&key), Err(Error::NotTouched));
    key.set_delay(Duration::ZERO);
    assert_eq!(register(&key).map(|_| ()), Ok(()));
}

#[test]
fn a_key_that_is_pulled_out_is_gone() {
    let key = TestKey::seeded(5);
    key.unplug_at(Step::Touch);
    assert_eq!(register(&key), Err(Error::Gone));
}

#[test]
fn nonsense_is_no_response() {
    let key = TestKey::seeded(5);
    key.answer(Command::MAKE_CREDENTIAL, vec![0, 0xFF, 0xFF]);
    assert_eq!(register(&key), Err(Error::Malformed("the CBOR of a response")));
    key.answer(Command::GET_INFO, vec![0, 0xA0]);
    assert_eq!(client(&key).versions(), Err(Error::Malformed("no versions")));
}
