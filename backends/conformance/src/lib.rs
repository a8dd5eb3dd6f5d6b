//! keyfob-conformance: one suite of known answers and properties that every crypto backend of keyfob passes, on the host
//! and on the chip.
//!
//! | function | what it asks | who passes |
//! |---|---|---|
//! | [`properties`] | round trips, refusals, the right error for each wrong input | every backend, the stub included |
//! | [`known_answers`] | the numbers of the standards | every real backend |
//! | [`deterministic_signature`] | RFC 6979 and RFC 8032 to the byte | backends that sign so and can import a key |
//! | [`deterministic_ml_dsa`] | FIPS 204 to the byte | backends that sign so |
//!
//! The first failed check is returned by its name. Nothing here panics or allocates: call [`run`] from a bring-up
//! firmware. It is about 25 kB of code and constants (Thumb, opt-level s) and absent from every image that does not
//! call it. It does about 120 scalar multiplications and hashes one megabyte: some ten seconds on a Cortex-M4 at 100
//! MHz.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs, clippy::missing_errors_doc)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::too_many_lines,
    clippy::cognitive_complexity
)]

use keyfob_core::{
    crypto::{Agreement, Cipher, Hash, Sign, Verify},
    rand_core::TryCryptoRng,
};

mod known_answers;
mod ml_dsa;
mod properties;
mod signatures;

pub use known_answers::known_answers;
pub use ml_dsa::deterministic_ml_dsa;
pub use properties::properties;
pub use signatures::{KNOWN_SIGNATURES, KnownSignature, deterministic_signature};

/// A failed check, by its name.
pub type FailedCheck = &'static str;

/// Everything a real backend must pass: [`known_answers`], known keys of ML-DSA, then [`properties`].
///
/// ```
/// use keyfob_core::crypto::RustCrypto;
/// # use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha8Rng::seed_from_u64(1);
/// assert_eq!(keyfob_conformance::run(&RustCrypto, &mut rng), Ok(())); // in place of it, a backend of your own
/// ```
///
/// # Errors
/// The check that failed.
pub fn run<C, R>(crypto: &C, rng: &mut R) -> Result<(), FailedCheck>
where
    C: Hash + Cipher + Agreement + Sign + Verify,
    R: TryCryptoRng + ?Sized,
{
    known_answers(crypto)?;
    ml_dsa::keys(crypto)?;
    properties(crypto, rng)
}

/// Decodes a constant; a wrong digit or length fails the build.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::panic, reason = "runs at compile time")]
const fn decode<const N: usize>(text: &str) -> [u8; N] {
    const fn digit(byte: u8) -> u8 {
        match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => panic!("not a hexadecimal digit"),
        }
    }
    let text = text.as_bytes();
    assert!(text.len() == 2 * N, "wrong length");
    let mut out = [0; N];
    let mut i = 0;
    while i < N {
        out[i] = digit(text[2 * i]) << 4 | digit(text[2 * i + 1]);
        i += 1;
    }
    out
}

macro_rules! hex {
    ($text:literal) => {
        const { &crate::decode::<{ $text.len() / 2 }>($text) }
    };
}
use hex;

fn check(passed: bool, name: FailedCheck) -> Result<(), FailedCheck> {
    if passed { Ok(()) } else { Err(name) }
}
