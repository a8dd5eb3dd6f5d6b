//! A crypto backend that records every secret that passes through it, and in which a test can plant a defect.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    rc::Rc,
};

use keyfob_core::crypto::{Crypto, CryptoCall, Error, RustCrypto, Sign, StubCrypto, Verify, Watch, Watched};

use crate::Mutation;

/// A crypto backend that a world can use.
pub trait Backend: Crypto + Sign + Verify + Clone + Default {
    /// Whether the backend verifies the signatures of real certificates.
    const REAL: bool;
}

impl Backend for RustCrypto {
    const REAL: bool = true;
}

impl Backend for StubCrypto {
    const REAL: bool = false;
}

/// The secrets of a world: keys and plaintexts. None may appear on the wire.
#[derive(Clone, Default)]
pub struct Secrets(Rc<RefCell<Vec<Vec<u8>>>>);

/// The shortest secret that is searched for, in bytes. A shorter one would be found by chance.
const MIN_SECRET: usize = 8;
/// Longer secrets are truncated to this many bytes, because an Ed25519 secret ends with its public key.
const MAX_SECRET: usize = 32;

impl Secrets {
    /// Records a secret without its zero padding.
    pub fn add(&self, secret: &[u8]) {
        let len = secret.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let secret = &secret[..len.min(MAX_SECRET)];
        if secret.len() >= MIN_SECRET {
            self.0.borrow_mut().push(secret.to_vec());
        }
    }

    /// The first secret that appears in one of `streams`.
    pub fn found_in<'s>(&self, streams: impl Iterator<Item = &'s [u8]>) -> Option<Vec<u8>> {
        let secrets = self.0.borrow();
        // A key is added each time it is used, and at most places of a stream no secret begins. So first mark the two
        // bytes with which secrets begin.
        let mut begins = vec![false; 1 << 16];
        let begin = |bytes: &[u8]| usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
        let mut by_start = HashMap::<&[u8], BTreeSet<&[u8]>>::new();
        for secret in secrets.iter() {
            begins[begin(secret)] = true;
            by_start.entry(&secret[..MIN_SECRET]).or_default().insert(secret);
        }
        for stream in streams {
            for (at, start) in stream.windows(MIN_SECRET).enumerate() {
                if begins[begin(start)]
                    && let Some(candidates) = by_start.get(start)
                    && let Some(secret) = candidates.iter().find(|secret| stream[at..].starts_with(secret))
                {
                    return Some(secret.to_vec());
                }
            }
        }
        None
    }
}

/// An observed backend.
pub type Tap<C> = Watched<C, Observer>;

/// Remembers the secrets of a backend, and breaks it where a mutation asks for that.
#[derive(Clone)]
pub struct Observer {
    secrets: Secrets,
    mutation: Option<Mutation>,
}

impl Observer {
    /// Observes a new backend.
    pub fn tap<C: Backend>(secrets: Secrets, mutation: Option<Mutation>) -> Tap<C> {
        Watched { backend: C::default(), watch: Self { secrets, mutation } }
    }
}

impl Watch for Observer {
    fn before(&self, call: CryptoCall<'_>) -> Result<(), Error> {
        match call {
            CryptoCall::Hmac(key) | CryptoCall::Decrypt(key) => self.secrets.add(key),
            CryptoCall::Encrypt(key, plaintext) | CryptoCall::Seal(key, plaintext) => {
                self.secrets.add(key);
                self.secrets.add(plaintext);
            }
            _ => {}
        }
        Ok(())
    }

    fn leaves_plaintext(&self) -> bool {
        self.mutation == Some(Mutation::PlaintextOnTheWire)
    }

    fn made_secret(&self, secret: &[u8]) {
        self.secrets.add(secret);
    }

    fn made_signature(&self, signature: &mut [u8]) {
        if let (Some(last), Some(Mutation::WrongSignature)) = (signature.last_mut(), self.mutation) {
            *last ^= 1;
        }
    }
}
