//! What holds for every backend, whatever its numbers are.

use keyfob_core::{
    bytes,
    cose::{Algorithm, CoseKey, Curve},
    crypto::{
        Agreement, Cipher, Error, HEDGE, Hash, MAX_PUBLIC, MAX_SECRET, MAX_SIGNATURE, P256_ORDER, P256Point,
        P256Secret, Sha256, Sign, Verify, der,
    },
    rand_core::TryCryptoRng,
};

use crate::{FailedCheck, check, hex};

/// Round trips, one flipped bit refused, and the right error for each wrong input, for every algorithm that `crypto`
/// signs with.
///
/// # Errors
/// The check that failed.
pub fn properties<C, R>(crypto: &C, rng: &mut R) -> Result<(), FailedCheck>
where
    C: Hash + Cipher + Agreement + Sign + Verify,
    R: TryCryptoRng + ?Sized,
{
    hash(crypto)?;
    cbc(crypto)?;
    gcm(crypto)?;
    agreement(crypto, rng)?;
    for &algorithm in crypto.algorithms() {
        signatures(crypto, rng, algorithm)?;
    }
    unsupported(crypto, rng)
}

/// The order of the group of a curve, as long as a coordinate.
fn order(curve: Curve) -> Option<&'static [u8]> {
    match curve {
        Curve::P256 => Some(&P256_ORDER),
        Curve::P384 => Some(P384_ORDER),
        Curve::P521 => Some(P521_ORDER),
        Curve::SECP256K1 => Some(SECP256K1_ORDER),
        _ => None,
    }
}

/// SP 800-186 §3.2.1.4.
const P384_ORDER: &[u8; 48] =
    hex!("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973");
/// SP 800-186 §3.2.1.5.
const P521_ORDER: &[u8; 66] = hex!(
    "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409"
);
/// SEC 2 §2.4.1.
const SECP256K1_ORDER: &[u8; 32] = hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");

/// `from` with its lowest bit of byte `at` flipped.
pub(super) fn flipped<const N: usize>(from: &[u8; N], at: usize) -> [u8; N] {
    let mut out = *from;
    if let Some(byte) = out.get_mut(at) {
        *byte ^= 1;
    }
    out
}

fn hash<C: Hash>(crypto: &C) -> Result<(), FailedCheck> {
    let message: [u8; 200] = core::array::from_fn(|i| i.to_le_bytes()[0]);
    let whole = crypto.sha256(&[&message]);
    for cut in [0, 1, 55, 56, 63, 64, 65, 127, 128, 199, 200] {
        let (head, tail) = bytes::split(&message, cut);
        check(crypto.sha256(&[head, tail]) == whole, "SHA-256: parts hash like the whole")?;
        check(
            crypto.hmac_sha256(&whole, &[head, tail]) == crypto.hmac_sha256(&whole, &[&message]),
            "HMAC-SHA-256: parts authenticate like the whole",
        )?;
    }
    let mut running = crypto.sha256_start();
    running.update(&message);
    let mut fork = running.clone();
    fork.update(b"more");
    check(running.finish() == whole, "SHA-256: a clone runs on its own")?;
    check(fork.finish() == crypto.sha256(&[&message, b"more"]), "SHA-256: a clone carries on")?;
    for at in 0..message.len() {
        check(crypto.sha256(&[&flipped(&message, at)]) != whole, "SHA-256: every byte counts")?;
    }
    let mac = crypto.hmac_sha256(&whole, &[&message]);
    check(crypto.hmac_sha256(&flipped(&whole, 31), &[&message]) != mac, "HMAC-SHA-256: the key counts")?;
    check(crypto.hmac_sha256(&whole, &[&flipped(&message, 199)]) != mac, "HMAC-SHA-256: the message counts")?;
    let derived = crypto.hkdf_sha256(b"salt", b"key", b"info");
    check(crypto.hkdf_sha256(b"tlas", b"key", b"info") != derived, "HKDF-SHA-256: the salt counts")?;
    check(crypto.hkdf_sha256(b"salt", b"yek", b"info") != derived, "HKDF-SHA-256: the key counts")?;
    check(crypto.hkdf_sha256(b"salt", b"key", b"ofni") != derived, "HKDF-SHA-256: the info counts")
}

