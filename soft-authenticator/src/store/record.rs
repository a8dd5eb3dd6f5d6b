//! A discoverable credential as it is stored: a canonical CBOR map, so that later versions can add to it.

use keyfob_core::{
    bytes,
    cbor::{self, Overflow, Read, Reader, SMALL, Table, Write, Writer},
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
        /// Its public key, raw, so that a listing does not compute it. Absent in records of earlier versions, for keys
        /// longer than [`MAX_KEPT_PUBLIC`], and where the record has no room for it.
        8 => public_key: optional &'a [u8],
        /// Whether it was made with a large-blob key. Every credential has secrets for `hmac-secret`.
        9 => large_blob_key: optional bool,
        /// Whether it may be used for payments by third parties.
        10 => third_party_payment: optional bool,
        /// What the extension `largeBlob` keeps.
        11 => large_blob: optional &'a [u8],
    }
}

/// The longest public key that is kept in a record, in bytes: `x‖y` on P-521. Those of RSA and ML-DSA are longer.
pub(crate) const MAX_KEPT_PUBLIC: usize = 132;

/// A byte string in parts.
struct Parts<'p>(&'p [&'p [u8]]);

impl Write for Parts<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.bytes_head(self.0.iter().fold(0, |len, part| len.saturating_add(part.len())));
        self.0.iter().for_each(|part| w.raw(part));
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

    /// Writes a record and returns its length. The public key is left out if it does not fit, because it can be computed
    /// from the secret key.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, Overflow> {
        self.encode_with(None, out)
    }

    /// Writes a record in which the extension `largeBlob` keeps these parts, as [`Credential::encode`] does.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn encode_with(&self, large_blob: Option<&[&[u8]]>, out: &mut [u8]) -> Result<usize, Overflow> {
        let encode = |credential: &Self, out: &mut [u8]| {
            let mut w = Writer::new(out);
            match large_blob.map(Parts) {
                Some(parts) => credential.write_with(&mut w, &[(11, Some(&parts))]),
                None => credential.write(&mut w),
            }
            w.finish()
        };
        encode(self, out).or_else(|overflow| {
            if self.public_key.is_none() {
                return Err(overflow);
            }
            bytes::wipe(out); // what was written of the secret key may lie behind the record
            encode(&Self { public_key: None, ..*self }, out)
        })
    }
}

/// The members of [`Credential`] that an index or a signature needs, under the same keys. The names are skipped,
/// because checking UTF-8 takes most of the time of a read. Small code reads the whole record.
#[derive(Clone, Copy)]
pub struct NamelessCredential<'a> {
    pub id: &'a [u8],
    pub algorithm: Algorithm,
    pub secret: &'a [u8],
    pub user_id: &'a [u8],
    pub cred_protect: Level,
    pub cred_blob: Option<&'a [u8]>,
    pub large_blob_key: bool,
    pub third_party_payment: bool,
    pub large_blob: Option<&'a [u8]>,
}

impl<'a> NamelessCredential<'a> {
    /// Reads a record, but not its names. `None` for one that this version cannot read.
    pub fn decode(record: &'a [u8]) -> Option<Self> {
        if SMALL {
            return Credential::decode(record).map(Self::from);
        }
        let mut r = Reader::strict(record);
        let mut members = r.map().ok()?;
        let (mut id, mut algorithm, mut secret, mut user_id) = (None, None, None, None);
        let mut cred_protect = Level::USER_VERIFICATION_OPTIONAL;
        let (mut cred_blob, mut large_blob) = (None, None);
        let (mut large_blob_key, mut third_party_payment) = (false, false);
        while let Some(key) = r.next_int(&mut members).ok()? {
            match key {
                1 => id = Some(r.bytes().ok()?),
                2 => algorithm = Some(Algorithm::read(&mut r).ok()?),
                3 => secret = Some(r.bytes().ok()?),
                5 => user_id = Some(user_id_in(&mut r)?),
                6 => cred_protect = Level::read(&mut r).ok()?,
                7 => cred_blob = Some(r.bytes().ok()?),
                8 => drop(r.bytes().ok()?),
                9 => large_blob_key = r.bool().ok()?,
                10 => third_party_payment = r.bool().ok()?,
                11 => large_blob = Some(r.bytes().ok()?),
                _ => r.pass().ok()?,
            }
        }
        r.finish().ok()?;
        Some(Self {
            id: id?,
            algorithm: algorithm?,
            secret: secret?,
            user_id: user_id?,
            cred_protect,
            cred_blob,
            large_blob_key,
            third_party_payment,
            large_blob,
        })
    }
}

