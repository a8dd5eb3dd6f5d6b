//! Clients that do not read.

use std::{thread, time::Duration};

use keyfob_core::transport::hid::{HidCommand, MAX_MESSAGE};

use super::{FULL, client::Client, door::Door, key::at_each_door};

/// How long a client waits that is not let to send more.
const BLOCKED: Duration = Duration::from_millis(300);

/// Sends PINGs and reads no answers, until the key lets it send no more or it has sent many.
fn sends_and_does_not_read(door: &Door) -> Client {
    let mut client = Client::open(door);
    let ping = client.packets(HidCommand::PING, &[5; 57])[0];
    // A connection holds some megabytes in each direction.
    let most = if door.waits_for_readers() { 1_000_000 } else { 150_000 };
    let mut sent = 0;
    while sent < most && client.connection.can_send(BLOCKED) {
        client.connection.send(&ping).unwrap();
        sent += 1;
    }
    assert_eq!(sent < most, door.waits_for_readers(), "{sent}");
    if matches!(door, Door::Udp(_)) {
        thread::sleep(BLOCKED); // until the key has read them: what comes in the meantime is lost
    }
    client
}

/// Where answers wait for their reader, so does what it sends, and it is closed in the end. On the others, as with
/// hidraw, it loses answers.
#[test]
fn a_client_that_sends_and_does_not_read_holds_up_nobody() {
    at_each_door("readers::a_client_that_sends_and_does_not_read_holds_up_nobody", FULL, |key| {
        let mut stuck = sends_and_does_not_read(&key.door);
        let message = [7; MAX_MESSAGE];
        for _ in 0..3 {
            let answer = Client::open(&key.door).call(HidCommand::PING, &message);
            assert_eq!(answer.data, message);
        }
        if key.door.waits_for_readers() {
            assert!(stuck.connection.is_closed(super::PATIENCE));
        } else {
            while stuck.connection.receive(BLOCKED).unwrap().is_some() {}
            assert!(stuck.is_in_step(), "it is closed");
        }
    });
}

#[test]
fn a_client_that_only_opens_the_key_holds_up_nobody() {
    at_each_door("readers::a_client_that_only_opens_the_key_holds_up_nobody", FULL, |key| {
        let idle = Client::open(&key.door);
        let mut client = Client::open(&key.door);
        let message = [7; MAX_MESSAGE];
        for _ in 0..8 {
            assert_eq!(client.call(HidCommand::PING, &message).data, message);
        }
        drop(idle);
        assert!(client.is_in_step());
    });
}