fn cbc<C: Cipher>(crypto: &C) -> Result<(), FailedCheck> {
    let (key, iv) = ([7; 32], [9; 16]);
    let plain = [0x5a; 64];
    let mut sealed = plain;
    check(crypto.aes256_cbc_encrypt(&key, &iv, &mut sealed).is_ok(), "AES-256-CBC: whole blocks encrypt")?;
    check(sealed != plain, "AES-256-CBC: encryption hides the plaintext")?;
    let opens = |key: &[u8; 32], iv: &[u8; 16], expected| {
        let mut data = sealed;
        crypto.aes256_cbc_decrypt(key, iv, &mut data).is_ok() && (data == plain) == expected
    };
    check(opens(&key, &iv, true), "AES-256-CBC: decryption inverts encryption")?;
    check(opens(&flipped(&key, 31), &iv, false), "AES-256-CBC: the key counts")?;
    check(opens(&key, &flipped(&iv, 15), false), "AES-256-CBC: the IV counts")?;
    for len in [1, 15, 17, 63] {
        let mut data = plain;
        let data = bytes::front_mut(&mut data, len);
        check(
            crypto.aes256_cbc_encrypt(&key, &iv, data) == Err(Error::InvalidLength)
                && crypto.aes256_cbc_decrypt(&key, &iv, data) == Err(Error::InvalidLength)
                && data.iter().all(|&byte| byte == 0x5a),
            "AES-256-CBC: part of a block is refused and left alone",
        )?;
    }
    check(
        crypto.aes256_cbc_encrypt(&key, &iv, &mut []).is_ok() && crypto.aes256_cbc_decrypt(&key, &iv, &mut []).is_ok(),
        "AES-256-CBC: no blocks at all are whole blocks",
    )?;
    let mut block = [0x5a; 16];
    crypto.aes128_cbc_encrypt(&[7; 16], &iv, &mut block);
    check(block != [0x5a; 16], "AES-128-CBC: encryption hides the plaintext")?;
    crypto.aes128_cbc_decrypt(&[7; 16], &iv, &mut block);
    check(block == [0x5a; 16], "AES-128-CBC: decryption inverts encryption")
}

fn gcm<C: Cipher>(crypto: &C) -> Result<(), FailedCheck> {
    let (key, nonce, aad) = ([7; 32], [9; 12], [3; 5]);
    let plain = [0x5a; 37];
    let mut sealed = plain;
    let tag = crypto.aes256_gcm_seal(&key, &nonce, &aad, &mut sealed).map_err(|_| "AES-256-GCM: sealing")?;
    check(sealed != plain, "AES-256-GCM: sealing hides the plaintext")?;
    let open = |key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], mut data: [u8; 37], tag: &[u8; 16]| {
        crypto.aes256_gcm_open(key, nonce, aad, &mut data, tag).map(|()| data)
    };
    let refused = Err(Error::Mismatch);
    check(open(&key, &nonce, &aad, sealed, &tag) == Ok(plain), "AES-256-GCM: opening inverts sealing")?;
    check(open(&flipped(&key, 0), &nonce, &aad, sealed, &tag) == refused, "AES-256-GCM: the key counts")?;
    check(open(&key, &flipped(&nonce, 11), &aad, sealed, &tag) == refused, "AES-256-GCM: the nonce counts")?;
    check(open(&key, &nonce, &flipped(&aad, 4), sealed, &tag) == refused, "AES-256-GCM: associated data count")?;
    check(open(&key, &nonce, &[3; 4], sealed, &tag) == refused, "AES-256-GCM: their length counts")?;
    for at in 0..tag.len() {
        let tag = flipped(&tag, at);
        check(open(&key, &nonce, &aad, sealed, &tag) == refused, "AES-256-GCM: every byte of the tag counts")?;
    }
    for at in 0..sealed.len() {
        let sealed = flipped(&sealed, at);
        check(open(&key, &nonce, &aad, sealed, &tag) == refused, "AES-256-GCM: every byte of the data counts")?;
    }
    Ok(())
}

