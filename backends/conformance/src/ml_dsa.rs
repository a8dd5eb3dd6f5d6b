//! Known keys and signatures of ML-DSA (FIPS 204), deterministic and with an empty context. Public keys and signatures
//! stand here as their SHA-256: whole, they would take 50 kB.

use keyfob_core::{
    cose::Algorithm,
    crypto::{Error, Hash, MAX_PUBLIC, MAX_SIGNATURE, Sign},
};

use crate::{FailedCheck, check, hex};

struct Known {
    name: FailedCheck,
    algorithm: Algorithm,
    seed: &'static [u8; 32],
    message: &'static [u8],
    public: &'static [u8; 32],
    signature: &'static [u8; 32],
}

/// A plain signature, one that takes many rounds, and a key whose vectors take the most hashing, for each parameter
/// set.
const KNOWN: &[Known] = &[
    Known {
        name: "ML-DSA-44: Wycheproof, test 1",
        algorithm: Algorithm::ML_DSA_44,
        seed: hex!("2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a"),
        message: hex!("48656c6c6f20776f726c64"),
        public: hex!("d87f8ca136ac1aa55e2d6c4521680efb3a378cbb9bc0bfb446e9c60893931ea3"),
        signature: hex!("8cd6fc03daa72e87210a4e721523e84c14f27733789075e65736744d4787fdd5"),
    },
    Known {
        name: "ML-DSA-44: Wycheproof, test 39, a signature that takes 39 iterations",
        algorithm: Algorithm::ML_DSA_44,
        seed: hex!("2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a"),
        message: hex!("3216000000000000000000000000000000000000000000000000000000000000"),
        public: hex!("d87f8ca136ac1aa55e2d6c4521680efb3a378cbb9bc0bfb446e9c60893931ea3"),
        signature: hex!("27819dc79244cc9746c4cad5dd0ac98035be881df324596462e7de1953c222de"),
    },
    Known {
        name: "ML-DSA-44: Wycheproof, test 61, a key that takes much hashing",
        algorithm: Algorithm::ML_DSA_44,
        seed: hex!("6d07010000000000000000000000000000000000000000000000000000000000"),
        message: hex!("48656c6c6f20776f726c64"),
        public: hex!("191fc01d07a6cfee0aa7310451a415d29502c2e28757c696355b9d46a1d818e1"),
        signature: hex!("a4774e2be9772952dae6fbeb979b325039c364c1281d31d1946aaabd61155c90"),
    },
    Known {
        name: "ML-DSA-65: Wycheproof, test 1",
        algorithm: Algorithm::ML_DSA_65,
        seed: hex!("2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a"),
        message: hex!("48656c6c6f20776f726c64"),
        public: hex!("b7acce2ddb11f8cc1aa46e2bafac6eacfa2b732ef192bd636ad8d3a56d649c66"),
        signature: hex!("39fbbb0d97a52c79844213b325af823a7f16a174e00a5b3daeb3e6e6d1c89681"),
    },
    Known {
        name: "ML-DSA-65: Wycheproof, test 43, a signature that takes 44 iterations",
        algorithm: Algorithm::ML_DSA_65,
        seed: hex!("2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a"),
        message: hex!("bc10000000000000000000000000000000000000000000000000000000000000"),
        public: hex!("b7acce2ddb11f8cc1aa46e2bafac6eacfa2b732ef192bd636ad8d3a56d649c66"),
        signature: hex!("ecfc8661b5f696ab5ad2ccca405a4e7f3d83b1f7ace95fdf5c1b830bf4bb39e5"),
    },
    Known {
        name: "ML-DSA-65: Wycheproof, test 63, a key that takes much hashing",
        algorithm: Algorithm::ML_DSA_65,
        seed: hex!("093a000000000000000000000000000000000000000000000000000000000000"),
        message: hex!("48656c6c6f20776f726c64"),
        public: hex!("6249729541ca5b805a768c794da94dc06fcba7e6f0bb5670fa4042e1c4d58d87"),
        signature: hex!("3751a564c50612b81c6249c3b0fe1d57d2c6f1a7264c77eb9470b09ff5ec9cf9"),
    },
    Known {
        name: "ML-DSA-87: Wycheproof, test 1",
        algorithm: Algorithm::ML_DSA_87,
        seed: hex!("2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a"),
        message: hex!("48656c6c6f20776f726c64"),
        public: hex!("d43128fa8a8c785c1d44c9e7db538dbf9dd88fe6c8ad911a344bcec1017c6d54"),
        signature: hex!("1ad45bd0419e694375bd38ec11d8e0c228ab9ffac2fce4adbe6218d9c949e293"),
    },
    Known {
        name: "ML-DSA-87: Wycheproof, test 34, a signature that takes 31 iterations",
        algorithm: Algorithm::ML_DSA_87,
        seed: hex!("2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a"),
        message: hex!("7503000000000000000000000000000000000000000000000000000000000000"),
        public: hex!("d43128fa8a8c785c1d44c9e7db538dbf9dd88fe6c8ad911a344bcec1017c6d54"),
        signature: hex!("ff8e67ef7e375ae2f6286177430910659d87bff180eacd838a80eb19c0ef8cbd"),
    },
    Known {
        name: "ML-DSA-87: Wycheproof, test 57, a key that takes much hashing",
        algorithm: Algorithm::ML_DSA_87,
        seed: hex!("6d07010000000000000000000000000000000000000000000000000000000000"),
        message: hex!("48656c6c6f20776f726c64"),
        public: hex!("2aa616ceda626b2030f85477fc47fb1686247c7b0699d2cce0ccf4a7819f9041"),
        signature: hex!("43904a1c2dc2eded1ec04f8e073d412646f7b5ed08d09aa440f3eebfa644a6c3"),
    },
];

