//! Faults of clients, over every door of the real program: each is one function, and happens to a key at each door.
//!
//! No test measures how long something takes: a slow machine is no fault. What has to be soon is counted in keep-alives,
//! which the key sends every 90 ms of its own clock.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods)]

#[path = "doors/client.rs"]
mod client;
#[path = "doors/door.rs"]
mod door;
#[path = "doors/key.rs"]
mod key;
#[path = "doors/kills.rs"]
mod kills;
#[path = "doors/orders.rs"]
mod orders;
#[path = "doors/readers.rs"]
mod readers;

use std::{
    thread,
    time::{Duration, Instant},
};

use keyfob_core::{
    Status,
    ctap2::Command,
    transport::hid::{HidCommand, HidErrorCode, MAX_MESSAGE, REPORT_LEN},
};

use client::{Client, PATIENCE, registration};
use door::Door;
use key::at_each_door;

/// The options of a key that is the same at every door.
const FULL: &[&str] = &["--profile", "fido2_3_full"];

/// Waits until a new client gets an answer: a message that has begun keeps others out for half a second.
fn is_served_again(door: &Door) {
    let (mut client, start) = (Client::open(door), Instant::now());
    while client.call(HidCommand::PING, b"?").is_error(HidErrorCode::CHANNEL_BUSY) {
        assert!(start.elapsed() < PATIENCE, "busy with what a client has left behind");
        thread::sleep(Duration::from_millis(20));
    }
    assert!(client.is_in_step());
}

#[test]
fn a_client_that_vanishes_in_the_middle_of_a_message_leaves_the_key_to_the_next() {
    at_each_door("a_client_that_vanishes_in_the_middle_of_a_message_leaves_the_key_to_the_next", FULL, |key| {
        let request = registration("vanished.example");
        let reports = Client::open(&key.door).packets(HidCommand::CBOR, &request).len();
        for sent in 0..=reports {
            // Where the key stays plugged in, it waits half a second for the rest.
            let parts: &[usize] = if key.door.unplugs() { &[0, 1, REPORT_LEN - 1] } else { &[REPORT_LEN - 1] };
            for part in parts.iter().copied() {
                let mut client = Client::open(&key.door);
                let packets = client.packets(HidCommand::CBOR, &request);
                for packet in &packets[..sent] {
                    client.connection.send(packet).unwrap();
                }
                if let Some(next) = packets.get(sent).filter(|_| part > 0) {
                    client.connection.send_part(next, part).unwrap();
                }
                drop(client);
                is_served_again(&key.door);
            }
        }
    });
}

#[test]
fn a_client_that_vanishes_in_the_middle_of_an_answer_leaves_the_key_to_the_next() {
    at_each_door("a_client_that_vanishes_in_the_middle_of_an_answer_leaves_the_key_to_the_next", FULL, |key| {
        for read in 0..5 {
            let mut client = Client::open(&key.door);
            client.send(HidCommand::CBOR, &registration("vanished.example"));
            for _ in 0..read {
                client.report();
            }
            drop(client);
            is_served_again(&key.door);
        }
    });
}

#[test]
fn a_client_that_vanishes_while_a_touch_is_awaited_leaves_the_key_to_the_next() {
    let options = [FULL, &["--touch", "after=300"]].concat();
    at_each_door("a_client_that_vanishes_while_a_touch_is_awaited_leaves_the_key_to_the_next", &options, |key| {
        for _ in 0..3 {
            let mut client = Client::open(&key.door);
            client.send(HidCommand::CBOR, &registration("vanished.example"));
            client.waits_for_touch();
            drop(client);
            is_served_again(&key.door);
        }
    });
}