fn agreement<C: Agreement, R: TryCryptoRng + ?Sized>(crypto: &C, rng: &mut R) -> Result<(), FailedCheck> {
    let mut generate = || crypto.p256_generate(rng).map_err(|_| "P-256: generating a key");
    let (ours, our_point) = generate()?;
    let (theirs, their_point) = generate()?;
    check(ours.0 != theirs.0 && our_point != their_point, "P-256: every key is new")?;
    check(crypto.p256_public(&ours) == Ok(our_point), "P-256: the public point of a secret")?;
    let shared = crypto.p256_shared(&ours, &their_point);
    check(shared.is_ok() && shared == crypto.p256_shared(&theirs, &our_point), "ECDH: both sides agree")?;
    check(shared != crypto.p256_shared(&ours, &our_point), "ECDH: the peer counts")?;

    let P256Point { x, y } = their_point;
    let points = [
        (P256Point { x, y: flipped(&y, 31) }, "ECDH: a point off the curve is refused"),
        (P256Point { x: flipped(&x, 31), y }, "ECDH: another x is refused"),
        (P256Point { x: y, y: x }, "ECDH: swapped coordinates are refused"),
        (P256Point { x: [0; 32], y: [0; 32] }, "ECDH: the point at infinity is refused"),
        (P256Point { x: [0xff; 32], y }, "ECDH: an x past the field is refused"),
        (P256Point { x, y: [0xff; 32] }, "ECDH: a y past the field is refused"),
    ];
    for (point, name) in points {
        check(crypto.p256_shared(&ours, &point) == Err(Error::InvalidKey), name)?;
    }
    let secrets = [
        ([0; 32], "P-256: the secret zero is refused"),
        (P256_ORDER, "P-256: the order as a secret is refused"),
        ([0xff; 32], "P-256: a secret past the order is refused"),
    ];
    for (secret, name) in secrets {
        let secret = P256Secret(secret);
        check(crypto.p256_public(&secret) == Err(Error::InvalidKey), name)?;
        check(crypto.p256_shared(&secret, &their_point) == Err(Error::InvalidKey), name)?;
    }
    Ok(())
}

fn signatures<C: Sign + Verify, R: TryCryptoRng + ?Sized>(
    crypto: &C,
    rng: &mut R,
    algorithm: Algorithm,
) -> Result<(), FailedCheck> {
    let (mut secret, mut public) = ([0; MAX_SECRET], [0; MAX_PUBLIC]);
    let (secret_len, public_len) =
        crypto.generate(algorithm, rng, &mut secret, &mut public).map_err(|_| "signatures: generating a key")?;
    let (Some(secret), Some(raw)) = (secret.get(..secret_len), public.get(..public_len)) else {
        return Err("signatures: lengths of a generated key");
    };
    let key = CoseKey::from_raw(algorithm, raw).ok_or("signatures: the raw form of a public key")?;

    let mut again = [0; MAX_PUBLIC];
    check(
        crypto.public_key(algorithm, secret, &mut again) == Ok(public_len) && again == public,
        "signatures: the public key of a stored secret",
    )?;
    let mut other = [0; MAX_PUBLIC];
    check(
        crypto.generate(algorithm, rng, &mut [0; MAX_SECRET], &mut other).is_ok() && other != public,
        "signatures: every key is new",
    )?;

    let mut signature = [0; MAX_SIGNATURE];
    let len = crypto.sign(algorithm, secret, &[b"mes", b"", b"sage"], &mut signature);
    let len = len.map_err(|_| "signatures: signing")?;
    let signed = signature.get(..len).ok_or("signatures: the length of a signature")?;
    signed_well(crypto, &key, secret, signed)?;
    altered(crypto, &key, signed)?;

    match key {
        CoseKey::Ec2 { curve, .. } => {
            let order = order(curve).ok_or("signatures: a known curve")?;
            ecdsa(crypto, &key, signed, order)?;
            let mut past = [0; MAX_SECRET];
            bytes::put(&mut past, order);
            for wrong in [[0; MAX_SECRET], [0xff; MAX_SECRET], past] {
                let wrong = bytes::front(&wrong, secret_len);
                check(
                    crypto.sign(algorithm, wrong, &[b"message"], &mut [0; MAX_SIGNATURE]) == Err(Error::InvalidKey)
                        && crypto.public_key(algorithm, wrong, &mut [0; MAX_PUBLIC]) == Err(Error::InvalidKey),
                    "ECDSA: a secret that is not a scalar is refused",
                )?;
            }
        }
        CoseKey::Okp { .. } => ed25519(crypto, &key, signed)?,
        _ => {}
    }
    keys(crypto, &key, raw, signed)?;
    refused(crypto, rng, algorithm, secret, public_len)
}

