//! The numbers of the standards.

use keyfob_core::crypto::{Agreement, Cipher, Hash, P256Point, P256Secret, Sha256, Verify};

use crate::{FailedCheck, check, hex, signatures};

/// SHA-256 (FIPS 180), HMAC (RFC 4231), HKDF (RFC 5869), AES-CBC (SP 800-38A), AES-GCM, ECDH (NIST CAVP, CTAP), and
/// verification of ECDSA and Ed25519 (RFC 6979, RFC 8032, WebAuthn L3 test vectors); of the algorithms beyond ES256,
/// those that the backend does not leave unsupported.
///
/// # Errors
/// The check that failed.
pub fn known_answers<C: Hash + Cipher + Agreement + Verify>(crypto: &C) -> Result<(), FailedCheck> {
    sha256(crypto)?;
    hmac(crypto)?;
    hkdf(crypto)?;
    cbc(crypto)?;
    gcm(crypto)?;
    agreement(crypto)?;
    signatures::verify(crypto)
}

fn sha256<C: Hash>(crypto: &C) -> Result<(), FailedCheck> {
    let million = {
        let mut hash = crypto.sha256_start();
        for _ in 0..10_000 {
            Sha256::update(&mut hash, &[b'a'; 100]);
        }
        Sha256::finish(hash)
    };
    // FIPS 180-2 appendix B, and the empty message.
    let sha256 = |message: &str, expected: &[u8; 32]| crypto.sha256(&[message.as_bytes()]) == *expected;
    let empty = hex!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let abc = hex!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let two_blocks = hex!("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check(sha256("", empty) && crypto.sha256(&[]) == *empty, "SHA-256: the empty message")?;
    check(sha256("abc", abc), "SHA-256: abc")?;
    check(
        sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", two_blocks),
        "SHA-256: a padding that needs a second block",
    )?;
    check(
        million == *hex!("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        "SHA-256: a million times the letter a",
    )
}

/// RFC 4231 §4.2, §4.3, §4.7 and §4.8.
fn hmac<C: Hash>(crypto: &C) -> Result<(), FailedCheck> {
    let hmac =
        |key: &[u8], message: &str, expected: &[u8; 32]| crypto.hmac_sha256(key, &[message.as_bytes()]) == *expected;
    check(
        hmac(&[0x0b; 20], "Hi There", hex!("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")),
        "HMAC-SHA-256: RFC 4231 case 1",
    )?;
    check(
        hmac(
            b"Jefe",
            "what do ya want for nothing?",
            hex!("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ),
        "HMAC-SHA-256: RFC 4231 case 2",
    )?;
    check(
        hmac(
            &[0xaa; 131],
            "Test Using Larger Than Block-Size Key - Hash Key First",
            hex!("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
        ),
        "HMAC-SHA-256: RFC 4231 case 6",
    )?;
    check(
        hmac(
            &[0xaa; 131],
            "This is a test using a larger than block-size key and a larger than block-size data. \
             The key needs to be hashed before being used by the HMAC algorithm.",
            hex!("9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
        ),
        "HMAC-SHA-256: RFC 4231 case 7",
    )?;
    check(
        crypto.hmac_sha256(&[0x91; 32], &[&[0xaa]])
            == *hex!("9c1cfe9dd7646a06b9a80f96ad504968949020530fa3d27a9ffdfa623693f784"),
        "HMAC-SHA-256: PIN/UV auth protocol two",
    )
}

/// RFC 5869 appendix A: the first 32 of the 42 or 82 bytes.
fn hkdf<C: Hash>(crypto: &C) -> Result<(), FailedCheck> {
    check(
        crypto.hkdf_sha256(hex!("000102030405060708090a0b0c"), &[0x0b; 22], hex!("f0f1f2f3f4f5f6f7f8f9"))
            == *hex!("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"),
        "HKDF-SHA-256: RFC 5869 case 1",
    )?;
    check(
        crypto.hkdf_sha256(&ascending::<80>(0x60), &ascending::<80>(0), &ascending::<80>(0xb0))
            == *hex!("b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"),
        "HKDF-SHA-256: RFC 5869 case 2",
    )?;
    check(
        crypto.hkdf_sha256(&[], &[0x0b; 22], &[])
            == *hex!("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"),
        "HKDF-SHA-256: RFC 5869 case 3",
    )?;
    // CTAP 2.3 §6.5.7: the two keys of PIN/UV auth protocol two, from the Z of the ECDH check below.
    let z = hex!("1f9a25b8fa700057cd7cf1a8805b2033670727afd3c28374f70e82d173f0926b");
    check(
        crypto.hkdf_sha256(&[0; 32], z, b"CTAP2 HMAC key")
            == *hex!("0c63083de8170101d38bcf8bd72309568ddb4550867e23404b35d85712f7c20d")
            && crypto.hkdf_sha256(&[0; 32], z, b"CTAP2 AES key")
                == *hex!("8bc911ee23c06034cbc14290b9669bec07739053c5a416e313ef905c79955876"),
        "HKDF-SHA-256: PIN/UV auth protocol two",
    )
}

fn ascending<const N: usize>(first: u8) -> [u8; N] {
    let mut out = [0; N];
    for (byte, value) in out.iter_mut().zip(first..=u8::MAX) {
        *byte = value;
    }
    out
}

fn cbc<C: Cipher>(crypto: &C) -> Result<(), FailedCheck> {
    // SP 800-38A F.2.5, F.2.6, F.2.1, F.2.2.
    let key = hex!("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
    let iv = hex!("000102030405060708090a0b0c0d0e0f");
    let plain = hex!(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    );
    let sealed = hex!(
        "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"
    );
    let mut data = *plain;
    check(crypto.aes256_cbc_encrypt(key, iv, &mut data).is_ok() && data == *sealed, "AES-256-CBC: encryption")?;
    check(crypto.aes256_cbc_decrypt(key, iv, &mut data).is_ok() && data == *plain, "AES-256-CBC: decryption")?;

    let key = hex!("2b7e151628aed2a6abf7158809cf4f3c");
    let plain = hex!("6bc1bee22e409f96e93d7e117393172a");
    let mut block = *plain;
    crypto.aes128_cbc_encrypt(key, iv, &mut block);
    check(block == *hex!("7649abac8119b246cee98e9b12e9197d"), "AES-128-CBC: encryption")?;
    crypto.aes128_cbc_decrypt(key, iv, &mut block);
    check(block == *plain, "AES-128-CBC: decryption")
}

fn gcm<C: Cipher>(crypto: &C) -> Result<(), FailedCheck> {
    // McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13, 14 and 16.
    check(
        crypto.aes256_gcm_seal(&[0; 32], &[0; 12], &[], &mut []) == Ok(*hex!("530f8afbc74536b9a963b4f1c4cb738b")),
        "AES-256-GCM: nothing",
    )?;
    let mut block = [0; 16];
    check(
        crypto.aes256_gcm_seal(&[0; 32], &[0; 12], &[], &mut block) == Ok(*hex!("d0d1c8a799996bf0265b98b5d48ab919"))
            && block == *hex!("cea7403d4d606b6e074ec5d3baf39d18"),
        "AES-256-GCM: one block",
    )?;
    let key = hex!("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    let nonce = hex!("cafebabefacedbaddecaf888");
    let aad = hex!("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let plain = hex!(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    );
    let sealed = hex!(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
    );
    let tag = hex!("76fc6ece0f4e1768cddf8853bb2d551b");
    let mut data = *plain;
    check(
        crypto.aes256_gcm_seal(key, nonce, aad, &mut data) == Ok(*tag) && data == *sealed,
        "AES-256-GCM: a last block that is not whole, and associated data",
    )?;
    check(crypto.aes256_gcm_open(key, nonce, aad, &mut data, tag).is_ok() && data == *plain, "AES-256-GCM: opening")
}

fn agreement<C: Agreement>(crypto: &C) -> Result<(), FailedCheck> {
    for (name, secret, x, y, shared) in [
        // KAS ECC CDH primitive, P-256, count 0.
        (
            "ECDH: NIST CAVP",
            hex!("7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534"),
            hex!("700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287"),
            hex!("db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac"),
            hex!("46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b"),
        ),
        (
            "ECDH: a shared x that begins with a zero byte",
            hex!("7452e599fee739d8a653f6a507343d12d382249108a651402520b72f24fe7684"),
            hex!("0501d5bc78da9252560a26cb08fcc60cbe0b6d3b8e1d1fcee514fac0af675168"),
            hex!("d551b3ed46f665731f95b4532939c25d91db7eb844bd96d4abd4083785f8df47"),
            hex!("001bc4b24d2372ce13715cbf731e660586bb713408f0d1f5ad79cb1088f9e53c"),
        ),
        (
            "ECDH: the prf vector of WebAuthn L3",
            hex!("0971bc7fb1be48270adcd3d9a5fc15d5fb0f335b3071ff36a54c007fa6c76514"),
            hex!("a30522c2de402b561965c3cf949a1cab020c6f6ea36fcf7e911ac1a0f1515300"),
            hex!("9961a929abdb2f42e6566771887d41484d889e735e3248518a53112d2b915f00"),
            hex!("1f9a25b8fa700057cd7cf1a8805b2033670727afd3c28374f70e82d173f0926b"),
        ),
    ] {
        let peer = P256Point { x: *x, y: *y };
        check(crypto.p256_shared(&P256Secret(*secret), &peer) == Ok(*shared), name)?;
    }
    for (name, secret, x, y) in [
        (
            "P-256: the public point of a secret",
            hex!("7452e599fee739d8a653f6a507343d12d382249108a651402520b72f24fe7684"),
            hex!("44d78d7989b97e62ea993496c9ef6e8fd58b8b00715f9a89153ddd9c4657e47f"),
            hex!("ec802ee7d22bd4e100f12e48537eb4e7e96ed3a47a0a3bd5f5eeab65001664f9"),
        ),
        // The order less one: the base point's negative.
        (
            "P-256: the largest secret",
            hex!("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550"),
            hex!("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
            hex!("b01cbd1c01e58065711814b583f061e9d431cca994cea1313449bf97c840ae0a"),
        ),
    ] {
        check(crypto.p256_public(&P256Secret(*secret)) == Ok(P256Point { x: *x, y: *y }), name)?;
    }
    Ok(())
}
