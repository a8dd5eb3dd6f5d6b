//! The work of a lookup by credential id is the same for ids that are unknown, foreign, malformed or hidden, so that
//! the time does not distinguish them. `benches/count-instructions` counts the instructions.

use keyfob_core::{
    Status,
    cbor::List,
    ctap2::{Command, CommandOptions, CredentialDescriptor, get_assertion, make_credential::Request},
    pin_uv::PinUvAuthProtocol::Two,
};

use keyfob_soft_authenticator::engine::{Event, Progress, Wait};

use super::harness::*;

/// A key with a PIN and credentials that `credProtect` hides: `stored` ones in the store, and two wrapped, one of them
/// with a blob.
fn key(stored: u8) -> (Key, Vec<Vec<u8>>) {
    let mut key = Key::new();
    let hidden = b"\xA1\x6BcredProtect\x03";
    let mut ids = vec![key.make(&extended(registration(b"w"), hidden)).unwrap().id().to_vec()];
    let with_blob = b"\xA2\x68credBlob\x44blob\x6BcredProtect\x03";
    ids.push(key.make(&extended(registration(b"w"), with_blob)).unwrap().id().to_vec());
    for user in 0..stored {
        ids.push(key.make(&extended(resident(&[user]), hidden)).unwrap().id().to_vec());
    }
    assert_eq!(key.set_pin(Two, PIN), Status::OK);
    (key, ids)
}

/// Ids that do not belong to the key.
fn foreign(usual: usize) -> Vec<Vec<u8>> {
    let mut another = Key::new();
    another.command(Command::RESET); // for another seed
    let mut ids = vec![
        another.make(&registration(b"w")).unwrap().id().to_vec(),
        another.make(&extended(registration(b"w"), b"\xA1\x68credBlob\x44blob")).unwrap().id().to_vec(),
        another.make(&resident(b"s")).unwrap().id().to_vec(),
    ];
    for len in [0, 1, 16, 31, 32, 33, usual - 1, usual, usual + 1, 98, 99, 1023, 2000] {
        for version in [0, 1] {
            ids.push(vec![version; len]);
        }
    }
    ids
}

/// Sends a request and lets the key check its list until a touch is awaited. Returns the number of steps.
fn looked_through(key: &mut Key, request: &[u8]) -> u32 {
    let (mut progress, mut steps) = (key.begin(request), 1);
    while progress == Progress::Pending(Wait::Processing) {
        let finds = CALLS.get().finds;
        progress = key.resume(Event::Tick);
        assert!(CALLS.get().finds <= finds + 1, "one look at the store a step");
        steps += 1;
    }
    assert_eq!(progress, Progress::Pending(Wait::Touch));
    key.engine.abort();
    steps
}

#[test]
fn every_id_that_is_not_to_be_found_costs_the_same_calls() {
    for stored in [0, 1, 4] {
        let (mut key, mut ids) = key(stored);
        let usual = ids[0].len();
        ids.extend(foreign(usual));
        let mut costs = Vec::new();
        for id in &ids {
            CALLS.set(Calls::default());
            let list = [CredentialDescriptor::new(id)];
            assert_eq!(key.get(&listed(assertion(), &list)).unwrap_err(), Status::NO_CREDENTIALS);
            let assertion = CALLS.replace(Calls::default());
            let options = Some(CommandOptions { up: Some(false), ..Default::default() });
            let silent = get_assertion::Request { options, ..listed(super::harness::assertion(), &list) };
            assert_eq!(key.get(&silent).unwrap_err(), Status::NO_CREDENTIALS);
            assert_eq!(CALLS.replace(Calls::default()), assertion);
            // A hidden credential is not excluded, so a registration continues to the touch.
            let request = Request { exclude_list: Some(List::Slice(&list)), ..registration(b"v") };
            assert_eq!(looked_through(&mut key, &message(Command::MAKE_CREDENTIAL, &request)), 1);
            costs.push((assertion, CALLS.replace(Calls::default())));
        }
        assert!(costs[0].0.opens == 1 && costs[0].0.hashes > 0, "{:?}", costs[0]);
        // One lookup in the index, for any contents of the store.
        assert_eq!(costs[0].0.finds, 1);
        assert!(costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
    }
}

#[test]
fn a_list_costs_the_same_wherever_the_credential_stands_in_it() {
    let mut key = Key::new();
    let made = key.make(&registration(b"u")).unwrap();
    let mut costs = Vec::new();
    for place in 0..5 {
        let mut list = [CredentialDescriptor::new(&[1; 66]); 5];
        list[place] = made.descriptor();
        CALLS.set(Calls::default());
        assert_eq!(looked_through(&mut key, &message(Command::GET_ASSERTION, &listed(assertion(), &list))), 5);
        costs.push(CALLS.replace(Calls::default()));
    }
    assert!(costs[0].opens == 5 && costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
}

#[test]
fn a_list_is_given_up_between_two_of_its_ids() {
    let mut key = Key::new();
    let list = [CredentialDescriptor::new(&[1; 66]); 64];
    for request in [
        message(Command::GET_ASSERTION, &listed(assertion(), &list)),
        message(Command::MAKE_CREDENTIAL, &Request { exclude_list: Some(List::Slice(&list)), ..registration(b"v") }),
    ] {
        assert_eq!(key.begin(&request), Progress::Pending(Wait::Processing));
        for _ in 0..30 {
            assert_eq!(key.resume(Event::Tick), Progress::Pending(Wait::Processing));
        }
        assert_eq!(key.resume(Event::Cancel), Progress::Reply(1));
        assert_eq!(key.engine.buffer()[0], Status::KEEPALIVE_CANCEL.0);
    }
}

#[test]
fn a_sign_in_without_a_list_asks_for_as_much_however_many_credentials_there_are() {
    let mut asked = Vec::new();
    for stored in [1, 2, 4] {
        let mut key = Key::new();
        for user in 0..stored {
            key.make(&resident(&[user])).unwrap();
            key.engine.response_sent();
        }
        CALLS.set(Calls::default());
        let got = key.get(&assertion()).unwrap();
        asked.push(CALLS.get().finds);
        assert_eq!(got.number.unwrap_or(1), u32::from(stored));
    }
    assert!(asked.iter().all(|finds| *finds == asked[0]), "{asked:?}");
}
