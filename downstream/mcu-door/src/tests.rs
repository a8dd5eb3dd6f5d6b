//! The door with cards in the same process: an engine behind NFC, as it is on a card.

extern crate std;

use std::{cell::Cell, rc::Rc, vec, vec::Vec as Bytes};

use keyfob_core::{Status, client::Cause};
use keyfob_soft_authenticator::{
    engine::{Config, Engine, Platform},
    nfc::{NfcAuthenticator, NfcConfig},
    store::MemoryStore,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;

struct Silicon;

impl Platform for Silicon {
    type Crypto = RustCrypto;
    type Rng = ChaCha20Rng;
    type Store = MemoryStore<4>;
}

/// The card was pulled away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gone;

/// A reader with a card on it, which is given back to its owner when it has done so many commands.
struct Reader<'b> {
    card: Option<NfcAuthenticator<'b, Silicon>>,
    now: Rc<Cell<u64>>,
    left: usize,
    /// Responses that the card has given.
    recorded: Bytes<Bytes<u8>>,
    /// Responses that are given in place of the card's: somebody has put a box in between.
    replayed: std::collections::VecDeque<Bytes<u8>>,
    /// The box gives the door another name, so that the card signs for somebody else.
    renames: bool,
}

impl ApduIo for Reader<'_> {
    type Error = Gone;

    fn transceive(&mut self, command: &[u8], response: &mut [u8]) -> Result<usize, Gone> {
        self.left = self.left.checked_sub(1).ok_or(Gone)?;
        let card = self.card.as_mut().ok_or(Gone)?;
        let at = || {
            self.now.set(self.now.get() + 1);
            Instant::from_millis(self.now.get())
        };
        let mut command = command.to_vec();
        let name = command.windows(RP_ID.len()).position(|part| part == RP_ID.as_bytes());
        if let Some(name) = name.filter(|_| self.renames) {
            command[name..name + 4].copy_from_slice(b"shed");
        }
        card.receive(at(), &command);
        let answer = loop {
            let now = at();
            card.tick(now);
            if let Some(answer) = card.transmit(now) {
                break [answer.data, &answer.status.0.to_be_bytes()].concat();
            }
        };
        let answer = self.replayed.pop_front().unwrap_or(answer);
        response.get_mut(..answer.len()).ok_or(Gone)?.copy_from_slice(&answer);
        self.recorded.push(answer.clone());
        Ok(answer.len())
    }

    fn reconnect(&mut self) -> Result<(), Gone> {
        Err(Gone) // this reader cannot switch its field off
    }
}

fn card(memory: &mut [u8], seed: u64) -> NfcAuthenticator<'_, Silicon> {
    let config = Config::arculus_like([0; 16]);
    let (rng, now) = (ChaCha20Rng::seed_from_u64(seed), Instant::default());
    let engine = Engine::new(memory, config, RustCrypto, rng, MemoryStore::new(), now).unwrap();
    NfcAuthenticator::new(engine, NfcConfig::default(), now)
}

type TestDoor<'b, D, C> = Door<Reader<'b>, D, ChaCha20Rng, C>;

/// A door whose reader is empty.
fn door<'b>() -> TestDoor<'b, impl FnMut(Duration), impl FnMut() -> Instant> {
    let now = Rc::new(Cell::new(0));
    let (waits, clock) = (now.clone(), now.clone());
    let reader = Reader {
        card: None,
        now,
        left: usize::MAX,
        recorded: Bytes::new(),
        replayed: Default::default(),
        renames: false,
    };
    let delay = move |time: Duration| waits.set(waits.get() + time.as_millis() as u64);
    Door::new(reader, delay, ChaCha20Rng::seed_from_u64(7), move || Instant::from_millis(clock.get()))
}