/// What was signed verifies, a hedged signature too, and another message does not.
fn signed_well<C: Sign + Verify>(
    crypto: &C,
    key: &CoseKey<'_>,
    secret: &[u8],
    signed: &[u8],
) -> Result<(), FailedCheck> {
    let algorithm = key.algorithm();
    let verify = |message: &[&[u8]], signature: &[u8]| crypto.verify(key, message, signature);
    let mismatch = Err(Error::Mismatch);
    check(verify(&[b"message"], signed).is_ok(), "signatures: what is signed verifies")?;
    check(verify(&[b"me", b"ssage"], signed).is_ok(), "signatures: parts verify like the whole")?;
    check(verify(&[b"messagf"], signed) == mismatch, "signatures: another message is refused")?;
    check(verify(&[b"message", b"\0"], signed) == mismatch, "signatures: a longer message is refused")?;
    let mut hedged = [0; MAX_SIGNATURE];
    let hedge = Some(&[0x5A; HEDGE]);
    let hedged_len = crypto.sign_hedged(algorithm, secret, &[b"message"], hedge, &mut hedged);
    let hedged_len = hedged_len.map_err(|_| "signatures: signing with random bytes")?;
    let hedged = hedged.get(..hedged_len).ok_or("signatures: the length of a hedged signature")?;
    check(verify(&[b"message"], hedged).is_ok(), "signatures: a hedged one verifies")?;
    let own = |signature: &[u8]| crypto.check_signature(algorithm, secret, &[b"message"], signature);
    check(own(signed).is_ok() && own(hedged).is_ok(), "signatures: what was just signed passes the check")?;
    let faulty = flipped(&bytes::padded::<MAX_SIGNATURE>(signed), 40);
    check(own(bytes::front(&faulty, signed.len())) == mismatch, "signatures: one with a fault fails the check")
}

/// A signature that was changed, cut or made longer does not verify.
fn altered<C: Verify>(crypto: &C, key: &CoseKey<'_>, signed: &[u8]) -> Result<(), FailedCheck> {
    let refused = |signature: &[u8]| crypto.verify(key, &[b"message"], signature) == Err(Error::Mismatch);
    let (padded, len) = (bytes::padded::<{ MAX_SIGNATURE + 1 }>(signed), signed.len());
    for at in [0, 1, 2, 3, 4, 5, 16, 31, 32, 33, 36, 40, 63, len.saturating_sub(1)] {
        check(refused(bytes::front(&flipped(&padded, at), len)), "signatures: every bit counts")?;
    }
    for wrong in [0, 1, 8, len.saturating_sub(1)] {
        check(refused(bytes::front(signed, wrong)), "signatures: a cut signature is refused")?;
    }
    check(refused(bytes::front(&padded, len.saturating_add(1))), "signatures: a byte behind the signature is refused")
}

/// Secrets and outputs of a wrong length are refused.
fn refused<C: Sign, R: TryCryptoRng + ?Sized>(
    crypto: &C,
    rng: &mut R,
    algorithm: Algorithm,
    secret: &[u8],
    public_len: usize,
) -> Result<(), FailedCheck> {
    let mut output = [0; MAX_PUBLIC];
    check(
        crypto.sign(algorithm, &[], &[b"message"], &mut [0; MAX_SIGNATURE]) == Err(Error::InvalidKey),
        "signatures: no secret is refused",
    )?;
    let short = bytes::front(secret, secret.len().saturating_sub(1));
    check(
        crypto.sign(algorithm, short, &[b"message"], &mut [0; MAX_SIGNATURE]) == Err(Error::InvalidKey)
            && crypto.public_key(algorithm, short, &mut [0; MAX_PUBLIC]) == Err(Error::InvalidKey),
        "signatures: a cut secret is refused",
    )?;
    let small = Error::OutputTooSmall;
    let short = public_len.saturating_sub(1);
    check(
        crypto.sign(algorithm, secret, &[b"message"], &mut [0; 8]) == Err(small),
        "signatures: a small output is refused",
    )?;
    check(
        crypto.public_key(algorithm, secret, bytes::front_mut(&mut output, short)) == Err(small),
        "signatures: a small output for the public key is refused",
    )?;
    check(
        crypto.generate(algorithm, rng, &mut [0; MAX_SECRET], bytes::front_mut(&mut output, short)) == Err(small),
        "signatures: a small output for a new public key is refused",
    )?;
    check(
        crypto.generate(algorithm, rng, &mut [], &mut output) == Err(small),
        "signatures: a small output for a new secret is refused",
    )
}

