//! Whole commands with a credential id that must not reveal whether the credential exists. Each takes the same number
//! of instructions, so that the time does not distinguish a credential that `credProtect` hides from an id that the key
//! does not know.

use std::hint::black_box;

use keyfob_core::{Instant, bytes, ctap2::CommandOptions};
use keyfob_soft_authenticator::{
    devices::VIRTUAL_KEY_AAGUID,
    engine::{Config, Event, Progress, Wait},
};

use crate::{
    Operation,
    ceremonies::{Key, credential_id, registration, registration_with, sign_in_with},
};

/// The request.
#[derive(Clone, Copy)]
enum Question {
    /// A sign-in.
    SignIn,
    /// A sign-in without a touch.
    Silent,
    /// A registration that excludes the credential. It is cancelled when the key waits for a touch.
    Exclude,
}

/// The id in the request.
#[derive(Clone, Copy)]
enum Sought {
    /// An unknown id in the form of the key's wrapped credentials.
    Unknown,
    /// An unknown id in the form of the key's stored credentials.
    UnknownStored,
    /// An id of another key.
    Foreign,
    /// An id of another relying party.
    OtherRp,
    /// An id with the length of the key's ids but not their form.
    Malformed,
    /// The id of a hidden credential in the store.
    HiddenStored,
    /// The id of a hidden wrapped credential.
    HiddenWrapped,
}

/// Every request with every id.
pub const LOOKUPS: &[Operation] = &[
    Operation { name: "sign in: unknown id", prepare: || ask(Question::SignIn, Sought::Unknown) },
    Operation { name: "sign in: unknown id of 32 bytes", prepare: || ask(Question::SignIn, Sought::UnknownStored) },
    Operation { name: "sign in: foreign id", prepare: || ask(Question::SignIn, Sought::Foreign) },
    Operation { name: "sign in: id of another RP", prepare: || ask(Question::SignIn, Sought::OtherRp) },
    Operation { name: "sign in: malformed id", prepare: || ask(Question::SignIn, Sought::Malformed) },
    Operation { name: "sign in: hidden id, stored", prepare: || ask(Question::SignIn, Sought::HiddenStored) },
    Operation { name: "sign in: hidden id, wrapped", prepare: || ask(Question::SignIn, Sought::HiddenWrapped) },
    Operation { name: "sign in silently: unknown id", prepare: || ask(Question::Silent, Sought::Unknown) },
    Operation {
        name: "sign in silently: unknown id of 32 bytes",
        prepare: || ask(Question::Silent, Sought::UnknownStored),
    },
    Operation { name: "sign in silently: foreign id", prepare: || ask(Question::Silent, Sought::Foreign) },
    Operation { name: "sign in silently: id of another RP", prepare: || ask(Question::Silent, Sought::OtherRp) },
    Operation { name: "sign in silently: malformed id", prepare: || ask(Question::Silent, Sought::Malformed) },
    Operation { name: "sign in silently: hidden id, stored", prepare: || ask(Question::Silent, Sought::HiddenStored) },
    Operation {
        name: "sign in silently: hidden id, wrapped",
        prepare: || ask(Question::Silent, Sought::HiddenWrapped),
    },
    Operation { name: "register: unknown id excluded", prepare: || ask(Question::Exclude, Sought::Unknown) },
    Operation {
        name: "register: unknown id of 32 bytes excluded",
        prepare: || ask(Question::Exclude, Sought::UnknownStored),
    },
    Operation { name: "register: foreign id excluded", prepare: || ask(Question::Exclude, Sought::Foreign) },
    Operation { name: "register: id of another RP excluded", prepare: || ask(Question::Exclude, Sought::OtherRp) },
    Operation { name: "register: malformed id excluded", prepare: || ask(Question::Exclude, Sought::Malformed) },
    Operation {
        name: "register: hidden id excluded, stored",
        prepare: || ask(Question::Exclude, Sought::HiddenStored),
    },
    Operation {
        name: "register: hidden id excluded, wrapped",
        prepare: || ask(Question::Exclude, Sought::HiddenWrapped),
    },
];

fn ask(question: Question, sought: Sought) -> Box<dyn FnMut()> {
    let (mut key, [wrapped, stored, of_another_rp]) = key();
    let id = match sought {
        Sought::Unknown => {
            let mut id = wrapped;
            if let Some(last) = id.last_mut() {
                *last ^= 1;
            }
            id
        }
        Sought::UnknownStored => stored.iter().map(|byte| !byte).collect(),
        Sought::Foreign => made(&mut Key::with(Config::new(VIRTUAL_KEY_AAGUID), 2), &registration(false)),
        Sought::OtherRp => of_another_rp,
        Sought::Malformed => vec![0xC1; wrapped.len()],
        Sought::HiddenStored => stored,
        Sought::HiddenWrapped => wrapped,
    };
    let silently = CommandOptions { up: Some(false), ..Default::default() };
    match question {
        Question::SignIn => nothing(key, sign_in_with(Some(&id), None)),
        Question::Silent => nothing(key, sign_in_with(Some(&id), Some(silently))),
        Question::Exclude => {
            // Copied as a whole: how long a copy of the id takes is not the key's doing.
            let mut request = [0; 512];
            let len = bytes::put(&mut request, &registration_with(false, Some(&id), None));
            Box::new(move || {
                bytes::put(key.engine.buffer(), &request);
                let mut progress = key.engine.begin(Instant::default(), black_box(len));
                while progress == Progress::Pending(Wait::Processing) {
                    progress = key.engine.resume(Instant::default(), Event::Tick);
                }
                assert_eq!(progress, Progress::Pending(Wait::Touch));
                assert_eq!(key.engine.resume(Instant::default(), Event::Cancel), Progress::Reply(1));
            })
        }
    }
}

/// Sends `key` again and again a request with a credential that it does not find.
fn nothing(mut key: Key, request: Vec<u8>) -> Box<dyn FnMut()> {
    Box::new(move || assert_eq!(black_box(key.answer(&request)), [0x2E]))
}

/// A key with two credentials that `credProtect` hides, and one of another relying party. Also returns their ids: the
/// wrapped one, the stored one, the other relying party's.
fn key() -> (Key, [Vec<u8>; 3]) {
    let mut key = Key::new();
    let hidden = b"\xA1\x6BcredProtect\x03";
    let wrapped = made(&mut key, &registration_with(false, None, Some(hidden)));
    let stored = made(&mut key, &registration_with(true, None, Some(hidden)));
    let mut elsewhere = registration(false);
    let at = elsewhere.windows(11).position(|window| window == b"example.com").expect("the RP ID");
    elsewhere[at..at + 11].copy_from_slice(b"example.net");
    let of_another_rp = made(&mut key, &elsewhere);
    (key, [wrapped, stored, of_another_rp])
}

/// The id of the credential that `request` makes.
fn made(key: &mut Key, request: &[u8]) -> Vec<u8> {
    let response = key.answer(request);
    response[credential_id(response)].into()
}
