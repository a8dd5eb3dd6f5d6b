//! What an identity and a recipient say, and how a file's key is wrapped.

use age_core::{
    format::{FILE_KEY_BYTES, FileKey, Stanza},
    primitives::{aead_decrypt, aead_encrypt, hkdf},
    secrecy::ExposeSecret,
};
use keyfob_core::{
    base64url,
    crypto::{Hash, RustCrypto},
};
use zeroize::Zeroizing;

/// The kind of our stanzas.
const TAG: &str = "keyfob";
/// What the wrapping key is for.
const LABEL: &[u8] = b"age-encryption.org/v1/keyfob";
/// The first byte of an identity and of a recipient.
const VERSION: u8 = 1;
/// The second byte, where the secrets are those of a user who was verified.
const VERIFIED: u8 = 1;

/// A credential that makes secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub id: Vec<u8>,
    /// Its secrets are those of a user who was verified: a key makes others without.
    pub is_verified: bool,
}

impl Credential {
    /// The same bytes stand in the identity and in the recipient: neither is a secret.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&[VERSION, u8::from(self.is_verified)], &self.id[..]].concat()
    }

    /// `None` if it says something else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [VERSION, verified @ 0..=VERIFIED, id @ ..] if !id.is_empty() => {
                Some(Self { id: id.to_vec(), is_verified: *verified == VERIFIED })
            }
            _ => None,
        }
    }

    /// What tells its stanzas from those of others, in a few characters.
    fn hint(&self) -> String {
        let hash = RustCrypto.sha256(&[&self.id]);
        base64url::chars(&hash[..4]).collect()
    }

    /// Wraps the key of a file with the secret that the key makes of this salt.
    pub fn wrap(&self, file_key: &FileKey, salt: &[u8; 32], secret: &[u8; 32]) -> Stanza {
        let key = Zeroizing::new(hkdf(salt, LABEL, secret));
        Stanza {
            tag: TAG.into(),
            args: vec![self.hint(), base64url::chars(salt).collect()],
            body: aead_encrypt(&key, file_key.expose_secret()),
        }
    }

    /// The salt of a stanza that is for this credential. `None` if it is for another.
    ///
    /// # Errors
    /// It is one of ours, and damaged.
    pub fn salt(&self, stanza: &Stanza) -> Option<Result<[u8; 32], &'static str>> {
        let [hint, salt] = &stanza.args[..] else {
            return (stanza.tag == TAG).then_some(Err("it has other arguments"));
        };
        (stanza.tag == TAG && *hint == self.hint()).then(|| {
            let mut bytes = [0; 32];
            match base64url::decode(salt.chars(), &mut bytes) {
                Ok(32) if stanza.body.len() == FILE_KEY_BYTES + 16 => Ok(bytes),
                Ok(32) => Err("its body has another length"),
                _ => Err("its salt is not 32 bytes in base64"),
            }
        })
    }
}

/// Unwraps the key of a file. `None` if the secret is another one's.
pub fn unwrap(stanza: &Stanza, salt: &[u8; 32], secret: &[u8; 32]) -> Option<FileKey> {
    let key = Zeroizing::new(hkdf(salt, LABEL, secret));
    let plain = Zeroizing::new(aead_decrypt(&key, FILE_KEY_BYTES, &stanza.body).ok()?);
    FileKey::try_init_with_mut(|file_key| {
        let plain: &[u8; FILE_KEY_BYTES] = plain[..].try_into()?;
        *file_key = *plain;
        Ok::<(), std::array::TryFromSliceError>(())
    })
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential() -> Credential {
        Credential { id: vec![7; 40], is_verified: true }
    }

    #[test]
    fn a_credential_is_read_as_it_was_written_and_nothing_else_is() {
        for is_verified in [false, true] {
            let credential = Credential { is_verified, ..credential() };
            assert_eq!(Credential::from_bytes(&credential.to_bytes()), Some(credential));
        }
        for bytes in [&[][..], &[1], &[1, 0], &[0, 0, 7], &[2, 1, 7], &[1, 2, 7]] {
            assert_eq!(Credential::from_bytes(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_file_key_is_unwrapped_with_the_same_secret_only() {
        let (salt, secret) = ([1; 32], [2; 32]);
        let stanza = credential().wrap(&FileKey::new(Box::new([3; 16])), &salt, &secret);
        assert_eq!(credential().salt(&stanza), Some(Ok(salt)));
        assert_eq!(unwrap(&stanza, &salt, &secret).unwrap().expose_secret(), &[3; 16]);
        assert!(unwrap(&stanza, &salt, &[4; 32]).is_none());
        assert!(unwrap(&stanza, &[4; 32], &secret).is_none());
    }

    #[test]
    fn stanzas_of_others_are_left_and_damaged_ones_are_named() {
        let stanza = credential().wrap(&FileKey::new(Box::new([3; 16])), &[1; 32], &[2; 32]);
        let other = Credential { id: vec![8; 40], ..credential() };
        assert_eq!(other.salt(&stanza), None);
        let changed = |change: fn(&mut Stanza)| {
            let mut stanza = Stanza { tag: stanza.tag.clone(), args: stanza.args.clone(), body: stanza.body.clone() };
            change(&mut stanza);
            credential().salt(&stanza)
        };
        assert_eq!(changed(|stanza| stanza.tag = "X25519".into()), None);
        assert_eq!(changed(|stanza| drop(stanza.args.pop())), Some(Err("it has other arguments")));
        assert_eq!(changed(|stanza| stanza.args[1] = "AAAA".into()), Some(Err("its salt is not 32 bytes in base64")));
        assert_eq!(changed(|stanza| stanza.body.truncate(31)), Some(Err("its body has another length")));
    }
}