impl<'b, D: FnMut(Duration), C: FnMut() -> Instant> TestDoor<'b, D, C> {
    /// Places a card on the reader, and takes away what lay there.
    fn place(&mut self, card: Option<NfcAuthenticator<'b, Silicon>>) -> Option<NfcAuthenticator<'b, Silicon>> {
        let reader = self.reader();
        let before = std::mem::replace(&mut reader.card, card);
        if let Some(card) = &mut reader.card {
            card.power_cycle(Instant::from_millis(reader.now.get())).unwrap();
        }
        (reader.left, reader.recorded, reader.replayed) = (usize::MAX, Bytes::new(), Default::default());
        before
    }

    /// Enrols the card on the reader.
    fn admit(&mut self, cards: &mut Bytes<Enrolled>) -> Result<(), Closed> {
        let card = self.enrol(cards)?;
        cards.push(card);
        Ok(())
    }

    /// Opens the door, and stores the counter.
    fn pass(&mut self, cards: &mut [Enrolled]) -> Result<usize, Closed> {
        let opened = self.open(cards)?;
        cards[opened.card].sign_count = opened.sign_count;
        Ok(opened.card)
    }

    /// Lifts the card and places it again.
    fn tap(&mut self) {
        let card = self.place(None);
        self.place(card);
    }
}

fn memory() -> Bytes<u8> {
    vec![0; Config::arculus_like([0; 16]).buffer_len()]
}

#[test]
fn an_enrolled_card_opens_the_door_again_and_again() {
    let (mut alice, mut bob) = (memory(), memory());
    let (mut door, mut cards) = (door(), Bytes::new());
    door.place(Some(card(&mut alice, 1)));
    assert_eq!(door.admit(&mut cards), Ok(()));
    let alice = door.place(Some(card(&mut bob, 2)));
    assert_eq!(door.admit(&mut cards), Ok(()));
    for (place, card) in [(1, None), (0, alice)] {
        if card.is_some() {
            door.place(card);
        }
        for _ in 0..3 {
            let before = cards[place].sign_count;
            door.tap();
            assert_eq!(door.pass(&mut cards), Ok(place));
            assert!(cards[place].sign_count > before);
        }
    }
}

#[test]
fn a_card_is_enrolled_once() {
    let mut memory = memory();
    let (mut door, mut cards) = (door(), Bytes::new());
    door.place(Some(card(&mut memory, 1)));
    assert_eq!(door.admit(&mut cards), Ok(()));
    door.tap();
    let Err(Closed::Card(error)) = door.admit(&mut cards) else { panic!("enrolled twice") };
    // Not CREDENTIAL_EXCLUDED: the client tells nobody that a card is known before it was touched once more.
    assert_eq!(error.cause, Cause::Status(Status::OPERATION_DENIED));
    assert_eq!(cards.len(), 1);
}

#[test]
fn a_card_that_was_not_enrolled_leaves_the_door_closed() {
    let (mut enrolled, mut other) = (memory(), memory());
    let (mut door, mut cards) = (door(), Bytes::new());
    door.place(Some(card(&mut enrolled, 1)));
    door.admit(&mut cards).unwrap();
    door.place(Some(card(&mut other, 2)));
    let before = cards.clone();
    let Err(Closed::Card(error)) = door.pass(&mut cards) else { panic!("it opened") };
    assert_eq!(error.cause, Cause::Status(Status::NO_CREDENTIALS));
    assert_eq!(cards, before);
}

#[test]
fn a_card_with_another_key_for_the_same_id_leaves_the_door_closed() {
    let (mut first, mut second) = (memory(), memory());
    let (mut door, mut cards) = (door(), Bytes::new());
    door.place(Some(card(&mut first, 1)));
    door.admit(&mut cards).unwrap();
    let first = door.place(Some(card(&mut second, 2)));
    door.admit(&mut cards).unwrap();
    // Somebody has the first card's id, but not its key.
    let forged = Enrolled { public_key: cards[1].public_key.clone(), ..cards[0].clone() };
    door.place(first);
    assert_eq!(door.pass(&mut [forged]), Err(Closed::Verification(verify::Error::Signature)));
}

#[test]
fn a_replayed_answer_leaves_the_door_closed() {
    let mut memory = memory();
    let (mut door, mut cards) = (door(), Bytes::new());
    door.place(Some(card(&mut memory, 1)));
    door.admit(&mut cards).unwrap();
    door.tap();
    assert_eq!(door.pass(&mut cards), Ok(0));
    let before = cards.clone();
    let recorded = door.reader().recorded.clone();
    door.tap();
    door.reader().replayed = recorded.into();
    assert_eq!(door.pass(&mut cards), Err(Closed::Verification(verify::Error::Signature)));
    assert!(door.reader().replayed.is_empty(), "every recorded answer was taken");
    assert_eq!(cards, before);
    door.tap();
    assert_eq!(door.pass(&mut cards), Ok(0), "the card itself still opens it");
}

#[test]
fn a_card_whose_counter_is_behind_leaves_the_door_closed() {
    let mut memory = memory();
    let (mut door, mut cards) = (door(), Bytes::new());
    door.place(Some(card(&mut memory, 1)));
    door.admit(&mut cards).unwrap();
    cards[0].sign_count += 100; // a copy of the card was used
    let before = cards.clone();
    door.tap();
    let Err(Closed::Verification(verify::Error::SignCount { stored, received })) = door.pass(&mut cards) else {
        panic!("it opened")
    };
    assert_eq!((stored, cards), (before[0].sign_count, before));
    assert!(received < stored);
}

#[test]
fn a_card_that_signs_for_another_door_is_not_enrolled() {
    let mut memory = memory();
    let (mut door, mut cards) = (door(), Bytes::new());
    door.place(Some(card(&mut memory, 1)));
    door.reader().renames = true;
    let Err(Closed::Card(error)) = door.admit(&mut cards) else { panic!("it was enrolled") };
    assert_eq!(error.cause, Cause::RpIdHashMismatch);
    assert!(cards.is_empty());
}

#[test]
fn a_card_that_is_pulled_away_at_any_command_leaves_the_door_closed_and_opens_it_when_it_is_back() {
    let mut memory = memory();
    let (mut door, mut cards) = (door(), Bytes::new());
    door.place(Some(card(&mut memory, 1)));
    let mut commands = 0;
    loop {
        door.tap();
        door.reader().left = commands;
        match door.admit(&mut cards) {
            Ok(()) => break,
            Err(closed) => assert!(matches!(closed, Closed::Card(error) if error.cause == Cause::Transport)),
        }
        assert!(cards.is_empty());
        commands += 1;
    }
    assert!(commands > 3, "SELECT, getInfo, and a registration in parts");
    for commands in 0.. {
        let before = cards.clone();
        door.tap();
        door.reader().left = commands;
        match door.pass(&mut cards) {
            Ok(0) => break,
            closed => assert!(matches!(closed, Err(Closed::Card(error)) if error.cause == Cause::Transport)),
        }
        assert_eq!(cards, before);
        door.tap();
        assert_eq!(door.pass(&mut cards), Ok(0), "after {commands} commands");
    }
}

#[test]
fn an_empty_reader_and_a_card_without_fido_are_refused() {
    let mut memory = memory();
    let (mut door, mut cards) = (door(), Bytes::new());
    let is_refused =
        |closed: Result<(), Closed>| matches!(closed, Err(Closed::Card(error)) if error.cause == Cause::Transport);
    assert!(is_refused(door.admit(&mut cards)));
    door.place(Some(card(&mut memory, 1)));
    door.reader().replayed = vec![vec![0x6A, 0x82]; 8].into(); // SELECT: no such application
    assert!(is_refused(door.admit(&mut cards)));
    assert!(cards.is_empty());
}
