//! Authenticator data (WebAuthn L3 §6.1).
//!
//! ```text
//! rpIdHash 32 | flags 1 | signCount 4 BE | attested credential data, if AT | extensions (CBOR map), if ED
//!                                          aaguid 16 | length 2 BE | credential id | COSE key
//! ```

use crate::{
    cbor::{Error, ErrorKind, RawMap, Read, Reader, Write, Writer},
    cose::CoseKey,
};

/// The longest credential id, in bytes (WebAuthn L3 §4).
pub const MAX_CREDENTIAL_ID: usize = 1023;

/// The flags byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// Authenticator data, read or to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthData<'a> {
    /// SHA-256 of the RP ID.
    pub rp_id_hash: &'a [u8; 32],
    /// The flags; AT and ED follow from the members below when written.
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
    /// bytes; what is wrong with the key or the extensions, such as a member that stands twice. Offsets inside CBOR
    /// count from its start.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
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
            let mut r = Reader::tolerant(after);
            let public_key = CoseKey::read(&mut r)?;
            rest = r.rest();
            attested_credential_data = Some(AttestedCredentialData { aaguid, credential_id, public_key });
        }
        let mut extensions = None;
        if flags.has(Flags::ED) {
            let mut r = Reader::tolerant(rest);
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
            w.raw(attested.credential_id.get(..length).unwrap_or_default());
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
