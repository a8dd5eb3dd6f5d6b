//! A crypto backend of this board: its SHA-256, and RustCrypto for the rest.

use keyfob_core::crypto::{Agreement, Cipher, Error, Hash, P256Point, P256Secret, RustCrypto, Sha256};
use rand_core::TryCryptoRng;

/// The backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chip;

/// A running hash (FIPS 180-4).
#[derive(Clone, Debug)]
pub struct Running {
    state: [u32; 8],
    block: [u8; 64],
    /// Bytes hashed so far.
    length: u64,
}

const INITIAL: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

const ROUNDS: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
    0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
    0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
    0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2,
];

impl Running {
    fn compress(&mut self) {
        let mut words = [0_u32; 64];
        for (word, bytes) in words.iter_mut().zip(self.block.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        for i in 16..64 {
            let (early, late) = (words[i - 15], words[i - 2]);
            let early = early.rotate_right(7) ^ early.rotate_right(18) ^ (early >> 3);
            let late = late.rotate_right(17) ^ late.rotate_right(19) ^ (late >> 10);
            words[i] = words[i - 16].wrapping_add(early).wrapping_add(words[i - 7]).wrapping_add(late);
        }
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = self.state;
        for (round, word) in ROUNDS.iter().zip(words) {
            let sum = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
            let choice = (e & f) ^ (!e & g);
            let first = h.wrapping_add(sum).wrapping_add(choice).wrapping_add(*round).wrapping_add(word);
            let sum = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
            let majority = (a & b) ^ (a & c) ^ (b & c);
            (h, g, f, e) = (g, f, e, d.wrapping_add(first));
            (d, c, b, a) = (c, b, a, first.wrapping_add(sum).wrapping_add(majority));
        }
        for (state, word) in self.state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            *state = state.wrapping_add(word);
        }
    }

    fn push(&mut self, byte: u8) {
        self.block[(self.length % 64) as usize] = byte;
        self.length += 1;
        if self.length.is_multiple_of(64) {
            self.compress();
        }
    }
}

impl Sha256 for Running {
    fn update(&mut self, data: &[u8]) {
        data.iter().for_each(|byte| self.push(*byte));
    }

    fn finish(mut self) -> [u8; 32] {
        let bits = self.length * 8;
        self.push(0x80);
        while self.length % 64 != 56 {
            self.push(0);
        }
        self.update(&bits.to_be_bytes());
        let mut hash = [0; 32];
        for (bytes, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        hash
    }
}

impl Hash for Chip {
    type Sha256 = Running;

    fn sha256_start(&self) -> Running {
        Running { state: INITIAL, block: [0; 64], length: 0 }
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let hashed = self.sha256(&[key]);
        let key = if key.len() > 64 { &hashed[..] } else { key };
        let padded = |with: u8| {
            let mut block = [with; 64];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= *key);
            block
        };
        let mut inner = self.sha256_start();
        inner.update(&padded(0x36));
        parts.iter().for_each(|part| inner.update(part));
        self.sha256(&[&padded(0x5c), &inner.finish()])
    }
}

impl Cipher for Chip {
    fn aes256_cbc_encrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
        RustCrypto.aes256_cbc_encrypt(key, iv, data)
    }

    fn aes256_cbc_decrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
        RustCrypto.aes256_cbc_decrypt(key, iv, data)
    }

    fn aes128_cbc_encrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
        RustCrypto.aes128_cbc_encrypt(key, iv, data);
    }

    fn aes128_cbc_decrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]) {
        RustCrypto.aes128_cbc_decrypt(key, iv, data);
    }

    fn aes256_gcm_seal(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; 16], Error> {
        RustCrypto.aes256_gcm_seal(key, nonce, aad, data)
    }

    fn aes256_gcm_open(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Error> {
        RustCrypto.aes256_gcm_open(key, nonce, aad, data, tag)
    }
}

impl Agreement for Chip {
    fn p256_generate<R: TryCryptoRng + ?Sized>(&self, rng: &mut R) -> Result<(P256Secret, P256Point), Error> {
        RustCrypto.p256_generate(rng)
    }

    fn p256_public(&self, secret: &P256Secret) -> Result<P256Point, Error> {
        RustCrypto.p256_public(secret)
    }

    fn p256_shared(&self, secret: &P256Secret, peer: &P256Point) -> Result<[u8; 32], Error> {
        RustCrypto.p256_shared(secret, peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_hashes_are_those_of_another_backend() {
        let data = [7_u8; 200];
        for length in [0, 1, 55, 56, 63, 64, 65, 119, 128, 200] {
            let data = &data[..length];
            assert_eq!(Chip.sha256(&[data]), RustCrypto.sha256(&[data]), "{length} bytes");
            assert_eq!(Chip.hmac_sha256(data, &[b"a", b"b"]), RustCrypto.hmac_sha256(data, &[b"a", b"b"]), "{length}");
        }
    }
}
