//! largeBlobKey (CTAP 2.3 §12): a credential's key for its entry in the large-blob array. The input is `true`; the key,
//! 32 bytes, is a member of the response (`large_blob_key`) and not an output in authenticator data.

use core::fmt;

use crate::cbor::items;

/// The extension's identifier.
pub const ID: &str = "largeBlobKey";

/// The key of a credential's large blob, as it was sent. A secret: not printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LargeBlobKey<'a>(pub &'a [u8]);

impl fmt::Debug for LargeBlobKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LargeBlobKey(..)")
    }
}

items! { LargeBlobKey<'a>: bytes as LargeBlobKey; }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", Some(LargeBlobKey(&[0xAB; 32]))), "Some(LargeBlobKey(..))");
    }
}
