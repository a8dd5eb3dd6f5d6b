//! Authenticator data (WebAuthn L3 §6.1).
//!
//! ```text
//! rpIdHash 32 | flags 1 | signCount 4 BE | attested credential data, if AT | extensions (CBOR map), if ED
//!                                          aaguid 16 | length 2 BE | credential id | COSE key
//! ```

use crate::{
    bytes,
    cbor::{Error, ErrorKind, RawMap, Read, Reader, Write, Writer},
    cose::CoseKey,
};

/// The longest credential id, in bytes (WebAuthn L3 §4).
pub const MAX_CREDENTIAL_ID: usize = 1023;

/// The flags byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Flags(pub u8);

impl Flags {
    /// User present.
    pub const UP: Flags = Flags(0x01);
    /// User verified.
    pub const UV: Flags = Flags(0x04);
    /// Backup eligible.
    pub const BE: Flags = Flags(0x08);
    /// Backed up.
    pub const BS: Flags = Flags(0x10);
    /// Attested credential data follows.
    pub const AT: Flags = Flags(0x40);
    /// Extension outputs follow.
    pub const ED: Flags = Flags(0x80);

    /// Whether all of `flags` are set.
    pub const fn has(self, flags: Flags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// These flags and `flags`, if `on`.
    pub const fn with(self, flags: Flags, on: bool) -> Self {
        if on { Flags(self.0 | flags.0) } else { self }
    }
}

/// Authenticator data, to read or to write.
///
/// ```
/// use keyfob_core::auth_data::{AuthData, Flags};
///
/// let bytes = [[7; 32].as_slice(), &[0x05, 0, 0, 0, 9]].concat(); // hash of the RP ID, flags, counter
/// let data = AuthData::decode(&bytes)?;
/// assert!(data.flags.has(Flags::UP) && data.flags.has(Flags::UV));
/// assert_eq!(data.sign_count, 9);
/// # Ok::<(), keyfob_core::cbor::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthData<'a> {
    /// SHA-256 of the RP ID.
    pub rp_id_hash: &'a [u8; 32],
    /// The flags. On writing, AT and ED are set from the members below.
    pub flags: Flags,
    /// The signature counter.
    pub sign_count: u32,
    /// The new credential, in a registration.
    pub attested_credential_data: Option<AttestedCredentialData<'a>>,
    /// Extension outputs, a CBOR map with text keys.
    pub extensions: Option<RawMap<'a>>,
}

/// The part of authenticator data that describes a new credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttestedCredentialData<'a> {
    /// The authenticator's model.
    pub aaguid: &'a [u8; 16],
    /// At most [`MAX_CREDENTIAL_ID`] bytes.
    pub credential_id: &'a [u8],
    /// The credential's public key.
    pub public_key: CoseKey<'a>,
}

