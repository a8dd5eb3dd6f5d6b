//! SubjectPublicKeyInfo (RFC 5280 §4.1.2.7): the form in which `getPublicKey()` hands out a key (WebAuthn L3 §5.2.1.1).

use crate::{
    cbor::Writer,
    cose::{Algorithm, CoseKey, Curve},
    crypto::der::{SEQUENCE, element_len, head, integers, integers_len},
};

const BIT_STRING: u8 = 0x03;
/// Comes before an uncompressed point (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 0x04;

// `AlgorithmIdentifier`s: RFC 5480 §2.1.1, RFC 8410 §3, RFC 8017 appendix A.1, RFC 9881 §2.
const P256: &[u8] = b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384: &[u8] = b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
const P521: &[u8] = b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23";
const SECP256K1: &[u8] = b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x0a";
const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";
const ED448: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x71";
const RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
const ML_DSA_44: &[u8] = b"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11";
const ML_DSA_65: &[u8] = b"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x12";
const ML_DSA_87: &[u8] = b"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x13";

impl CoseKey<'_> {
    /// Writes the key as SubjectPublicKeyInfo in DER. `None`, and nothing written, for a key whose type or curve has no
    /// such form here, or whose coordinates have not the curve's size.
    pub fn write_spki(&self, w: &mut Writer<'_>) -> Option<()> {
        let (algorithm, size) = self.identifier()?;
        let key_len = match *self {
            Self::Ec2 { x, y, .. } if x.len() == size && y.len() == size => size.saturating_mul(2).saturating_add(1),
            Self::Okp { x, .. } if x.len() == size => size,
            Self::Rsa { n, e, .. } => element_len(integers_len([n, e])),
            Self::Akp { public, .. } => public.len(),
            _ => return None,
        };
        let bits = key_len.saturating_add(1);
        head(w, SEQUENCE, algorithm.len().saturating_add(element_len(bits)));
        w.raw(algorithm);
        head(w, BIT_STRING, bits);
        w.byte(0); // no unused bits
        match *self {
            Self::Ec2 { x, y, .. } => [&[UNCOMPRESSED], x, y].into_iter().for_each(|part| w.raw(part)),
            Self::Okp { x: key, .. } | Self::Akp { public: key, .. } => w.raw(key),
            Self::Rsa { n, e, .. } => integers(w, [n, e]),
            Self::Other { .. } => {}
        }
        Some(())
    }

    /// The key's `AlgorithmIdentifier`, and the size of a coordinate in bytes, where it has coordinates.
    fn identifier(&self) -> Option<(&'static [u8], usize)> {
        Some(match *self {
            Self::Ec2 { curve: Curve::P256, .. } => (P256, 32),
            Self::Ec2 { curve: Curve::P384, .. } => (P384, 48),
            Self::Ec2 { curve: Curve::P521, .. } => (P521, 66),
            Self::Ec2 { curve: Curve::SECP256K1, .. } => (SECP256K1, 32),
            Self::Okp { curve: Curve::ED25519, .. } => (ED25519, 32),
            Self::Okp { curve: Curve::ED448, .. } => (ED448, 57),
            Self::Rsa { .. } => (RSA, 0),
            Self::Akp { algorithm: Algorithm::ML_DSA_44, .. } => (ML_DSA_44, 0),
            Self::Akp { algorithm: Algorithm::ML_DSA_65, .. } => (ML_DSA_65, 0),
            Self::Akp { algorithm: Algorithm::ML_DSA_87, .. } => (ML_DSA_87, 0),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::hex;

    fn spki(key: CoseKey<'_>) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 3000];
        let mut w = Writer::new(&mut buffer);
        key.write_spki(&mut w)?;
        w.written().map(<[u8]>::to_vec)
    }

    /// What comes before the key as OpenSSL writes it.
    fn assert_form(key: CoseKey<'_>, before: &str, parts: &[&[u8]]) {
        assert_eq!(spki(key), Some([&hex(before)[..], &parts.concat()].concat()));
    }

    #[test]
    fn points_come_after_their_curve() {
        for (algorithm, curve, size, before) in [
            (Algorithm::ES256, Curve::P256, 32, "3059301306072a8648ce3d020106082a8648ce3d03010703420004"),
            (Algorithm::ES384, Curve::P384, 48, "3076301006072a8648ce3d020106052b8104002203620004"),
            (Algorithm::ES512, Curve::P521, 66, "30819b301006072a8648ce3d020106052b810400230381860004"),
            (Algorithm::ES256K, Curve::SECP256K1, 32, "3056301006072a8648ce3d020106052b8104000a03420004"),
        ] {
            let (x, y) = (vec![0x81; size], vec![0; size]);
            assert_form(CoseKey::Ec2 { algorithm, curve, x: &x, y: &y }, before, &[&x, &y]);
            assert_eq!(spki(CoseKey::Ec2 { algorithm, curve, x: &x, y: &y[1..] }), None);
            assert_eq!(spki(CoseKey::Ec2 { algorithm, curve, x: &x[1..], y: &y }), None);
        }
    }

    #[test]
    fn keys_of_edwards_curves_and_of_lattices_stand_alone() {
        for (curve, size, before) in
            [(Curve::ED25519, 32, "302a300506032b6570032100"), (Curve::ED448, 57, "3043300506032b6571033a00")]
        {
            let x = vec![0x42; size];
            assert_form(CoseKey::Okp { algorithm: Algorithm::EDDSA, curve, x: &x }, before, &[&x]);
            assert_eq!(spki(CoseKey::Okp { algorithm: Algorithm::EDDSA, curve, x: &x[1..] }), None);
        }
        for (algorithm, size, before) in [
            (Algorithm::ML_DSA_44, 1312, "30820532300b06096086480165030403110382052100"),
            (Algorithm::ML_DSA_65, 1952, "308207b2300b0609608648016503040312038207a100"),
            (Algorithm::ML_DSA_87, 2592, "30820a32300b060960864801650304031303820a2100"),
        ] {
            let public = vec![0x42; size];
            assert_form(CoseKey::Akp { algorithm, public: &public }, before, &[&public]);
        }
    }

    #[test]
    fn rsa_keys_are_two_integers_in_their_shortest_form() {
        let (algorithm, e) = (Algorithm::RS256, &b"\x01\x00\x01"[..]);
        for (size, before) in [
            (128, "30819f300d06092a864886f70d010101050003818d0030818902818100"),
            (256, "30820122300d06092a864886f70d01010105000382010f003082010a0282010100"),
        ] {
            let n = vec![0x81; size];
            for (n, e) in [(&n[..], e), (&[&[0, 0], &n[..]].concat(), b"\0\x01\x00\x01")] {
                let parts: [&[u8]; 3] = [&[0x81].repeat(size), b"\x02\x03", b"\x01\x00\x01"];
                assert_form(CoseKey::Rsa { algorithm, n, e }, before, &parts);
            }
        }
        let zero = CoseKey::Rsa { algorithm, n: &[], e: &[0x7F] };
        let before = "301a300d06092a864886f70d0101010500030900";
        assert_form(zero, before, &[b"\x30\x06\x02\x01\x00\x02\x01\x7F"]);
    }

    #[test]
    fn keys_of_other_kinds_have_no_such_form() {
        let x = &[0; 32][..];
        assert_eq!(spki(CoseKey::Ec2 { algorithm: Algorithm::ES256, curve: Curve(99), x, y: x }), None);
        assert_eq!(spki(CoseKey::Okp { algorithm: Algorithm::EDDSA, curve: Curve::P256, x }), None);
        assert_eq!(spki(CoseKey::Akp { algorithm: Algorithm(-1), public: x }), None);
        let raw = crate::cbor::RawMap(b"\xA2\x01\x18\x63\x03\x26");
        assert_eq!(spki(CoseKey::Other { algorithm: Algorithm::ES256, kty: 99, raw }), None);
    }
}
