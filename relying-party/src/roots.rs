//! Trusted certificates in files, as PEM or DER.

use std::{fs, path::Path};

use keyfob_core::verify::{self, Anchors};

use crate::server::verifier::Backend;

/// What a PEM file begins its parts with (RFC 7468 §2).
const PEM: &[u8] = b"-----BEGIN ";

/// The certificates in a file: one in DER, or any number in PEM.
///
/// # Errors
/// A message for the user, in one line: the file cannot be read, has no certificate, or has something else in it.
pub fn read(file: &Path) -> Result<Vec<Vec<u8>>, String> {
    let bytes = fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    certificates(&bytes).map_err(|why| format!("{}: {why}", file.display()))
}

fn certificates(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut found = Vec::new();
    let begins = bytes.windows(PEM.len()).filter(|window| *window == PEM).count();
    if begins > 0 {
        let parts = pem::parse_many(bytes).map_err(|error| format!("the PEM is damaged: {error}"))?;
        if parts.len() != begins {
            return Err(format!("the PEM is damaged: {begins} parts begin, {} are whole", parts.len()));
        }
        for part in parts {
            if part.tag() != "CERTIFICATE" {
                return Err(format!("has a part that is no certificate: {}", part.tag()));
            }
            found.push(part.into_contents());
        }
    } else if !bytes.is_empty() {
        found.push(bytes.to_vec());
    }
    if found.is_empty() {
        return Err("has no certificate".into());
    }
    for (number, der) in (1..).zip(&found) {
        // A certificate leads to itself, unless it is none.
        let chain = [der.as_slice()];
        let anchors = Anchors { certificates: &chain, now: 0, accept_root: true };
        if verify::chain(&Backend, (&chain[..]).into(), &anchors) == Err(verify::Error::Certificate) {
            return Err(match found.len() {
                1 => "is not a certificate in PEM or DER, or has something behind it".into(),
                count => format!("certificate {number} of {count} is malformed"),
            });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey};

    use super::*;

    /// A key whose signatures nobody checks here.
    struct AnyKey;

    impl PublicKeyData for AnyKey {
        fn der_bytes(&self) -> &[u8] {
            &[4; 65]
        }

        fn algorithm(&self) -> &'static SignatureAlgorithm {
            &PKCS_ECDSA_P256_SHA256
        }
    }

    impl SigningKey for AnyKey {
        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
            Ok(vec![0x30, 6, 2, 1, 1, 2, 1, 1])
        }
    }

    fn certificate() -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.serial_number = Some(vec![1].into());
        params.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![2; 20]);
        params.self_signed(&AnyKey).unwrap().der().to_vec()
    }

    fn pem(kind: &str, der: &[u8]) -> String {
        pem::encode(&pem::Pem::new(kind, der))
    }

    #[test]
    fn certificates_are_read_from_der_and_pem() {
        let der = certificate();
        assert_eq!(certificates(&der), Ok(vec![der.clone()]));
        let text = format!("Issued by nobody.\n{0}and again\n{0}", pem("CERTIFICATE", &der));
        assert_eq!(certificates(text.as_bytes()), Ok(vec![der.clone(), der]));
    }

    #[test]
    fn what_is_no_certificate_is_refused_and_named() {
        let der = certificate();
        let refused = |bytes: &[u8]| certificates(bytes).unwrap_err();
        assert_eq!(refused(b""), "has no certificate");
        assert_eq!(refused(b"text"), "is not a certificate in PEM or DER, or has something behind it");
        assert_eq!(
            refused(&[&der[..], b"\n"].concat()),
            "is not a certificate in PEM or DER, or has something behind it"
        );
        let key = [pem("CERTIFICATE", &der), pem("PRIVATE KEY", &[1, 2, 3])].concat();
        assert_eq!(refused(key.as_bytes()), "has a part that is no certificate: PRIVATE KEY");
        let two = [pem("CERTIFICATE", &der), pem("CERTIFICATE", &der[..20])].concat();
        assert_eq!(refused(two.as_bytes()), "certificate 2 of 2 is malformed");
        let cut = pem("CERTIFICATE", &der).replace("-----END", "");
        assert_eq!(refused(cut.as_bytes()), "the PEM is damaged: 1 parts begin, 0 are whole");
    }
}
