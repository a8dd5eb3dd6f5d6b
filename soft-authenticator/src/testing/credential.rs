//! Credentials that a test puts into the key, and what the key tells of those that it holds.

use keyfob_core::{
    bytes::Secret,
    cose::{Algorithm, CoseKey},
    crypto::{MAX_PUBLIC, RustCrypto, Sign},
    extensions::cred_protect::Level,
};

use super::TestError;

/// A credential to put into the key, with the names of WebAuthn L3 §11.5. It has the algorithm ES256.
///
/// ```
/// use keyfob_soft_authenticator::testing::{TestCredential, TestKey};
///
/// let key = TestKey::seeded(5);
/// let passkey = TestCredential::es256("example.org", b"user-0001").user_name("alice").sign_count(7).backup_state(true);
/// let held = key.add(passkey)?;
/// assert!(held.is_resident_credential && held.backup_eligibility);
/// # Ok::<(), keyfob_soft_authenticator::testing::TestError>(())
/// ```
pub struct TestCredential {
    pub(super) credential_id: Option<Vec<u8>>,
    pub(super) is_resident_credential: bool,
    pub(super) rp_id: String,
    pub(super) user_handle: Vec<u8>,
    pub(super) user_name: Option<String>,
    pub(super) user_display_name: Option<String>,
    pub(super) private_key: Option<Secret<32>>,
    pub(super) properties: Properties,
    pub(super) large_blob: Option<Vec<u8>>,
    pub(super) cred_protect: Option<Level>,
}

impl core::fmt::Debug for TestCredential {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TestCredential").field("rp_id", &self.rp_id).finish_non_exhaustive()
    }
}

/// What changes in a credential while the key has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Properties {
    pub sign_count: u32,
    pub backup_eligibility: bool,
    pub backup_state: bool,
}

impl TestCredential {
    /// A discoverable credential of this RP ID and user handle. The key makes its id and its private key from the seed.
    /// Its counter begins at 0; it is not backup eligible.
    pub fn es256(rp_id: &str, user_handle: &[u8]) -> Self {
        Self {
            credential_id: None,
            is_resident_credential: true,
            rp_id: rp_id.to_owned(),
            user_handle: user_handle.to_vec(),
            user_name: None,
            user_display_name: None,
            private_key: None,
            properties: Properties::default(),
            large_blob: None,
            cred_protect: None,
        }
    }

    /// With this id, 1 to 255 bytes.
    #[must_use]
    pub fn credential_id(self, id: &[u8]) -> Self {
        Self { credential_id: Some(id.to_vec()), ..self }
    }

    /// With this private key, PKCS#8 in DER.
    ///
    /// # Errors
    /// [`TestError::PrivateKey`], [`TestError::OtherCurve`].
    pub fn private_key(self, pkcs8: &[u8]) -> Result<Self, TestError> {
        let private_key = p256_scalar(pkcs8)?;
        public_key(&*private_key)?;
        Ok(Self { private_key: Some(private_key), ..self })
    }

    /// Whether it is discoverable. One that is not is used only when an allow list names it, and the key returns no
    /// user handle with it.
    #[must_use]
    pub fn resident_credential(self, is_resident_credential: bool) -> Self {
        Self { is_resident_credential, ..self }
    }

    /// With this user name.
    #[must_use]
    pub fn user_name(self, name: &str) -> Self {
        Self { user_name: Some(name.to_owned()), ..self }
    }

    /// With this display name.
    #[must_use]
    pub fn user_display_name(self, name: &str) -> Self {
        Self { user_display_name: Some(name.to_owned()), ..self }
    }

    /// With a signature counter that stands here. The next sign-in reports one more.
    #[must_use]
    pub fn sign_count(mut self, sign_count: u32) -> Self {
        self.properties.sign_count = sign_count;
        self
    }

    /// Whether it is backup eligible (BE). One that is not eligible is not backed up either.
    #[must_use]
    pub fn backup_eligibility(mut self, eligible: bool) -> Self {
        self.properties.backup_eligibility = eligible;
        self.properties.backup_state &= eligible;
        self
    }

    /// Whether it is backed up (BS). One that is backed up is eligible too; a key that says otherwise is a
    /// [`Lie`](super::Lie).
    #[must_use]
    pub fn backup_state(mut self, backed_up: bool) -> Self {
        self.properties.backup_state = backed_up;
        self.properties.backup_eligibility |= backed_up;
        self
    }

    /// With this large blob, for a client to read: by the extension `largeBlob`, or in the large-blob array, sealed with the
    /// credential's largeBlobKey, whichever the key has.
    #[must_use]
    pub fn large_blob(self, blob: &[u8]) -> Self {
        Self { large_blob: Some(blob.to_vec()), ..self }
    }

    /// With this protection (`credProtect`): it is hidden from sign-ins without user verification.
    #[must_use]
    pub fn cred_protect(self, level: Level) -> Self {
        Self { cred_protect: Some(level), ..self }
    }
}

/// What to change in a credential; `None` leaves it as it is. With WebAuthn L3 §11.10's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CredentialProperties {
    /// Whether it is backup eligible.
    pub backup_eligibility: Option<bool>,
    /// Whether it is backed up.
    pub backup_state: Option<bool>,
    /// Its signature counter.
    pub sign_count: Option<u32>,
}

