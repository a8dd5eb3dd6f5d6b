//! Where everything that is in force lies on the flash.

use heapless::Vec;

use super::{
    CHUNK,
    layout::{Entry, Kind},
    log::Place,
};
use crate::store::{Number, STRONGEST, StoreError};

/// Room for this many different settings.
const SETTINGS: usize = 16;

/// Where an entry is, and the length of its data; its place is 0 where there is none.
#[derive(Clone, Copy, Default)]
pub struct Slot {
    pub place: Place,
    pub total: u16,
}

/// Where a credential is, and how it is found: 24 bytes.
#[derive(Clone, Copy)]
pub struct IndexEntry {
    pub number: Number,
    pub place: Place,
    pub total: u16,
    pub tags: Tags,
}

/// How a credential is found without reading it: parts of MACs of what its record says. Those of relying parties and
/// ids are long enough to count by: two that are alike come once in billions of full stores. Those of users only lead
/// to a record.
#[derive(Clone, Copy, Default)]
pub struct Tags {
    pub user: [u8; 2],
    pub party: [u8; 6],
    pub id: [u8; 5],
    pub state: State,
}

/// The protection of a credential, and in the highest bit whether it is the newest of its relying party.
#[derive(Clone, Copy, Default)]
pub struct State(u8);

impl State {
    /// The record was not read yet.
    const UNREAD: u8 = 0;
    /// More than any protection: the record cannot be read.
    const UNREADABLE: u8 = STRONGEST + 1;
    const NEWEST: u8 = 0x80;

    /// Of a record that has been read: its protection, if it is a credential's.
    pub fn new(protection: Option<u8>) -> Self {
        Self(protection.unwrap_or(Self::UNREADABLE))
    }

    /// The same of a record that has to be read again.
    const fn unread(self) -> Self {
        Self(Self::UNREAD | self.0 & Self::NEWEST)
    }

    const fn class(self) -> u8 {
        self.0 & !Self::NEWEST
    }

    const fn is_newest(self) -> bool {
        self.0 & Self::NEWEST != 0
    }
}

/// What a query asks for, as far as the index tells.
#[derive(Default)]
pub struct Sought {
    pub party: Option<[u8; 6]>,
    pub user: Option<[u8; 2]>,
    pub id: Option<[u8; 5]>,
    /// The strongest protection; without one, records that cannot be read are asked for as well.
    pub strongest: Option<u8>,
    pub newest: bool,
}

impl IndexEntry {
    /// The same steps whatever is sought.
    fn is(&self, sought: &Sought) -> bool {
        let Tags { user, party, id, state } = self.tags;
        sought.party.is_none_or(|sought| sought == party)
            & sought.user.is_none_or(|sought| sought == user)
            & sought.id.is_none_or(|sought| sought == id)
            & sought.strongest.is_none_or(|strongest| state.class() <= strongest)
            & (!sought.newest | state.is_newest())
    }

    /// Whether its record is not read yet.
    pub const fn is_unread(&self) -> bool {
        self.tags.state.class() == State::UNREAD
    }
}

/// Where the pieces of a large-blob array are.
#[derive(Clone, Copy)]
struct Array<const B: usize> {
    number: u16,
    places: [Place; B],
}

pub struct Index<const N: usize, const B: usize> {
    settings: [Slot; SETTINGS],
    /// In the order of their numbers.
    pub credentials: Vec<IndexEntry, N>,
    /// The array in force and the staged one, each under its number's last bit.
    arrays: [Array<B>; 2],
    /// Which array is in force, and how long it is.
    blobs: Slot,
    in_force: u16,
    retired: Slot,
}

impl<const N: usize, const B: usize> Index<N, B> {
    pub const fn new() -> Self {
        let none = Slot { place: 0, total: 0 };
        Self {
            settings: [none; SETTINGS],
            credentials: Vec::new(),
            arrays: [Array { number: 0, places: [0; B] }; 2],
            blobs: none,
            in_force: 0,
            retired: none,
        }
    }

