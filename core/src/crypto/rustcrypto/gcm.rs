//! AES-256-GCM opened with the same work whether or not the tag is right (SP 800-38D §7.2). The crate `aes-gcm`
//! decrypts only what has the right tag, so that time would tell which credential ids are this authenticator's.

use aes::Aes256Enc;
use cbc::cipher::{BlockCipherEncrypt, InnerIvInit, StreamCipherCore};
use ctr::{CtrCore, flavors::Ctr32BE};
use ghash::{GHash, universal_hash::UniversalHash};
use hmac::KeyInit;
use subtle::ConstantTimeEq;

use crate::{
    bytes::{self, Secret},
    crypto::Error,
};

/// Decrypts `data` in place; with a wrong tag it is overwritten with zeros.
pub fn open(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], data: &mut [u8], tag: &[u8; 16]) -> Result<(), Error> {
    let cipher = Aes256Enc::new(key.into());
    let mut hash_key = Secret([0; 16]);
    cipher.encrypt_block((&mut *hash_key).into());
    let mut hash = GHash::new((&*hash_key).into());
    hash.update_padded(aad);
    hash.update_padded(data);
    let mut lengths = ghash::Block::default();
    for (place, part) in lengths.as_chunks_mut::<8>().0.iter_mut().zip([aad.len(), data.len()]) {
        *place = (part as u64).wrapping_mul(8).to_be_bytes();
    }
    hash.update(&[lengths]);

    let first: [u8; 16] = bytes::concat(&[nonce, &1u32.to_be_bytes()]);
    let first = ghash::Block::from(first);
    let mut counter = CtrCore::<&Aes256Enc, Ctr32BE>::inner_iv_init(&cipher, &first);
    let mut mask = Secret([0; 16]);
    counter.write_keystream_block((&mut *mask).into());
    counter.apply_keystream_partial(data.into());

    let expected = u128::from_ne_bytes(hash.finalize().into()) ^ u128::from_ne_bytes(*mask);
    let right = expected.ct_eq(&u128::from_ne_bytes(*tag));
    let kept = right.unwrap_u8().wrapping_neg();
    data.iter_mut().for_each(|byte| *byte &= kept);
    if right.into() { Ok(()) } else { Err(Error::Mismatch) }
}