/// A credential that the key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldCredential {
    /// Its id.
    pub credential_id: Vec<u8>,
    /// Whether it is discoverable.
    pub is_resident_credential: bool,
    /// Its RP ID.
    pub rp_id: String,
    /// Its user handle; `None` for one that is not discoverable.
    pub user_handle: Option<Vec<u8>>,
    /// The user's name.
    pub user_name: Option<String>,
    /// The user's display name.
    pub user_display_name: Option<String>,
    /// The public key as COSE, as a server stores it.
    pub public_key: Option<Vec<u8>>,
    /// The counter of its last signature.
    pub sign_count: u32,
    /// Whether it is backup eligible.
    pub backup_eligibility: bool,
    /// Whether it is backed up.
    pub backup_state: bool,
}

/// The public key, `x‖y`.
pub(super) fn public_key(private_key: &[u8]) -> Result<Vec<u8>, TestError> {
    raw_public_key(Algorithm::ES256, private_key).ok_or(TestError::PrivateKey)
}

/// The public key as COSE, of a credential of any algorithm.
pub(super) fn cose_key(algorithm: Algorithm, private_key: &[u8]) -> Option<Vec<u8>> {
    let raw = raw_public_key(algorithm, private_key)?;
    let mut cose = vec![0; raw.len().saturating_add(64)];
    let len = keyfob_core::cbor::encode(&CoseKey::from_raw(algorithm, &raw)?, &mut cose).ok()?;
    cose.truncate(len);
    Some(cose)
}

fn raw_public_key(algorithm: Algorithm, private_key: &[u8]) -> Option<Vec<u8>> {
    let mut public = vec![0; MAX_PUBLIC];
    let len = RustCrypto.public_key(algorithm, private_key, &mut public).ok()?;
    public.truncate(len);
    Some(public)
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// id-ecPublicKey, 1.2.840.10045.2.1.
const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1];
/// secp256r1, 1.2.840.10045.3.1.7.
const P256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7];

/// What a PrivateKeyInfo with a key on P-256 begins with: all but the key itself. It has no public key.
const HEAD: &[u8] = b"\x30\x41\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\
    \x03\x01\x07\x04\x27\x30\x25\x02\x01\x01\x04\x20";

/// A private key for ES256 as PKCS#8 in DER.
pub(super) fn pkcs8(algorithm: Algorithm, private_key: &[u8]) -> Result<Vec<u8>, TestError> {
    // AWS-LC's keys have the point behind the scalar.
    let scalar = private_key.first_chunk::<32>().filter(|_| algorithm == Algorithm::ES256);
    scalar.map(|scalar| [HEAD, scalar].concat()).ok_or(TestError::OtherCurve)
}

/// The private key in a PrivateKeyInfo (RFC 5208 §5) that holds an ECPrivateKey (RFC 5915 §3).
fn p256_scalar(pkcs8: &[u8]) -> Result<Secret<32>, TestError> {
    let member = |input, tag| element(input, tag).ok_or(TestError::PrivateKey);
    let (info, behind) = member(pkcs8, SEQUENCE)?;
    let (_version, info) = member(info, INTEGER)?;
    let (algorithm, info) = member(info, SEQUENCE)?;
    let (kind, parameters) = member(algorithm, OBJECT_IDENTIFIER)?;
    if kind != EC_PUBLIC_KEY || member(parameters, OBJECT_IDENTIFIER)?.0 != P256 {
        return Err(TestError::OtherCurve);
    }
    let (key, _) = member(info, OCTET_STRING)?;
    let (key, behind_key) = member(key, SEQUENCE)?;
    let (_version, key) = member(key, INTEGER)?;
    let (scalar, _) = member(key, OCTET_STRING)?;
    let scalar = scalar.try_into().map_err(|_| TestError::PrivateKey)?;
    if behind.is_empty() && behind_key.is_empty() { Ok(Secret(scalar)) } else { Err(TestError::PrivateKey) }
}

/// The content of the DER element that `input` begins with, and what follows it. Lengths to 65,535 bytes.
fn element(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let rest = input.strip_prefix(&[tag])?;
    let (len, rest) = match *rest {
        [len, ref rest @ ..] if len < 0x80 => (usize::from(len), rest),
        [0x81, len, ref rest @ ..] if len >= 0x80 => (usize::from(len), rest),
        [0x82, high, low, ref rest @ ..] if high > 0 => (usize::from(u16::from_be_bytes([high, low])), rest),
        _ => return None,
    };
    rest.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::{Algorithm, HEAD, TestError, p256_scalar, pkcs8};

    #[test]
    fn a_private_key_is_taken_out_of_either_backends_form() {
        let short = pkcs8(Algorithm::ES256, &[7; 32]).unwrap();
        assert_eq!(pkcs8(Algorithm::ES256, &[[7; 32], [8; 32], [9; 32]].concat()).unwrap(), short);
        assert_eq!(*p256_scalar(&short).unwrap(), [7; 32]);
        assert!(pkcs8(Algorithm::ES384, &[7; 48]).is_err());
    }

    proptest! {
        #[test]
        fn a_private_key_is_read_as_it_was_written(scalar: [u8; 32]) {
            let read = p256_scalar(&[HEAD, &scalar].concat()).map(|read| *read);
            prop_assert_eq!(read, Ok(scalar));
        }

        #[test]
        fn bytes_that_are_no_private_key_are_refused(noise in vec(any::<u8>(), 0..80), at in 0..67_usize, byte: u8) {
            let refused = |error| matches!(error, TestError::PrivateKey | TestError::OtherCurve);
            prop_assert!(p256_scalar(&noise).is_err_and(refused));
            // One byte altered: it is refused, or is another key. Versions are not looked at.
            let mut altered = [HEAD, &[9; 32]].concat();
            altered[at] = byte;
            match p256_scalar(&altered) {
                Ok(scalar) => prop_assert!(*scalar == altered[HEAD.len()..]),
                Err(error) => prop_assert!(refused(error)),
            }
        }
    }
}