#[test]
fn of_two_clients_at_once_the_second_is_told_that_the_key_is_busy() {
    let options = [FULL, &["--touch", "after=2000"]].concat();
    at_each_door("of_two_clients_at_once_the_second_is_told_that_the_key_is_busy", &options, |key| {
        let (mut first, mut second) = (Client::open(&key.door), Client::open(&key.door));
        let select = [Command::SELECTION.0];
        first.send(HidCommand::CBOR, &select);
        first.waits_for_touch();
        for command in [HidCommand::CBOR, HidCommand::PING] {
            let answer = second.call(command, &[Command::GET_INFO.0]);
            assert!(answer.is_error(HidErrorCode::CHANNEL_BUSY), "{answer:?}");
        }
        assert_eq!(second.init().command, HidCommand::INIT, "a channel can always be resynchronised");
        second.send(HidCommand::CANCEL, &[]); // on its own channel, where nothing is to be cancelled
        assert_eq!(first.answer().status(), Status::OK);
        assert!(second.is_in_step());
    });
}

#[test]
fn a_lock_keeps_the_others_out_until_it_ends_also_when_its_holder_has_gone() {
    let options = [FULL, &["--lock"]].concat();
    at_each_door("a_lock_keeps_the_others_out_until_it_ends_also_when_its_holder_has_gone", &options, |key| {
        let (mut holder, mut other) = (Client::open(&key.door), Client::open(&key.door));
        let mut start = Instant::now();
        for seconds in [10, 3] {
            start = Instant::now();
            assert_eq!(holder.call(HidCommand::LOCK, &[seconds]).command, HidCommand::LOCK);
            for command in [HidCommand::PING, HidCommand::CBOR, HidCommand::LOCK] {
                let answer = other.call(command, &[Command::GET_INFO.0]);
                assert!(answer.is_error(HidErrorCode::CHANNEL_BUSY), "{answer:?}");
            }
            assert!(other.init().is_error(HidErrorCode::CHANNEL_BUSY));
            assert!(holder.is_in_step());
            if seconds == 10 {
                assert_eq!(holder.call(HidCommand::LOCK, &[0]).command, HidCommand::LOCK);
                assert!(other.is_in_step());
            }
        }
        drop(holder);
        while other.call(HidCommand::PING, b"?").is_error(HidErrorCode::CHANNEL_BUSY) {
            assert!(start.elapsed() < PATIENCE, "locked for ever");
            thread::sleep(Duration::from_millis(50));
        }
        assert!(start.elapsed() >= Duration::from_secs(3), "the key cannot know that one of its clients has gone");
    });
}

#[test]
fn a_key_is_plugged_in_and_unplugged_thousands_of_times() {
    at_each_door("a_key_is_plugged_in_and_unplugged_thousands_of_times", FULL, |key| {
        let cycles = if matches!(key.door, Door::Tcp(_) | Door::Unix(_)) { 10_000 } else { 100 };
        for cycle in 0..cycles {
            let mut client = Client::open(&key.door);
            if cycle % 10 == 0 {
                assert!(client.is_in_step());
            }
        }
    });
}

#[test]
fn a_key_is_replugged_by_order_again_and_again_under_its_clients() {
    at_each_door("a_key_is_replugged_by_order_again_and_again_under_its_clients", FULL, |key| {
        let has_end = !matches!(key.door, Door::Udp(_));
        for _ in 0..if has_end { 100 } else { 10 } {
            let mut client = Client::open(&key.door);
            let channel = client.channel;
            key.replug();
            let start = Instant::now();
            if has_end {
                while client.connection.receive(PATIENCE).is_ok_and(|report| report.is_some()) {}
            } else {
                // Who does not begin anew is not heard any more.
                while client.is_heard(Duration::from_millis(100)) {
                    assert!(start.elapsed() < PATIENCE, "it is not replugged");
                }
            }
            drop(client);
            let start = Instant::now();
            let mut next = loop {
                // The kernel's device is gone for a moment.
                match key.door.try_connect() {
                    Ok(_) => break Client::open(&key.door),
                    Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
                }
            };
            assert!(next.is_in_step());
            assert_ne!(next.channel, channel);
        }
    });
}

