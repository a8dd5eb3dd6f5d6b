//! HID report descriptors (Device Class Definition for HID 1.11, §6.2.2): whether a device is an authenticator, and how
//! long its reports are (CTAP 2.3 §11.2.8.2).

use crate::bytes;

/// The usage page of FIDO devices.
const FIDO: u32 = 0xF1D0;
/// The usage of an authenticator on that page.
const AUTHENTICATOR: u32 = 0x01;

/// An item's type and tag, without its length.
mod item {
    pub const USAGE_PAGE: u8 = 0x04;
    pub const REPORT_SIZE: u8 = 0x74;
    pub const REPORT_COUNT: u8 = 0x94;
    pub const PUSH: u8 = 0xA4;
    pub const POP: u8 = 0xB4;
    pub const USAGE: u8 = 0x08;
    pub const INPUT: u8 = 0x80;
    pub const OUTPUT: u8 = 0x90;
    pub const COLLECTION: u8 = 0xA0;
    pub const END_COLLECTION: u8 = 0xC0;
    /// The only long item, whose length stands in the next byte.
    pub const LONG: u8 = 0xFE;
}

/// The global items that this module knows: those that Push keeps, and Pop brings back (HID 1.11 §6.2.2.7).
#[derive(Clone, Copy, Default)]
struct Globals {
    page: u32,
    size: u32,
    count: u32,
}

/// The lengths of an authenticator's reports in bytes, without report ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportLens {
    /// Of those that it sends.
    pub input: usize,
    /// Of those that it takes.
    pub output: usize,
}

impl ReportLens {
    /// Those that this crate speaks: [`REPORT_LEN`](super::REPORT_LEN) in both directions.
    pub const STANDARD: Self = Self { input: super::REPORT_LEN, output: super::REPORT_LEN };

    /// Reads a device's report descriptor. `None` if it is malformed, or the device has no authenticator.
    ///
    /// ```
    /// use keyfob_core::transport::hid::{REPORT_DESCRIPTOR, ReportLens};
    ///
    /// assert_eq!(ReportLens::of(&REPORT_DESCRIPTOR), Some(ReportLens::STANDARD));
    /// let keyboard = [0x05, 0x01, 0x09, 0x06, 0xA1, 0x01, 0x75, 0x08, 0x95, 0x08, 0x81, 0x02, 0xC0];
    /// assert_eq!(ReportLens::of(&keyboard), None);
    /// ```
    pub fn of(descriptor: &[u8]) -> Option<Self> {
        let (mut rest, mut found) = (descriptor, None::<Bits>);
        let (mut globals, mut pushed, mut usage) = (Globals::default(), Pushed::default(), None);
        // Open collections, and at which of them the authenticator began.
        let (mut depth, mut inside) = (0_u32, None);
        while let Some((&prefix, after)) = rest.split_first() {
            let (value, after) = value(prefix, after)?;
            rest = after;
            match prefix & !3 {
                _ if prefix == item::LONG => {}
                item::USAGE_PAGE => globals.page = value,
                item::REPORT_SIZE => globals.size = value,
                item::REPORT_COUNT => globals.count = value,
                item::PUSH => pushed.push(globals)?,
                item::POP => globals = pushed.pop()?,
                // A usage of four bytes has its page in front.
                item::USAGE if prefix & 3 == 3 => usage = Some(value),
                item::USAGE => usage = Some(globals.page << 16 | value & 0xFFFF),
                item::COLLECTION => {
                    depth = depth.checked_add(1)?;
                    if usage.take() == Some(FIDO << 16 | AUTHENTICATOR) && inside.is_none() {
                        inside = Some(depth);
                        found.get_or_insert_default();
                    }
                }
                item::END_COLLECTION => {
                    inside = inside.filter(|&began| began < depth);
                    (depth, usage) = (depth.checked_sub(1)?, None);
                }
                main @ (item::INPUT | item::OUTPUT) => {
                    if let (Some(bits), Some(_)) = (&mut found, inside) {
                        let sum = if main == item::INPUT { &mut bits.input } else { &mut bits.output };
                        *sum = sum.saturating_add(globals.size.saturating_mul(globals.count));
                    }
                    usage = None;
                }
                _ => {}
            }
        }
        found.filter(|_| depth == 0).map(Bits::lens)
    }
}

/// What Push has kept.
#[derive(Default)]
struct Pushed {
    kept: [Globals; 4],
    len: usize,
}

impl Pushed {
    /// Keeps these. `None` if there is no room: Linux takes four too.
    fn push(&mut self, globals: Globals) -> Option<()> {
        *self.kept.get_mut(self.len)? = globals;
        self.len = self.len.checked_add(1)?;
        Some(())
    }

    /// The last that were kept. `None` without any.
    fn pop(&mut self) -> Option<Globals> {
        self.len = self.len.checked_sub(1)?;
        self.kept.get(self.len).copied()
    }
}

/// The lengths of reports in bits.
#[derive(Default)]
struct Bits {
    input: u32,
    output: u32,
}

impl Bits {
    fn lens(self) -> ReportLens {
        let bytes = |bits: u32| usize::try_from(bits.div_ceil(8)).unwrap_or(usize::MAX);
        ReportLens { input: bytes(self.input), output: bytes(self.output) }
    }
}

/// The value of an item, little-endian, and what follows it. That of a long item is not read.
fn value(prefix: u8, after: &[u8]) -> Option<(u32, &[u8])> {
    if prefix == item::LONG {
        let (&len, after) = after.split_first()?;
        return Some((0, after.get(usize::from(len).checked_add(1)?..)?));
    }
    let len = match prefix & 3 {
        3 => 4,
        len => usize::from(len),
    };
    let (data, after) = after.split_at_checked(len)?;
    let mut padded = [0; 4];
    bytes::copy_prefix(&mut padded, data);
    Some((u32::from_le_bytes(padded), after))
}