/// Checks the keys that a backend with ML-DSA expands from known seeds: NIST's (ACVP) and Wycheproof's.
pub(super) fn keys<C: Hash + Sign>(crypto: &C) -> Result<(), FailedCheck> {
    key(
        crypto,
        Algorithm::ML_DSA_44,
        hex!("4be7a01a99a5e5bcfe3c06785d8e4ec664082227d86704e9e44862623a05c8b3"),
        hex!("a140495fe1cbeb25d30ecf194ee2823dde1b76bbcbdea8cac50c6365f6803060"),
        "ML-DSA-44: ACVP keyGen FIPS204, test 1",
    )?;
    KNOWN.iter().try_for_each(|known| key(crypto, known.algorithm, known.seed, known.public, known.name))
}

fn key<C: Hash + Sign>(
    crypto: &C,
    algorithm: Algorithm,
    seed: &[u8; 32],
    expected: &[u8; 32],
    name: FailedCheck,
) -> Result<(), FailedCheck> {
    let mut public = [0; MAX_PUBLIC];
    match crypto.public_key(algorithm, seed, &mut public) {
        Err(Error::Unsupported) => Ok(()),
        Ok(len) => check(public.get(..len).is_some_and(|public| crypto.sha256(&[public]) == *expected), name),
        Err(_) => Err(name),
    }
}

/// Checks the signatures of a backend with ML-DSA that signs deterministically (FIPS 204 §3.4).
///
/// # Errors
/// The check that failed.
pub fn deterministic_ml_dsa<C: Hash + Sign>(crypto: &C) -> Result<(), FailedCheck> {
    KNOWN.iter().try_for_each(|known| {
        let mut signature = [0; MAX_SIGNATURE];
        let signed = crypto.sign(known.algorithm, known.seed, &[known.message], &mut signature);
        let signature = signed.ok().and_then(|len| signature.get(..len)).ok_or(known.name)?;
        check(crypto.sha256(&[signature]) == *known.signature, known.name)
    })
}