    /// An entry that was added.
    ///
    /// # Errors
    /// [`StoreError::Full`] for more credentials than `N`.
    pub fn apply(&mut self, entry: &Entry, place: Place) -> Result<(), StoreError> {
        let slot = Slot { place, total: entry.total };
        match entry.kind {
            Kind::Page => {}
            Kind::Setting => {
                if let Some(setting) = self.settings.get_mut(entry.key as usize) {
                    *setting = slot;
                }
            }
            Kind::Credential => {
                let credential = IndexEntry { number: entry.key, place, total: entry.total, tags: Tags::default() };
                match self.credentials.binary_search_by_key(&entry.key, |credential| credential.number) {
                    // Its tags stay, in case the same commit deletes it.
                    Ok(at) => self.credentials.get_mut(at).into_iter().for_each(|old| {
                        let tags = Tags { state: old.tags.state.unread(), ..old.tags };
                        *old = IndexEntry { tags, ..credential };
                    }),
                    Err(at) => self.credentials.insert(at, credential).map_err(|_| StoreError::Full)?,
                }
            }
            Kind::Delete => {
                if let Ok(at) = self.credentials.binary_search_by_key(&entry.key, |credential| credential.number) {
                    let Tags { party, state, .. } = self.credentials.remove(at).tags;
                    if state.is_newest() {
                        self.mark_newest(party);
                    }
                }
            }
            Kind::Erase => self.clear(),
            Kind::Blob => {
                let (number, piece) = blob_of(entry.key);
                let array = self.array(number);
                if array.number != number {
                    *array = Array { number, places: [0; B] };
                }
                if let Some(known) = array.places.get_mut(piece) {
                    *known = place;
                }
            }
            Kind::Blobs => {
                self.blobs = Slot { place, total: entry.tag };
                self.in_force = entry.key as u16;
            }
            Kind::Retired => self.retired = slot,
        }
        Ok(())
    }

    /// Forgets everything but the pages that failed.
    fn clear(&mut self) {
        self.settings = [Slot::default(); SETTINGS];
        self.credentials.clear();
        self.arrays.iter_mut().for_each(|array| array.places = [0; B]);
        self.blobs = Slot::default();
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.clear();
        (self.in_force, self.retired) = (0, Slot::default());
    }

    /// Whether this entry counts.
    pub fn is_live(&self, entry: &Entry, place: Place) -> bool {
        match entry.kind {
            Kind::Page | Kind::Delete | Kind::Erase => false,
            Kind::Setting => self.settings.get(entry.key as usize).is_some_and(|slot| slot.place == place),
            Kind::Credential => self.credential(entry.key).is_some_and(|credential| credential.place == place),
            Kind::Blob => {
                let (number, piece) = blob_of(entry.key);
                let known = self.arrays.get(usize::from(number & 1)).filter(|array| array.number == number);
                known.and_then(|array| array.places.get(piece)) == Some(&place)
            }
            Kind::Blobs => self.blobs.place == place,
            Kind::Retired => self.retired.place == place,
        }
    }

    /// Forgets everything that lies in a place that `is_gone`.
    pub fn forget(&mut self, is_gone: impl Fn(Place) -> bool) {
        self.credentials.retain(|credential| !is_gone(credential.place));
        let slots = self.settings.iter_mut().chain([&mut self.blobs, &mut self.retired]);
        slots.filter(|slot| slot.place != 0 && is_gone(slot.place)).for_each(|slot| *slot = Slot::default());
        let places = self.arrays.iter_mut().flat_map(|array| &mut array.places);
        places.filter(|place| **place != 0 && is_gone(**place)).for_each(|place| *place = 0);
    }

    pub fn setting(&self, key: u8) -> Option<Slot> {
        self.settings.get(usize::from(key)).copied().filter(|slot| slot.place != 0)
    }

    pub fn credential(&self, number: Number) -> Option<&IndexEntry> {
        let at = self.credentials.binary_search_by_key(&number, |credential| credential.number).ok()?;
        self.credentials.get(at)
    }

    /// The newest credential older than `before` that is sought.
    pub fn newest(&self, sought: &Sought, before: Option<Number>) -> Option<IndexEntry> {
        let older = |before| self.credentials.partition_point(|credential| credential.number < before);
        let older = self.credentials.get(..before.map_or(self.credentials.len(), older))?;
        older.iter().rev().find(|credential| credential.is(sought)).copied()
    }

    /// How many credentials are sought.
    pub fn count(&self, sought: &Sought) -> usize {
        self.credentials.iter().filter(|credential| credential.is(sought)).count()
    }

