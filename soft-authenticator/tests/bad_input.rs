//! Requests that violate the standard: every member with every wrong type, truncated, missing and much too long. The
//! answer has the right status, no touch is requested, and nothing is stored.

use keyfob_core::{
    Status,
    cbor::{List, Text, Writer},
    cose::Algorithm,
    ctap2::{Command, CredentialDescriptor, CredentialParameters, PUBLIC_KEY, make_credential::Request},
};
use keyfob_soft_authenticator::engine::Config;

use super::harness::*;

/// A CBOR item.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    Int(i64),
    Bytes(Vec<u8>),
    Text(&'static str),
    Array(Vec<Item>),
    Map(Vec<(Item, Item)>),
    /// An encoded item: a boolean, or a type that CTAP does not use.
    Raw(&'static [u8]),
}
use Item::{Array, Bytes, Int, Map, Raw};

const TRUE: Item = Raw(b"\xF5");

impl Item {
    fn write(&self, w: &mut Writer<'_>) {
        match self {
            Int(value) => w.integer(*value),
            Bytes(bytes) => w.bytes(bytes),
            Item::Text(text) => w.text(text),
            Array(items) => {
                w.array(items.len());
                items.iter().for_each(|item| item.write(w));
            }
            Map(entries) => {
                w.map(entries.len());
                entries.iter().for_each(|(key, value)| {
                    key.write(w);
                    value.write(w);
                });
            }
            Raw(raw) => w.raw(raw),
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Int(0..) => 0,
            Int(_) => 1,
            Bytes(_) => 2,
            Item::Text(_) => 3,
            Array(_) => 4,
            Map(_) => 5,
            Raw(_) => 7,
        }
    }

    /// The paths to all items below this one.
    fn paths(&self) -> Vec<Vec<usize>> {
        let below: Vec<&Item> = match self {
            Array(items) => items.iter().collect(),
            Map(entries) => entries.iter().map(|(_, value)| value).collect(),
            _ => return vec![],
        };
        let mut paths = Vec::new();
        for (index, item) in below.into_iter().enumerate() {
            paths.push(vec![index]);
            paths.extend(item.paths().into_iter().map(|path| [vec![index], path].concat()));
        }
        paths
    }

    fn at(&mut self, path: &[usize]) -> &mut Item {
        let Some((first, rest)) = path.split_first() else { return self };
        match self {
            Array(items) => items[*first].at(rest),
            Map(entries) => entries[*first].1.at(rest),
            _ => unreachable!("a path leads through lists and maps"),
        }
    }

    /// The keys on the path.
    fn name(&self, path: &[usize]) -> String {
        let Some((first, rest)) = path.split_first() else { return String::new() };
        match self {
            Array(items) => format!("[{first}]{}", items[*first].name(rest)),
            Map(entries) => format!("/{:?}{}", entries[*first].0, entries[*first].1.name(rest)),
            _ => unreachable!("a path leads through lists and maps"),
        }
    }
}

fn text(entries: &[(&'static str, Item)]) -> Item {
    Map(entries.iter().map(|(key, value)| (Item::Text(key), value.clone())).collect())
}

fn int(entries: &[(i64, Item)]) -> Item {
    Map(entries.iter().map(|(key, value)| (Int(*key), value.clone())).collect())
}

fn bytes(len: usize) -> Item {
    Bytes(vec![7; len])
}

fn encoded(command: Command, parameters: &Item) -> Vec<u8> {
    let mut buffer = vec![0; 20_000];
    let mut w = Writer::new(&mut buffer);
    w.byte(command.0);
    parameters.write(&mut w);
    let len = w.finish().unwrap();
    buffer.truncate(len);
    buffer
}

fn descriptors() -> Item {
    let transports = Array(vec![Item::Text("usb"), Item::Text("nfc")]);
    Array(vec![text(&[("id", bytes(66)), ("type", Item::Text("public-key")), ("transports", transports)])])
}

fn salts() -> Item {
    let key = int(&[(1, Int(2)), (3, Int(-25)), (-1, Int(1)), (-2, bytes(32)), (-3, bytes(32))]);
    int(&[(1, key), (2, bytes(48)), (3, bytes(32)), (4, Int(2))])
}

/// Requests with every member, as valid as possible for a key without a PIN.
fn requests() -> [(Command, Item, &'static [usize]); 2] {
    let make_extensions = text(&[
        ("uvm", TRUE),
        ("credBlob", bytes(9)),
        ("largeBlob", text(&[("support", Item::Text("preferred"))])),
        ("credProtect", Int(2)),
        ("hmac-secret", TRUE),
        ("largeBlobKey", TRUE),
        ("minPinLength", TRUE),
        ("hmac-secret-mc", salts()),
        ("thirdPartyPayment", TRUE),
        ("pinComplexityPolicy", TRUE),
    ]);
    let get_extensions = text(&[
        ("uvm", TRUE),
        ("credBlob", TRUE),
        ("largeBlob", text(&[("read", TRUE), ("write", bytes(3)), ("originalSize", Int(3))])),
        ("hmac-secret", salts()),
        ("largeBlobKey", TRUE),
        ("thirdPartyPayment", TRUE),
    ]);
    let user = text(&[("id", bytes(8)), ("name", Item::Text("n")), ("displayName", Item::Text("d"))]);
    let make = int(&[
        (1, bytes(32)),
        (2, text(&[("id", Item::Text(RP)), ("name", Item::Text("n"))])),
        (3, user),
        (4, Array(vec![text(&[("alg", Int(-7)), ("type", Item::Text("public-key"))])])),
        (5, descriptors()),
        (6, make_extensions),
        (7, text(&[("rk", TRUE), ("up", TRUE), ("uv", TRUE)])),
        (8, bytes(32)),
        (9, Int(2)),
        (11, Array(vec![Item::Text("packed")])),
    ]);
    let get = int(&[
        (1, Item::Text(RP)),
        (2, bytes(32)),
        (3, descriptors()),
        (4, get_extensions),
        (5, text(&[("up", TRUE), ("uv", TRUE)])),
        (6, bytes(32)),
        (7, Int(2)),
    ]);
    [(Command::MAKE_CREDENTIAL, make, &[0, 1, 2, 3]), (Command::GET_ASSERTION, get, &[0, 1])]
}

/// A key with a credential whose id, of 66 bytes, is put into the getAssertion request.
fn key(request: &mut Item, command: Command) -> Key {
    let mut key = Key::new();
    if command == Command::GET_ASSERTION {
        let made = key.make(&registration(b"u")).unwrap();
        *request.at(&[2, 0, 0]) = Bytes(made.id().into());
    }
    key
}

#[track_caller]
fn refused(key: &mut Key, request: &[u8], expected: &[Status], what: &str) {
    let (commits, touches) = (key.store.applied(), key.touches);
    let status = key.status(request);
    assert!(expected.contains(&status), "{status:?}: {what}");
    assert_eq!((key.store.applied(), key.touches), (commits, touches), "{what}");
}

#[test]
fn every_member_of_every_wrong_type_is_an_unexpected_type() {
    let wrong = [
        Int(1),
        Int(-1),
        bytes(32),
        Item::Text("public-key"),
        Array(vec![]),
        Map(vec![]),
        TRUE,
        Raw(b"\xF6"),         // null
        Raw(b"\xF9\x3C\x00"), // 1.0
    ];
    for (command, mut request, _) in requests() {
        let mut key = key(&mut request, command);
        let mut cases = 0;
        for path in request.paths() {
            let right = request.clone().at(&path).clone();
            let name = request.name(&path);
            let in_cose_key = name.contains("Int(1)/Int(") && name.contains("hmac");
            for wrong in &wrong {
                let either_sign = (right == Int(-7) || in_cose_key) && wrong.kind() <= 1;
                let is_boolean = |item: &Item| *item == TRUE;
                if right.kind() == wrong.kind() && is_boolean(&right) == is_boolean(wrong) || either_sign {
                    continue;
                }
                let mut request = request.clone();
                *request.at(&path) = wrong.clone();
                // An empty map lacks its required members; in a COSE key, the type decides which members it has.
                let expected = match (in_cose_key, wrong) {
                    (true, _) => &[Status::CBOR_UNEXPECTED_TYPE, Status::MISSING_PARAMETER, Status::INVALID_CBOR][..],
                    // CTAP does not use floats.
                    (false, Raw(b"\xF9\x3C\x00")) => &[Status::CBOR_UNEXPECTED_TYPE, Status::INVALID_CBOR],
                    (false, _) => &[Status::CBOR_UNEXPECTED_TYPE],
                };
                refused(&mut key, &encoded(command, &request), expected, &format!("{name} is {wrong:?}"));
                cases += 1;
            }
        }
        assert!(cases > 150, "{cases} cases");
    }
}

#[test]
fn a_request_that_is_cut_off_anywhere_is_invalid_cbor() {
    for (command, mut request, _) in requests() {
        let mut key = key(&mut request, command);
        let whole = encoded(command, &request);
        for len in 1..whole.len() {
            refused(&mut key, &whole[..len], &[Status::INVALID_CBOR], &format!("{len} bytes"));
        }
        refused(&mut key, &[&whole[..], &[0]].concat(), &[Status::INVALID_CBOR], "a byte more");
    }
}

#[test]
fn a_required_member_that_is_missing_is_told_so() {
    for (command, mut request, required) in requests() {
        let mut key = key(&mut request, command);
        for index in required {
            let mut request = request.clone();
            let Map(entries) = &mut request else { unreachable!() };
            let name = entries.remove(*index).0;
            refused(&mut key, &encoded(command, &request), &[Status::MISSING_PARAMETER], &format!("{name:?}"));
        }
    }
    let nested: [(usize, &[usize], usize); 8] = [
        (0, &[1], 0),
        (0, &[2], 0),
        (0, &[3, 0], 0),
        (0, &[3, 0], 1),
        (0, &[4, 0], 0),
        (0, &[4, 0], 1),
        (1, &[2, 0], 0),
        (1, &[2, 0], 1),
    ];
    for (which, path, index) in nested {
        let (command, mut request, _) = requests()[which].clone();
        let mut key = Key::new();
        let Map(entries) = request.at(path) else { unreachable!() };
        let name = entries.remove(index).0;
        refused(&mut key, &encoded(command, &request), &[Status::MISSING_PARAMETER], &format!("{path:?} {name:?}"));
    }
}

#[test]
fn hashes_have_32_bytes() {
    for (command, mut request, _) in requests() {
        let mut key = key(&mut request, command);
        let at = usize::from(command == Command::GET_ASSERTION);
        for len in [0, 16, 31, 33, 64] {
            *request.at(&[at]) = bytes(len);
            let what = format!("{len} bytes");
            refused(&mut key, &encoded(command, &request), &[Status::INVALID_PARAMETER], &what);
        }
    }
}

#[test]
fn lists_and_transports_of_any_length_are_taken() {
    let mut key = Key::with(Config { max_msg_size: 20_000, ..Config::new([0; 16]) });
    let made = key.make(&registration(b"u")).unwrap();

    let transports = vec![Text::new("a transport of the future"); 400]; // 10 kB
    let descriptor = CredentialDescriptor { transports: Some(List::Slice(&transports)), ..made.descriptor() };
    assert!(key.get(&listed(assertion(), &[descriptor])).unwrap().is_by(&made));
    let list = [CredentialDescriptor { id: &[1; 66], ..descriptor }];
    key.make(&Request { exclude_list: Some(List::Slice(&list)), ..registration(b"v") }).unwrap();
    let list = [CredentialDescriptor { kind: PUBLIC_KEY, ..descriptor }];
    let excluded = key.make(&Request { exclude_list: Some(List::Slice(&list)), ..registration(b"v") });
    assert_eq!(excluded.unwrap_err(), Status::CREDENTIAL_EXCLUDED);

    let mut parameters = vec![CredentialParameters::new(Algorithm::RS1); 800];
    parameters.push(CredentialParameters::new(Algorithm::EDDSA));
    let request = Request { pub_key_cred_params: List::Slice(&parameters), ..registration(b"v") };
    assert_eq!(key.make(&request).unwrap().key().algorithm(), Algorithm::EDDSA);

    let mut formats = vec![Text::new("a format"); 1500];
    formats.push(Text::new("none"));
    let request = Request { attestation_formats_preference: Some(List::Slice(&formats)), ..registration(b"v") };
    assert_eq!(key.make(&request).unwrap().fmt, "none");
}

#[test]
fn ids_from_nothing_to_several_kilobytes_are_looked_at_and_found_to_be_none() {
    let mut key = Key::new();
    key.make(&resident(b"u")).unwrap();
    for len in (0..128).chain([255, 256, 1022, 1023, 1024, 1025, 4000, 7000]) {
        let id = vec![1; len];
        let list = [CredentialDescriptor::new(&id)];
        let (commits, touches) = (key.store.applied(), key.touches);
        assert_eq!(key.get(&listed(assertion(), &list)).unwrap_err(), Status::NO_CREDENTIALS);
        assert_eq!((key.store.applied(), key.touches), (commits, touches));
    }
}
