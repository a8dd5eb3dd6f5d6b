//! What stands in the place of `controlled.rs` without the feature `testing`.

use keyfob_core::{Instant, transport::hid::REPORT_LEN};

use crate::devices::VirtualKey;

#[allow(clippy::unused_self)] // as with a test
impl VirtualKey<'_> {
    pub(super) const fn is_out(&self) -> bool {
        false
    }

    pub(super) const fn takes_plug_in(&self) -> bool {
        false
    }

    pub(super) const fn stays_out(&self) -> bool {
        false
    }

    pub(super) const fn has_powered_up(&self) {}

    pub(super) const fn obey(&self) {}

    pub(super) const fn has_received(&self, _: &[u8; REPORT_LEN]) {}

    pub(super) const fn has_begun(&self) {}

    pub(super) const fn rests(&self, _: Instant) -> Option<Instant> {
        None
    }

    pub(super) const fn note_wait(&self, _: Instant) {}

    pub(super) const fn keep_alive(&self, _: Instant) -> Option<[u8; REPORT_LEN]> {
        None
    }

    pub(super) const fn passes(&self, _: &[u8; REPORT_LEN]) -> bool {
        true
    }

    pub(super) const fn responds(&self) -> bool {
        true
    }
}
