//! What lies on the flash, byte by byte.
//!
//! ```text
//! page:  | "kfob" | version 1 | 0 | word 2 | erasures 4 | CRC 4 | piece … | piece … | … erased
//! piece: | kind 1 | flags 1 | len 2 | total 2 | tag 2 | key 4 | sequence 4 | data, len bytes | CRC 4 |
//! ```
//!
//! Integers are little-endian, everything begins at a word. The first piece of a page that is in use is [`Kind::Page`].
//! An entry is one piece, or several when it does not fit in its page; `total` is the length of its data.

use keyfob_core::bytes;

/// The first bytes of a page that was prepared for this format.
const MAGIC: [u8; 4] = *b"kfob";
/// The version of the format.
pub const VERSION: u8 = 1;
/// Length of a page's head, in bytes.
pub const PAGE_HEAD: usize = 16;
/// Length of a piece's head, in bytes.
pub const HEAD: usize = 16;
/// What a piece takes besides its data, in bytes: its head and the CRC.
pub const OVERHEAD: usize = HEAD + 4;

/// CRC-32 as of IEEE 802.3, with a table of 16 words.
#[derive(Clone, Copy)]
pub struct Crc(u32);

impl Crc {
    pub const fn new() -> Self {
        Self(u32::MAX)
    }

    pub fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let first = self.0 ^ u32::from(*byte);
            let second = first >> 4 ^ nibble(first);
            self.0 = second >> 4 ^ nibble(second);
        }
    }

    pub const fn finish(self) -> u32 {
        !self.0
    }
}

const NIBBLES: [u32; 16] = [
    0x0000_0000,
    0x1db7_1064,
    0x3b6e_20c8,
    0x26d9_30ac,
    0x76dc_4190,
    0x6b6b_51f4,
    0x4db2_6158,
    0x5005_713c,
    0xedb8_8320,
    0xf00f_9344,
    0xd6d6_a3e8,
    0xcb61_b38c,
    0x9b64_c2b0,
    0x86d3_d2d4,
    0xa00a_e278,
    0xbdbd_f21c,
];

fn nibble(value: u32) -> u32 {
    NIBBLES.get(value as usize & 15).map_or(0, |nibble| *nibble)
}

/// What the head of a page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageHead {
    /// It was prepared; so often it has been erased.
    Prepared { erasures: u32 },
    /// It was prepared for words of another size.
    OtherWord,
    /// It was prepared by another version of the format.
    OtherVersion(u8),
    /// It is erased.
    Erased,
    /// It is not a page of this format, or its erasure was interrupted.
    Unknown,
}

pub fn page_head(word: usize, erasures: u32) -> [u8; PAGE_HEAD] {
    let [low, high, ..] = (word as u32).to_le_bytes();
    let head: [u8; 12] = bytes::concat(&[&MAGIC, &[VERSION, 0, low, high], &erasures.to_le_bytes()]);
    let mut crc = Crc::new();
    crc.update(&head);
    bytes::concat(&[&head, &crc.finish().to_le_bytes()])
}

pub fn read_page_head(head: &[u8; PAGE_HEAD], word: usize) -> PageHead {
    if *head == [0xFF; PAGE_HEAD] {
        return PageHead::Erased;
    }
    let mut crc = Crc::new();
    crc.update(bytes::front(head, 12));
    let [_, _, _, _, version, _, low, high, rest @ ..] = *head;
    if !head.starts_with(&MAGIC) || u32_at(head, 12) != crc.finish() {
        PageHead::Unknown
    } else if version != VERSION {
        PageHead::OtherVersion(version)
    } else if usize::from(u16::from_le_bytes([low, high])) != word {
        PageHead::OtherWord
    } else {
        PageHead::Prepared { erasures: u32_at(&rest, 0) }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes::first(bytes::rest(bytes, at)))
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Begins a page: its order, and in the key the number that the next credential gets.
    Page,
    /// A setting; the key is its number.
    Setting,
    /// A credential; the key is its number.
    Credential,
    /// The end of a credential.
    Delete,
    /// The end of everything before.
    Erase,
    /// A piece of a large-blob array; the key is the array's number times 65,536 and the piece's.
    Blob,
    /// The large-blob array in force; the key is its number.
    Blobs,
    /// Pages that did not erase, two bytes each.
    Retired,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Page,
        Self::Setting,
        Self::Credential,
        Self::Delete,
        Self::Erase,
        Self::Blob,
        Self::Blobs,
        Self::Retired,
    ];
}

/// Begins a batch, of entries that are valid together.
pub const START: u8 = 1;
/// Ends a batch.
pub const END: u8 = 2;
/// Goes on with the entry of the piece before.
const CONTINUES: u8 = 4;

/// The head of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    /// The first bytes of the relying party's tag, to find a credential without reading it.
    pub tag: u16,
    pub key: u32,
    /// Length of its data, in bytes.
    pub total: u16,
}

/// The head of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub entry: Entry,
    /// Length of the data in this piece, in bytes.
    pub len: u16,
    /// One more than that of the piece before.
    pub sequence: u32,
    pub starts: bool,
    pub ends: bool,
    pub continues: bool,
}

impl Piece {
    pub fn encode(&self) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        let flags = [(self.starts, START), (self.ends, END), (self.continues, CONTINUES)];
        let flags = flags.iter().filter(|(set, _)| *set).fold(0, |flags, (_, flag)| flags | flag);
        let parts: [&[u8]; 6] = [
            &[self.entry.kind as u8, flags],
            &self.len.to_le_bytes(),
            &self.entry.total.to_le_bytes(),
            &self.entry.tag.to_le_bytes(),
            &self.entry.key.to_le_bytes(),
            &self.sequence.to_le_bytes(),
        ];
        parts.iter().copied().flatten().zip(&mut head).for_each(|(from, to)| *to = *from);
        head
    }

    pub fn decode(head: &[u8; HEAD]) -> Option<Self> {
        let [kind, flags, l0, l1, t0, t1, g0, g1, ..] = *head;
        let kind = *Kind::ALL.get(usize::from(kind))?;
        let (len, total) = (u16::from_le_bytes([l0, l1]), u16::from_le_bytes([t0, t1]));
        let entry = Entry { kind, tag: u16::from_le_bytes([g0, g1]), key: u32_at(head, 8), total };
        let has = |flag| flags & flag != 0;
        let piece = Self {
            entry,
            len,
            sequence: u32_at(head, 12),
            starts: has(START),
            ends: has(END),
            continues: has(CONTINUES),
        };
        (flags & !(START | END | CONTINUES) == 0 && len <= total).then_some(piece)
    }
}
