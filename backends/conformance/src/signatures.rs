//! Known signatures.

use keyfob_core::{
    bytes,
    cose::{Algorithm, CoseKey, Curve},
    crypto::{Error, MAX_PUBLIC, MAX_SIGNATURE, Sign, Verify},
};

use crate::{FailedCheck, check, hex, properties::flipped};

/// A signature that follows from key and message alone.
#[derive(Clone, Copy, Debug)]
pub struct KnownSignature {
    /// Where it comes from.
    pub name: FailedCheck,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// The secret key: a scalar, or the seed of RFC 8032. For tests only.
    pub secret: &'static [u8],
    /// The raw public key.
    pub public: &'static [u8],
    /// The message, in parts.
    pub message: &'static [&'static [u8]],
    /// The signature, in WebAuthn's format.
    pub signature: &'static [u8],
}

/// Signatures of ECDSA with the nonces of RFC 6979, and of Ed25519.
pub const KNOWN_SIGNATURES: &[KnownSignature] = &[
    KnownSignature {
        name: "ES256: the vector none.ES256 of WebAuthn L3 §16",
        algorithm: Algorithm::ES256,
        secret: hex!("6e68e7a58484a3264f66b77f5d6dc5bc36a47085b615c9727ab334e8c369c2ee"),
        public: hex!(
            "afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220"
        ),
        message: &[
            hex!("bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000"),
            hex!("676a6e380fd31ea5710705c7be1ac4889b037895d0a25291f51251b7d7b1df02"),
        ],
        signature: hex!(
            "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87"
        ),
    },
    KnownSignature {
        name: "Ed25519: the vector packed.EdDSA of WebAuthn L3 §16",
        algorithm: Algorithm::EDDSA,
        secret: hex!("971f38c0f73aaf0c5a614eb5e26430ae1ea0ed13e4f425d96e9662349340b0b3"),
        public: hex!("44e06ddd331c36a8dc667bab52bcae63486c916aa5e339e6acebaa84934bf832"),
        message: &[
            hex!("bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b50100000000"),
            hex!("4add3082a15ab4595b58820e913a01c0b5a0651b27ab54f8ce87959fb5a4ccfc"),
        ],
        signature: hex!(
            "f5c59c7e46c34f6f8cc197101ddf9934fa2595f68eb1913a637e8419eb9ba4cfdfc48f85393bc0d40b011f0d6fecb097d6607525713223a0dc0d453993dae00b"
        ),
    },
    KnownSignature {
        name: "ES384: RFC 6979 A.2.6, SHA-384, sample",
        algorithm: Algorithm::ES384,
        secret: hex!(
            "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5"
        ),
        public: hex!(
            "ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a254515480bc138015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720"
        ),
        message: &[b"sample"],
        signature: hex!(
            "306602310094edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe4602310099ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8"
        ),
    },
    KnownSignature {
        name: "ES512: RFC 6979 A.2.7, SHA-512, sample",
        algorithm: Algorithm::ES512,
        secret: hex!(
            "00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75caa896eb32f1f47c70855836a6d16fcc1466f6d8fbec67db89ec0c08b0e996b83538"
        ),
        public: hex!(
            "01894550d0785932e00eaa23b694f213f8c3121f86dc97a04e5a7167db4e5bcd371123d46e45db6b5d5370a7f20fb633155d38ffa16d2bd761dcac474b9a2f5023a400493101c962cd4d2fddf782285e64584139c2f91b47f87ff82354d6630f746a28a0db25741b5b34a828008b22acc23f924faafbd4d33f81ea66956dfeaa2bfdfcf5"
        ),
        message: &[b"sample"],
        signature: hex!(
            "308187024200c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e25a1ee9017b5d450606add152b534931d7d4e8455cc91f9b15bf05ec36e377fa0241617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af282623eaa63e5b5c0723d8b8c37ff0777b1a20f8ccb1dccc43997f1ee0e44da4a67a"
        ),
    },
    KnownSignature {
        name: "ES256K: the secret one, with the smaller s",
        algorithm: Algorithm::ES256K,
        secret: hex!("0000000000000000000000000000000000000000000000000000000000000001"),
        public: SECP256K1_GENERATOR,
        message: &[b"Satoshi Nakamoto"],
        signature: hex!(
            "3045022100934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d802202442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"
        ),
    },
];

const SECP256K1_GENERATOR: &[u8; 64] = hex!(
    "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
);