impl<'a> From<Credential<'a>> for NamelessCredential<'a> {
    fn from(credential: Credential<'a>) -> Self {
        Self {
            id: credential.id,
            algorithm: credential.algorithm,
            secret: credential.secret,
            user_id: credential.user.id,
            cred_protect: credential.cred_protect.unwrap_or(Level::USER_VERIFICATION_OPTIONAL),
            cred_blob: credential.cred_blob,
            large_blob_key: credential.large_blob_key == Some(true),
            third_party_payment: credential.third_party_payment == Some(true),
            large_blob: credential.large_blob,
        }
    }
}

/// Passes over a user and returns its id, the first member.
fn user_id_in<'a>(r: &mut Reader<'a>) -> Option<&'a [u8]> {
    let mut user = *r;
    r.pass().ok()?;
    let mut members = user.map().ok()?;
    let is_first = user.take_key(&mut members, b"\x62id").ok()?;
    user.bytes().ok().filter(|_| is_first)
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

    use super::{super::Keys, Credential, NamelessCredential, SMALL};

    /// An index knows nothing of a record that cannot be read with its names.
    #[test]
    fn a_record_with_a_damaged_name_has_no_keys() {
        let credential = Credential {
            id: &[1; 32],
            algorithm: Algorithm::ES256,
            secret: &[2; 32],
            rp: RpEntity { id: "example.org", name: None },
            user: UserEntity { id: &[3; 8], name: Some("alice"), display_name: None },
            cred_protect: None,
            cred_blob: None,
            public_key: None,
            large_blob_key: None,
            third_party_payment: None,
            large_blob: None,
        };
        let mut record = [0; 256];
        let len = credential.encode(&mut record).unwrap();
        let record = &mut record[..len];
        assert!(Keys::of(record).is_some_and(|keys| keys.id == [1; 32] && keys.user_id == [3; 8]));
        let at = record.windows(5).position(|part| part == b"alice").unwrap();
        record[at] = 0xFF;
        assert_eq!(NamelessCredential::decode(record).is_some(), !SMALL, "small code reads the whole record");
        assert!(Keys::of(record).is_none());
    }

    proptest! {
        /// What is read without the names is what is read with them.
        #[test]
        fn a_record_reads_the_same_without_its_names(
            [id, secret, user_id] in [vec(any::<u8>(), 0..70), vec(any::<u8>(), 0..70), vec(any::<u8>(), 0..64)],
            [name, display_name] in [option::of(".{0,40}"), option::of(".{0,40}")],
            [cred_blob, large_blob, public_key] in [(); 3].map(|()| option::of(vec(any::<u8>(), 0..70))),
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
                public_key: public_key.as_deref(),
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
            prop_assert_eq!(nameless.user_id, credential.user.id);
            prop_assert_eq!(nameless.cred_protect, credential.cred_protect.unwrap_or(Level::USER_VERIFICATION_OPTIONAL));
            prop_assert_eq!(nameless.cred_blob, credential.cred_blob);
            prop_assert_eq!(nameless.large_blob_key, credential.large_blob_key == Some(true));
            prop_assert_eq!(nameless.third_party_payment, credential.third_party_payment == Some(true));
            prop_assert_eq!(nameless.large_blob, credential.large_blob);
            // A truncated record is refused.
            for end in 0..len {
                prop_assert!(NamelessCredential::decode(&record[..end]).is_none());
            }
        }
    }
}
