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

message! {
    /// A [`Credential`] as an index and a signature need it: without the names, which take long to check.
    #[derive(Clone, Copy)]
    pub int struct NamelessCredential<'a> {
        /// As in [`Credential`], and so are the others.
        1 => id: required &'a [u8],
        2 => algorithm: required Algorithm,
        3 => secret: required &'a [u8],
        5 => user: required UserId<'a>,
        6 => cred_protect: optional Level,
        7 => cred_blob: optional &'a [u8],
        9 => large_blob_key: optional bool,
        10 => third_party_payment: optional bool,
        11 => large_blob: optional &'a [u8],
    }
}

message! {
    /// The user of a credential without names.
    #[derive(Clone, Copy)]
    pub text struct UserId<'a> {
        /// As in [`UserEntity`].
        b"id" => id: required &'a [u8],
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

impl<'a> NamelessCredential<'a> {
    /// Reads a record, but not its names. `None` for one that this version cannot read.
    pub fn decode(record: &'a [u8]) -> Option<Self> {
        cbor::decode(record).ok()
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

#[cfg(test)]
mod tests {
    use keyfob_core::{
        cose::Algorithm,
        ctap2::{RpEntity, UserEntity},
        extensions::cred_protect::Level,
    };
    use proptest::{collection::vec, option, prelude::*};

    use super::{Credential, NamelessCredential};

    proptest! {
        /// What is read without the names is what is read with them.
        #[test]
        fn a_record_reads_the_same_without_its_names(
            [id, secret, user_id] in [vec(any::<u8>(), 0..70), vec(any::<u8>(), 0..70), vec(any::<u8>(), 0..64)],
            [name, display_name] in [option::of(".{0,40}"), option::of(".{0,40}")],
            [cred_blob, large_blob] in [option::of(vec(any::<u8>(), 0..40)), option::of(vec(any::<u8>(), 0..40))],
            (level, large_blob_key, third_party_payment) in any::<(Option<i8>, Option<bool>, Option<bool>)>(),
            algorithm in -300..300,
        ) {
            let credential = Credential {
                id: &id,
                algorithm: Algorithm(algorithm),
                secret: &secret,
                rp: RpEntity { id: "example.org", name: name.as_deref() },
                user: UserEntity { id: &user_id, name: name.as_deref(), display_name: display_name.as_deref() },
                cred_protect: level.map(|level| Level(level.unsigned_abs().into())),
                cred_blob: cred_blob.as_deref(),
                large_blob_key,
                third_party_payment,
                large_blob: large_blob.as_deref(),
            };
            let mut record = [0; 1024];
            let len = credential.encode(&mut record).unwrap();
            prop_assert_eq!(Credential::decode(&record[..len]), Some(credential));
            let nameless = NamelessCredential::decode(&record[..len]).unwrap();
            prop_assert_eq!(nameless.id, credential.id);
            prop_assert_eq!(nameless.algorithm, credential.algorithm);
            prop_assert_eq!(nameless.secret, credential.secret);
            prop_assert_eq!(nameless.user.id, credential.user.id);
            prop_assert_eq!(nameless.cred_protect, credential.cred_protect);
            prop_assert_eq!(nameless.cred_blob, credential.cred_blob);
            prop_assert_eq!(nameless.large_blob_key, credential.large_blob_key);
            prop_assert_eq!(nameless.third_party_payment, credential.third_party_payment);
            prop_assert_eq!(nameless.large_blob, credential.large_blob);
            // A record that lost its end is none.
            for end in 0..len {
                prop_assert!(NamelessCredential::decode(&record[..end]).is_none());
            }
        }
    }
}