/// How many keep-alives may come between CANCEL and its answer: one that was under way, and one of the turn in which the
/// key receives it. The key looks for CANCEL in every turn, and a turn comes at least every 20 ms.
const UNDER_WAY: usize = 2;

#[test]
fn cancel_is_answered_at_every_moment_and_once() {
    let options = [FULL, &["--touch", "after=3000"]].concat();
    at_each_door("cancel_is_answered_at_every_moment_and_once", &options, |key| {
        let mut client = Client::open(&key.door);
        client.send(HidCommand::CANCEL, &[]);
        assert!(client.is_in_step(), "nothing was to be cancelled");
        let packets = client.packets(HidCommand::CBOR, &registration("cancelled.example"));
        for moment in 0..=packets.len() + 3 {
            for (sent, packet) in packets.iter().enumerate() {
                if sent == moment {
                    client.send(HidCommand::CANCEL, &[]); // of a request that is not all there: ignored
                }
                client.connection.send(packet).unwrap();
            }
            for _ in packets.len()..moment {
                client.waits_for_touch();
            }
            client.send(HidCommand::CANCEL, &[]);
            client.send(HidCommand::CANCEL, &[]);
            let answer = client.answer();
            assert_eq!(answer.status(), Status::KEEPALIVE_CANCEL, "after {moment}");
            assert!(answer.keep_alives <= UNDER_WAY, "{answer:?} after {moment}");
            client.send(HidCommand::CANCEL, &[]);
            assert!(client.is_in_step(), "one answer to three");
        }
    });
}

#[test]
fn a_registration_that_is_cancelled_while_it_is_made_is_made_or_cancelled() {
    at_each_door("a_registration_that_is_cancelled_while_it_is_made_is_made_or_cancelled", FULL, |key| {
        let mut client = Client::open(&key.door);
        for round in 0..20 {
            let rp_id = format!("round-{round}.example");
            client.send(HidCommand::CBOR, &registration(&rp_id));
            thread::sleep(Duration::from_micros(round * 100));
            client.send(HidCommand::CANCEL, &[]);
            let left = match client.answer().status() {
                Status::OK => Status::OK,
                Status::KEEPALIVE_CANCEL => Status::NO_CREDENTIALS,
                other => panic!("{other:?}"),
            };
            assert!(client.is_in_step(), "one answer");
            assert_eq!(client.sign_in(&rp_id), left);
        }
    });
}

#[test]
fn keep_alives_come_all_the_while_a_touch_is_awaited() {
    let options = [FULL, &["--touch", "after=2000"]].concat();
    at_each_door("keep_alives_come_all_the_while_a_touch_is_awaited", &options, |key| {
        let mut client = Client::open(&key.door);
        let answer = client.call(HidCommand::CBOR, &[Command::SELECTION.0]);
        assert_eq!(answer.status(), Status::OK);
        // 2 s of the key's clock: every 90 ms that is 23. A machine that stops the process loses some.
        assert!((5..=24).contains(&answer.keep_alives), "{}", answer.keep_alives);
    });
}

#[test]
fn the_longest_message_comes_back_whole_and_a_longer_one_is_refused() {
    at_each_door("the_longest_message_comes_back_whole_and_a_longer_one_is_refused", FULL, |key| {
        let mut client = Client::open(&key.door);
        let message: Vec<u8> = (0..=MAX_MESSAGE).map(|index| (index * 7 % 251) as u8).collect();
        for len in [MAX_MESSAGE, MAX_MESSAGE - 1] {
            let answer = client.call(HidCommand::PING, &message[..len]);
            assert!(answer.command == HidCommand::PING && answer.data == message[..len], "{len}");
        }
        let first = client.packets(HidCommand::PING, &message)[0];
        client.connection.send(&first).unwrap();
        assert!(client.answer().is_error(HidErrorCode::INVALID_LEN));
        assert!(client.is_in_step());
    });
}
