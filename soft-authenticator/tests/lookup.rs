//! What it takes to look for a credential id: the same for ids that are unknown, foreign, malformed or hidden, so that
//! time does not tell them apart. `benches/count-instructions` counts the instructions.

use keyfob_core::{
    Status,
    cbor::List,
    ctap2::{Command, CredentialDescriptor, get_assertion, make_credential::Request},
    pin_uv::Protocol::Two,
};

use super::harness::*;

/// A key with a PIN and credentials that `credProtect` hides: so many in the store, and two wrapped, one with a blob.
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

/// Ids that are none of the key's.
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
            let options = Some(get_assertion::Options { up: Some(false), ..Default::default() });
            let silent = get_assertion::Request { options, ..listed(super::harness::assertion(), &list) };
            assert_eq!(key.get(&silent).unwrap_err(), Status::NO_CREDENTIALS);
            assert_eq!(CALLS.replace(Calls::default()), assertion);
            // As an excluded credential it is none, so a registration goes on to the touch.
            let request = Request { exclude_list: Some(List::Slice(&list)), ..registration(b"v") };
            key.begin(&message(Command::MAKE_CREDENTIAL, &request));
            key.engine.abort();
            costs.push((assertion, CALLS.replace(Calls::default())));
        }
        assert!(costs[0].0.opens == 1 && costs[0].0.hashes > 0, "{:?}", costs[0]);
        // Each credential is read once, and then there is no other.
        assert_eq!(costs[0].0.finds, u32::from(stored) + 1);
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
        key.begin(&message(Command::GET_ASSERTION, &listed(assertion(), &list)));
        key.engine.abort();
        costs.push(CALLS.replace(Calls::default()));
    }
    assert!(costs[0].opens == 5 && costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
}