/// Checks that `crypto` makes the same signature. `secret` is that of `known` in the backend's own form.
///
/// # Errors
/// The check that failed.
pub fn deterministic_signature<C: Sign>(crypto: &C, known: &KnownSignature, secret: &[u8]) -> Result<(), FailedCheck> {
    let mut public = [0; MAX_PUBLIC];
    let len = crypto.public_key(known.algorithm, secret, &mut public).map_err(|_| known.name)?;
    check(public.get(..len) == Some(known.public), known.name)?;
    let mut signature = [0; MAX_SIGNATURE];
    let len = crypto.sign(known.algorithm, secret, known.message, &mut signature).map_err(|_| known.name)?;
    check(signature.get(..len) == Some(known.signature), known.name)
}

/// Verification against all of these and more.
pub(super) fn verify<C: Verify>(crypto: &C) -> Result<(), FailedCheck> {
    for known in KNOWN_SIGNATURES {
        let key = CoseKey::from_raw(known.algorithm, known.public).ok_or(known.name)?;
        match crypto.verify(&key, known.message, known.signature) {
            Err(Error::Unsupported) if known.algorithm != Algorithm::ES256 => {} // every backend has that one
            result => check(result.is_ok(), known.name)?,
        }
    }
    es256(crypto)?;
    ed25519(crypto)?;
    ed448(crypto)?;
    // secp256k1: the larger of s and -s, which WebAuthn allows.
    let key = CoseKey::from_raw(Algorithm::ES256K, SECP256K1_GENERATOR).ok_or("ES256K: the raw form of a key")?;
    let larger = hex!(
        "3046022100934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8022100dbbd3162d46e9f9bef7feb87c16dc13b4f6568a87f4e83f728e2443ba586675c"
    );
    check(
        matches!(crypto.verify(&key, &[b"Satoshi Nakamoto"], larger), Ok(()) | Err(Error::Unsupported)),
        "ES256K: the larger s",
    )
}

fn es256<C: Verify>(crypto: &C) -> Result<(), FailedCheck> {
    let ec2 = |raw: &[u8], message: &[&[u8]], signature: &[u8]| {
        [Algorithm::ES256, Algorithm::ESP256].into_iter().all(|algorithm| {
            CoseKey::from_raw(algorithm, raw).is_some_and(|key| crypto.verify(&key, message, signature).is_ok())
        })
    };
    // RFC 6979 A.2.5, the message "sample".
    check(
        ec2(
            hex!(
                "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
            ),
            &[b"sam", b"", b"ple"],
            hex!(
                "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
            ),
        ),
        "ES256: RFC 6979",
    )?;
    check(
        ec2(
            hex!(
                "a5fd5ce1b1c458c530a54fa61b31bf6b04be8b97afde54dd8cbb69275a8a1be1fa3a3231dd9deed9d1897be5a6228c59501e4bcd12975d3dff730f01278ea61c"
            ),
            &[hex!(
                "0021f5fc0b85cd22e60623bcd7d1ca48948909249b4776eb515154e57b66ae12010000002c7b89f12a9088b0f5ee0ef8f6718bccc374249c31aeebaeb79bd0450132cd536c"
            )],
            hex!(
                "304402202b3933fe954a2d29de691901eb732535393d4859aaa80d58b08741598109516d0220236fbe6b52326c0a6b1cfdc6bf0a35bda92a6c2e41e40c3a1643428d820941e0"
            ),
        ),
        "ES256: an assertion whose r and s need no leading zero",
    )
}

