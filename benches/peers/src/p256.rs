//! P-256 alone: the minimum cost of a registration and a sign-in.

use std::hint::black_box;

use keyfob_benches::Operation;
use p256::ecdsa::{Signature, SigningKey, signature::Signer};
use p256::elliptic_curve::Generate;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use crate::{FLOOR, Peer};

pub const PEER: Peer = Peer {
    name: "p256",
    note: "bare: a key pair, and two signatures in DER over messages of the ceremonies' sizes, with its tables",
    operations: &[Operation { name: FLOOR, prepare: two_signatures }],
};

const MESSAGES: [&[u8]; 2] = [&[1; 196], &[2; 69]];

pub fn two_signatures() -> Box<dyn FnMut()> {
    signatures(&MESSAGES)
}

pub fn one_signature() -> Box<dyn FnMut()> {
    signatures(&MESSAGES[1..])
}

fn signatures(messages: &'static [&[u8]]) -> Box<dyn FnMut()> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    Box::new(move || {
        let key = SigningKey::generate_from_rng(&mut rng);
        black_box(key.verifying_key().to_sec1_point(false));
        for message in messages {
            let signature: Signature = key.sign(black_box(message));
            black_box(signature.to_der());
        }
    })
}

/// With version 0.13 of the crate, which OpenSK uses.
pub fn two_signatures_13() -> Box<dyn FnMut()> {
    use p256_13::ecdsa::{Signature, SigningKey, signature::Signer};

    let mut rng = <rand_8::rngs::StdRng as rand_8::SeedableRng>::seed_from_u64(1);
    Box::new(move || {
        let key = SigningKey::random(&mut rng);
        black_box(key.verifying_key().to_encoded_point(false));
        for message in MESSAGES {
            let signature: Signature = key.sign(black_box(message));
            black_box(signature.to_der());
        }
    })
}