impl<'a> AuthData<'a> {
    /// Reads authenticator data under the tolerant CBOR rules.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`], [`ErrorKind::TrailingBytes`]; [`ErrorKind::OutOfRange`] for a credential id over 1,023
    /// bytes; the key or the extensions are malformed, for example a member appears twice. An offset inside CBOR counts
    /// from the start of that CBOR.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::read(bytes, Reader::tolerant)
    }

    /// Reads authenticator data whose COSE key and extension outputs must be in canonical form.
    ///
    /// # Errors
    /// The errors of [`AuthData::decode`]; a key or extensions that are not canonical or nested more than four deep.
    pub fn decode_strict(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::read(bytes, Reader::strict)
    }

    #[inline]
    fn read(bytes: &'a [u8], reader: fn(&'a [u8]) -> Reader<'a>) -> Result<Self, Error> {
        let (rp_id_hash, rest) = chunk::<32>(bytes)?;
        let (&[flags], rest) = chunk::<1>(rest)?;
        let (&sign_count, mut rest) = chunk::<4>(rest)?;
        let flags = Flags(flags);
        let mut attested_credential_data = None;
        if flags.has(Flags::AT) {
            let (aaguid, after) = chunk::<16>(rest)?;
            let (&length, after) = chunk::<2>(after)?;
            let length = usize::from(u16::from_be_bytes(length));
            if length > MAX_CREDENTIAL_ID {
                return Err(Error::new(ErrorKind::OutOfRange, 53));
            }
            let (credential_id, after) = after.split_at_checked(length).ok_or(Error::new(ErrorKind::Truncated, 55))?;
            let mut r = reader(after);
            let public_key = CoseKey::read(&mut r)?;
            rest = r.rest();
            attested_credential_data = Some(AttestedCredentialData { aaguid, credential_id, public_key });
        }
        let mut extensions = None;
        if flags.has(Flags::ED) {
            let mut r = reader(rest);
            extensions = Some(r.read_unique()?);
            rest = r.rest();
        }
        if !rest.is_empty() {
            return Err(Error::new(ErrorKind::TrailingBytes, bytes.len().saturating_sub(rest.len())));
        }
        Ok(Self { rp_id_hash, flags, sign_count: u32::from_be_bytes(sign_count), attested_credential_data, extensions })
    }

    /// Writes authenticator data as it is signed, without a CBOR head around it.
    pub fn encode(&self, w: &mut Writer<'_>) {
        let flags = Flags(self.flags.0 & !(Flags::AT.0 | Flags::ED.0))
            .with(Flags::AT, self.attested_credential_data.is_some())
            .with(Flags::ED, self.extensions.is_some());
        w.raw(self.rp_id_hash);
        w.byte(flags.0);
        w.raw(&self.sign_count.to_be_bytes());
        if let Some(attested) = &self.attested_credential_data {
            w.raw(attested.aaguid);
            let length = attested.credential_id.len().min(MAX_CREDENTIAL_ID);
            w.raw(&(length as u16).to_be_bytes());
            w.raw(bytes::front(attested.credential_id, length));
            attested.public_key.write(w);
        }
        if let Some(extensions) = &self.extensions {
            extensions.write(w);
        }
    }

    /// The length of what [`AuthData::encode`] writes.
    pub fn encoded_len(&self) -> usize {
        let mut w = Writer::new(&mut []);
        self.encode(&mut w);
        w.len()
    }
}

fn chunk<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), Error> {
    bytes.split_first_chunk().ok_or(Error::new(ErrorKind::Truncated, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cose::{Algorithm, Curve};

    const KEY: CoseKey<'static> =
        CoseKey::Ec2 { algorithm: Algorithm::ES256, curve: Curve::P256, x: &[7; 32], y: &[9; 32] };

    fn encoded(extensions: &[u8]) -> Vec<u8> {
        let attested = AttestedCredentialData { aaguid: &[1; 16], credential_id: &[2; 16], public_key: KEY };
        let data = AuthData {
            rp_id_hash: &[3; 32],
            flags: Flags::UP,
            sign_count: 1,
            attested_credential_data: Some(attested),
            extensions: Some(RawMap(extensions)),
        };
        let mut buffer = vec![0; data.encoded_len()];
        data.encode(&mut Writer::new(&mut buffer));
        buffer
    }

    #[test]
    fn a_key_and_outputs_that_are_not_canonical_are_refused_only_by_the_strict_rules() {
        let canonical = encoded(b"\xa2\x6bcredProtect\x02\x6bhmac-secret\xf5");
        assert_eq!(AuthData::decode_strict(&canonical), AuthData::decode(&canonical));
        assert!(AuthData::decode(&canonical).is_ok());

        let unordered_outputs = encoded(b"\xa2\x6bhmac-secret\xf5\x6bcredProtect\x02");
        // The key comes after 55 bytes and the id; its first member is 01 02.
        let mut padded_key = canonical.clone();
        padded_key.splice(72..74, [0x01, 0x18, 0x02]);
        let mut unordered_key = canonical;
        unordered_key.splice(72..76, [0x03, 0x26, 0x01, 0x02]);
        for (bytes, kind) in [
            (unordered_outputs, ErrorKind::KeyOrder),
            (padded_key, ErrorKind::NotShortest),
            (unordered_key, ErrorKind::KeyOrder),
        ] {
            assert_eq!(AuthData::decode_strict(&bytes).map_err(Error::kind), Err(kind));
            let tolerated = AuthData::decode(&bytes).expect("only its form is wrong");
            assert_eq!(tolerated.attested_credential_data.map(|attested| attested.public_key), Some(KEY));
        }
    }
}