    /// The tags under which an entry's credential is indexed.
    pub fn tags(&self, entry: &Entry) -> Option<Tags> {
        self.credential(entry.key).filter(|_| entry.kind == Kind::Credential).map(|credential| credential.tags)
    }

    /// Keeps the tags of a credential whose entry was moved.
    pub fn keep_tags(&mut self, entry: &Entry, tags: Option<Tags>) {
        let at = self.credentials.binary_search_by_key(&entry.key, |credential| credential.number);
        if let (Some(tags), Ok(at)) = (tags, at) {
            self.learn(at, tags);
        }
    }

    /// Enters the tags of the credential with this index. Which is the newest of its relying party is marked later.
    pub fn learn(&mut self, at: usize, tags: Tags) {
        if let Some(credential) = self.credentials.get_mut(at) {
            credential.tags = tags;
        }
    }

    /// Marks the newest credential of a relying party, of those that can be read.
    pub fn mark_newest(&mut self, party: [u8; 6]) {
        let mut newest = State::NEWEST;
        for credential in self.credentials.iter_mut().rev().filter(|credential| credential.tags.party == party) {
            let class = credential.tags.state.class();
            let readable = class <= STRONGEST && class != State::UNREAD;
            credential.tags.state = State(class | if readable { newest } else { 0 });
            newest = if readable { 0 } else { newest };
        }
    }

    /// The same for all relying parties.
    pub fn mark_all(&mut self) {
        for at in (0..self.credentials.len()).rev() {
            let Some(IndexEntry { tags, .. }) = self.credentials.get(at).copied() else { continue };
            let of_party = |newer: &IndexEntry| newer.tags.party == tags.party && newer.tags.state.is_newest();
            let mut newer = self.credentials.iter().skip(at.saturating_add(1));
            if tags.state.class() <= STRONGEST && !newer.any(of_party) {
                self.mark_newest(tags.party);
            }
        }
    }

    /// The length of the large-blob array in force.
    pub fn blobs_len(&self) -> usize {
        if self.blobs.place == 0 { 0 } else { self.blobs.total.into() }
    }

    /// The number of the array in force, and of the staged one.
    pub const fn array_numbers(&self) -> (u16, u16) {
        (self.in_force, self.in_force.wrapping_add(1))
    }

    /// Where a piece of an array is.
    pub fn blob(&self, number: u16, piece: usize) -> Option<Place> {
        let array = self.arrays.get(usize::from(number & 1)).filter(|array| array.number == number)?;
        array.places.get(piece).copied().filter(|place| *place != 0)
    }

    /// Forgets what is staged.
    pub fn drop_staged(&mut self) {
        let number = self.array_numbers().1;
        *self.array(number) = Array { number, places: [0; B] };
    }

    /// The page list of those that failed.
    pub fn retired(&self) -> Option<Slot> {
        Some(self.retired).filter(|slot| slot.place != 0)
    }

    /// What everything that counts takes, in bytes, where an entry takes `size` of its data's length.
    pub fn live(&self, size: impl Fn(usize) -> usize) -> usize {
        let slots = self.settings.iter().chain([&self.retired]).filter(|slot| slot.place != 0);
        let slots = slots.map(|slot| size(slot.total.into()));
        let blobs =
            self.arrays.iter().flat_map(|array| &array.places).filter(|place| **place != 0).map(|_| size(CHUNK));
        slots.chain(blobs).fold(self.credentials(&size), usize::saturating_add)
    }

    /// What the credentials take.
    pub fn credentials(&self, size: impl Fn(usize) -> usize) -> usize {
        let sizes = self.credentials.iter().map(|credential| size(credential.total.into()));
        sizes.fold(0, usize::saturating_add)
    }

    fn array(&mut self, number: u16) -> &mut Array<B> {
        let [even, odd] = &mut self.arrays;
        if number & 1 == 0 { even } else { odd }
    }
}

/// The key of a piece of an array.
pub const fn blob_key(number: u16, piece: u16) -> u32 {
    (number as u32) << 16 | piece as u32
}

const fn blob_of(key: u32) -> (u16, usize) {
    ((key >> 16) as u16, (key & 0xFFFF) as usize)
}
