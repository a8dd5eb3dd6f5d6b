//! A discoverable credential as it is stored: a canonical CBOR map, so that later versions can add to it.

use keyfob_core::{
    cbor::{self, Overflow, Reader},
    cose::Algorithm,
    ctap2::{RpEntity, UserEntity},
    extensions::cred_protect::Level,
    message,
};

message! {
    /// A discoverable credential.
    #[derive(Clone, Copy, PartialEq)]
    pub int struct Credential<'a> {
        /// The credential id.
        1 => id: required &'a [u8],
        /// The algorithm of its key.
        2 => algorithm: required Algorithm,
        /// Its secret key, in the crypto backend's form.
        3 => secret: required &'a [u8],
        /// The relying party.
        4 => rp: required RpEntity<'a>,
        /// The user.
        5 => user: required UserEntity<'a>,
        /// Its protection, "optional" when absent.
        6 => cred_protect: optional Level,
        /// Its blob.
        7 => cred_blob: optional &'a [u8],
        /// Whether it was made with a large-blob key. Its secrets for `hmac-secret` every credential has.
        9 => large_blob_key: optional bool,
        /// Whether it may be used for payments by third parties.
        10 => third_party_payment: optional bool,
        /// What the extension `largeBlob` keeps.
        11 => large_blob: optional &'a [u8],
    }
}

impl<'a> Credential<'a> {
    /// Reads a record. `None` for one that this version cannot read.
    pub fn decode(record: &'a [u8]) -> Option<Self> {
        cbor::decode(record).ok()
    }

    /// The id in a record: its first member. The rest of the record is not read.
    pub fn id_in(record: &'a [u8]) -> Option<&'a [u8]> {
        let mut r = Reader::strict(record);
        let mut map = r.map().ok()?;
        let first = r.next_int(&mut map).ok()?;
        r.bytes().ok().filter(|_| first == Some(1))
    }

    /// Writes a record and returns its length. Errors: [`Overflow`].
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, Overflow> {
        cbor::encode(self, out)
    }
}

impl core::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Credential")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .field("rp", &self.rp)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
