//! Names of relying parties and users, as they are stored.

/// Names are cut to this many bytes at a character's boundary (CTAP 2.3 §6.1.2 allows 64 and more).
const MAX_NAME: usize = 64;

/// At most [`MAX_NAME`] bytes, cut where a character ends.
pub(super) fn truncate(name: &str) -> &str {
    name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or(name)
}