/// Altered public keys, and public keys of the wrong kind.
fn keys<C: Verify>(crypto: &C, key: &CoseKey<'_>, raw: &[u8], signature: &[u8]) -> Result<(), FailedCheck> {
    let algorithm = key.algorithm();
    let verify = |key: CoseKey<'_>| crypto.verify(&key, &[b"message"], signature);
    let invalid = |key: CoseKey<'_>| {
        verify(key) == Err(Error::InvalidKey) && crypto.verify(&key, &[], &[]) == Err(Error::InvalidKey)
    };
    let mut altered = [0; MAX_PUBLIC];
    for at in [0, raw.len().saturating_sub(1)] {
        bytes::put(&mut altered, raw);
        altered = flipped(&altered, at);
        let key = CoseKey::from_raw(algorithm, bytes::front(&altered, raw.len()));
        check(key.is_some_and(|key| verify(key).is_err()), "keys: an altered key is refused")?;
    }
    fn cut(bytes: &[u8]) -> &[u8] {
        bytes::front(bytes, bytes.len().saturating_sub(1))
    }
    let zero = [0; MAX_PUBLIC];
    let (x, y) = bytes::split(raw, raw.len().div_euclid(2));
    let ec2 = |curve, x, y| CoseKey::Ec2 { algorithm, curve, x, y };
    let okp = |curve, x| CoseKey::Okp { algorithm, curve, x };
    let akp = |public| CoseKey::Akp { algorithm, public };
    let rsa = |n, e| CoseKey::Rsa { algorithm, n, e };
    let (lengths, kinds): (&[CoseKey<'_>], &[CoseKey<'_>]) = match *key {
        CoseKey::Ec2 { curve, x, y, .. } => {
            let zero = bytes::front(&zero, x.len());
            check(invalid(ec2(curve, zero, zero)), "keys: the point at infinity is refused")?;
            let other = if curve == Curve::P384 { Curve::P256 } else { Curve::P384 };
            (
                &[ec2(curve, cut(x), y), ec2(curve, x, &[])],
                &[ec2(other, x, y), okp(Curve::ED25519, raw), akp(raw), rsa(x, y)],
            )
        }
        CoseKey::Okp { curve, .. } => {
            (&[okp(curve, cut(raw))], &[ec2(Curve::P256, x, y), okp(Curve::ED448, raw), akp(raw), rsa(x, y)])
        }
        CoseKey::Akp { .. } => {
            (&[akp(cut(raw)), akp(&[])], &[ec2(Curve::P256, x, y), okp(Curve::ED25519, raw), rsa(x, y)])
        }
        CoseKey::Rsa { n, e, .. } => {
            (&[rsa(cut(n), e), rsa(n, &[]), rsa(&[], e)], &[ec2(Curve::P256, x, y), okp(Curve::ED25519, raw), akp(raw)])
        }
        _ => return Err("keys: a key of a known type"),
    };
    check(lengths.iter().all(|key| invalid(*key)), "keys: a key of another length is refused")?;
    check(kinds.iter().all(|key| invalid(*key)), "keys: a key of another kind or curve is refused")
}