fn ed25519<C: Verify>(crypto: &C) -> Result<(), FailedCheck> {
    let okp = |x: &[u8], message: &[&[u8]], signature: &[u8]| {
        [Algorithm::EDDSA, Algorithm::ED25519].into_iter().all(|algorithm| {
            let key = CoseKey::Okp { algorithm, curve: Curve::ED25519, x };
            matches!(crypto.verify(&key, message, signature), Ok(()) | Err(Error::Unsupported))
        })
    };
    // RFC 8032 §7.1, test 1: the empty message.
    check(
        okp(
            hex!("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
            &[],
            hex!(
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
            ),
        ),
        "Ed25519: RFC 8032 test 1",
    )?;
    check(
        okp(
            hex!("ee9b21803405d3cf45601e58b6f4c06ea93862de87d3af903c5870a5016e86f5"),
            &[hex!(
                "a379a6f6eeafb9a55e378c118034e2751e682fab9f2d30ab13d2125586ce1947010000000500a11a323057d1103784ddff99a354ddd42348c2f00e88d8977b916cabf92268"
            )],
            hex!(
                "e8c927ef1a57c738ff4ba8d6f90e06d837a5219eee47991f96b126b0685d512520c9c2eedebe4b88ff2de2b19cb5f8686efc7c4261e9ed1cb3ac5de50869be0a"
            ),
        ),
        "Ed25519: an assertion of a hardware key",
    )
}

/// The public key of RFC 8032 §7.4, "1 octet", and its signature of 0x03.
const ED448_KEY: &[u8; 57] = hex!(
    "43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb00742802b8438ea4cb82169c235160627b4c3a9480"
);
const ED448_SIGNATURE: &[u8; 114] = hex!(
    "26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd779805e0dbcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0ff3348ab21aa4adafd1d234441cf807c03a00"
);
/// The order of Ed448's group, little-endian (RFC 8032 §5.2).
const ED448_ORDER: [u8; 57] = *hex!(
    "f34458ab92c27823558fc58d72c26c219036d6ae49db4ec4e923ca7cffffffffffffffffffffffffffffffffffffffffffffffffffffff3f00"
);

/// Ed448 is verified only, so what [`super::properties`] asks of algorithms that are signed with stands here.
fn ed448<C: Verify>(crypto: &C) -> Result<(), FailedCheck> {
    let verify = |x: &[u8], message: &[&[u8]], signature: &[u8]| {
        let key = CoseKey::Okp { algorithm: Algorithm::ED448, curve: Curve::ED448, x };
        crypto.verify(&key, message, signature)
    };
    match verify(ED448_KEY, &[b"", b"\x03"], ED448_SIGNATURE) {
        Err(Error::Unsupported) => return Ok(()),
        result => check(result.is_ok(), "Ed448: RFC 8032, 1 octet")?,
    }
    check(
        verify(ED448_KEY, &[b"\x02"], ED448_SIGNATURE) == Err(Error::Mismatch)
            && verify(ED448_KEY, &[], ED448_SIGNATURE) == Err(Error::Mismatch),
        "Ed448: another message is refused",
    )?;
    for at in 0..ED448_SIGNATURE.len() {
        check(
            verify(ED448_KEY, &[b"\x03"], &flipped(ED448_SIGNATURE, at)) == Err(Error::Mismatch),
            "Ed448: every byte of the signature counts",
        )?;
    }
    let cut = bytes::front(ED448_SIGNATURE, ED448_SIGNATURE.len().saturating_sub(1));
    check(verify(ED448_KEY, &[b"\x03"], cut) == Err(Error::Mismatch), "Ed448: a cut signature is refused")?;
    let mut altered = *ED448_SIGNATURE;
    let mut carry = 0_u16;
    for (byte, order) in altered.iter_mut().skip(ED448_ORDER.len()).zip(ED448_ORDER) {
        carry = carry.wrapping_add(u16::from(*byte)).wrapping_add(u16::from(order));
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    check(
        verify(ED448_KEY, &[b"\x03"], &altered) == Err(Error::Mismatch),
        "Ed448: S past the order is refused (RFC 8032 §8.4)",
    )?;
    // Beside the sign, the last byte of a point is zero.
    check(
        verify(&flipped(ED448_KEY, 56), &[b"\x03"], ED448_SIGNATURE) == Err(Error::InvalidKey),
        "Ed448: a key in another form is refused",
    )?;
    // The neutral element, and the other points of small order: y of -1 and of 0.
    let minus_one = hex!(
        "fefffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffffffffffffffffffffffffffffffffffffffffffffffffff00"
    );
    for y in [&flipped(&[0; 57], 0), minus_one, &[0; 57]] {
        let mut forged = [0; 114];
        bytes::put(&mut forged, y);
        check(verify(y, &[b"\x03"], &forged) == Err(Error::InvalidKey), "Ed448: a key of small order is refused")?;
    }
    let key = CoseKey::Okp { algorithm: Algorithm::ED448, curve: Curve::ED25519, x: ED448_KEY };
    check(
        crypto.verify(&key, &[b"\x03"], ED448_SIGNATURE) == Err(Error::InvalidKey)
            && verify(cut, &[b"\x03"], ED448_SIGNATURE) == Err(Error::InvalidKey),
        "Ed448: a key of another curve or length is refused",
    )
}