/// Signatures that mean `(r, s)` to a lenient reader, and values of `r` and `s` that no signature has.
fn ecdsa<C: Verify>(crypto: &C, key: &CoseKey<'_>, signature: &[u8], order: &[u8]) -> Result<(), FailedCheck> {
    let size = order.len();
    let (mut r, mut s, zero) = ([0; MAX_PUBLIC], [0; MAX_PUBLIC], [0; MAX_PUBLIC]);
    let (Some(r), Some(s), Some(zero)) = (r.get_mut(..size), s.get_mut(..size), zero.get(..size)) else {
        return Err("ECDSA: the length of a key");
    };
    der::read_into(signature, r, s).ok_or("ECDSA: signatures are DER")?;
    let (r, s) = (&*r, &*s);
    let refused = |signature: &[u8]| crypto.verify(key, &[b"message"], signature) == Err(Error::Mismatch);

    let mut raw = [0; MAX_SIGNATURE];
    let len = bytes::join(&mut raw, &[r, s]);
    check(refused(bytes::front(&raw, len)), "ECDSA: r and s without DER are refused")?;

    // Integers as long as a coordinate (negative when the top bit is set), and with one more zero, needed or not.
    let lenient = |pad_r: bool, pad_s: bool| {
        let mut out = [0; MAX_SIGNATURE + 4];
        let size = |pad: bool| size.saturating_add(usize::from(pad)).to_le_bytes()[0];
        let content = size(pad_r).saturating_add(size(pad_s)).saturating_add(4);
        let header = if content < 0x80 { &[0x30, content][..] } else { &[0x30, 0x81, content] };
        let mut len = bytes::put(&mut out, header);
        for (pad, number) in [(pad_r, r), (pad_s, s)] {
            let parts = [&[0x02, size(pad)][..], bytes::front(&[0], usize::from(pad)), number];
            len = len.saturating_add(bytes::join(bytes::rest_mut(&mut out, len), &parts));
        }
        (out, len)
    };
    for (pad_r, pad_s) in [(false, false), (false, true), (true, false), (true, true)] {
        let (out, len) = lenient(pad_r, pad_s);
        let out = bytes::front(&out, len);
        check(out == signature || refused(out), "ECDSA: integers in another form are refused")?;
    }
    let mut long = [0; MAX_SIGNATURE + 1];
    let (content, long_form): (_, &[u8]) = match signature {
        [tag, 0x81, len, content @ ..] => (content, &[*tag, 0x82, 0, *len]),
        [tag, len, content @ ..] => (content, &[*tag, 0x81, *len]),
        _ => return Err("ECDSA: signatures are DER"),
    };
    let len = bytes::join(&mut long, &[long_form, content]);
    check(refused(bytes::front(&long, len)), "ECDSA: a length in longer form is refused")?;

    for (r, s, name) in [
        (zero, s, "ECDSA: r of zero is refused"),
        (r, zero, "ECDSA: s of zero is refused"),
        (zero, zero, "ECDSA: r and s of zero are refused"),
        (order, s, "ECDSA: r of the order is refused"),
        (r, order, "ECDSA: s of the order is refused"),
        (s, r, "ECDSA: r and s swapped are refused"),
    ] {
        let mut out = [0; MAX_SIGNATURE];
        let len = der::write(r, s, &mut out).map_err(|_| name)?;
        check(refused(bytes::front(&out, len)), name)?;
    }
    Ok(())
}

/// The order of Ed25519's group, little-endian (RFC 8032 §5.1).
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// A signature that can be altered and still means the same, and a key under which everything verifies.
fn ed25519<C: Verify>(crypto: &C, key: &CoseKey<'_>, signature: &[u8]) -> Result<(), FailedCheck> {
    let mut altered: [u8; 64] = signature.try_into().map_err(|_| "Ed25519: signatures are 64 bytes long")?;
    let mut carry = 0_u16;
    for (byte, order) in altered.iter_mut().skip(32).zip(ED25519_ORDER) {
        carry = carry.wrapping_add(u16::from(*byte)).wrapping_add(u16::from(order));
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    check(
        crypto.verify(key, &[b"message"], &altered) == Err(Error::Mismatch),
        "Ed25519: S past the order is refused (RFC 8032 §8.4)",
    )?;
    // The neutral element as key and as R, and S of zero.
    let mut neutral = [0; 32];
    let mut forged = [0; 64];
    neutral = flipped(&neutral, 0);
    bytes::put(&mut forged, &neutral);
    let algorithm = key.algorithm();
    check(
        crypto.verify(&CoseKey::Okp { algorithm, curve: Curve::ED25519, x: &neutral }, &[b"message"], &forged).is_err(),
        "Ed25519: a key of small order is refused",
    )
}

fn unsupported<C: Sign + Verify, R: TryCryptoRng + ?Sized>(crypto: &C, rng: &mut R) -> Result<(), FailedCheck> {
    // RFC 9053 reserves the value.
    let algorithm = Algorithm(0);
    let unsupported = Err(Error::Unsupported);
    let (mut secret, mut public) = ([1; MAX_SECRET], [0; MAX_PUBLIC]);
    check(
        crypto.sign(algorithm, &secret, &[b"message"], &mut [0; MAX_SIGNATURE]) == unsupported
            && crypto.public_key(algorithm, &secret, &mut public) == unsupported
            && crypto.generate(algorithm, rng, &mut secret, &mut public) == Err(Error::Unsupported),
        "unsupported: an unknown algorithm does not sign",
    )?;
    check(
        crypto.verify(&CoseKey::Akp { algorithm, public: &public }, &[b"message"], &[0; 64]) == Err(Error::Unsupported),
        "unsupported: an unknown algorithm does not verify",
    )
}
