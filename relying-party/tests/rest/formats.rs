//! The formats of platforms, with generated certificates: the conformance tests Resp-9 and Resp-A, and what the standard
//! has beside them.

use keyfob_core::{
    attestation::{AndroidKey, AndroidSafetyNet, Apple, Element, Packed, RawStatement, Statement, Tpm},
    cbor::{self, Write},
    cose::Algorithm,
    crypto::{Hash, RustCrypto},
};
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256, SigningKey,
};
use serde_json::json;

use super::{certificates::*, world::*};

fn written(value: &impl Write) -> Vec<u8> {
    let mut bytes = vec![0; 8192];
    let length = cbor::encode(value, &mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

/// One DER element.
fn der(tag: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let length = u8::try_from(contents.len()).unwrap();
    let length = if length < 0x80 { vec![length] } else { vec![0x81, length] };
    [tag, &length, &contents].concat()
}

/// Registers `forge` at a server that trusts `root` and requires an attestation. The statement is made from the bytes
/// that are signed: authenticator data and the hash of client data.
fn register(root: &Certified, forge: &Forge, format: &str, statement: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let mut options = options();
    options.attestation_roots = vec![root.der.clone()];
    (options.policy.accept_none, options.policy.accept_self) = (false, false);
    let world = World::with(options);
    world.advance(NOW - 1_000_000);
    let mut browser = world.browser();
    let options = browser.registration_options("alice");
    let auth_data = forge.auth_data("localhost", true);
    let credential =
        forge.create_with(&options, format, &auth_data, |hash| statement(&[&auth_data[..], hash].concat()));
    let answer = browser.post("/attestation/result", &credential);
    if answer.status.is_success() {
        assert_eq!(answer.body["credential"]["attestation"], json!({ "format": format, "type": "trusted" }));
        return "ok".into();
    }
    answer.code().into()
}

/// The certificate of a platform's key, which is the credential's.
fn certificate_of(forge: &Forge, issuer: &Certified, id: &[u64], extension: Vec<u8>) -> Certified {
    let mut params = params("key");
    params.is_ca = IsCa::ExplicitNoCa;
    params.custom_extensions = vec![CustomExtension::from_oid_content(id, extension)];
    certify_key(params, Some(issuer), KeyPair::of(forge))
}

mod android_key {
    use super::*;

    const DESCRIPTION: &[u64] = &[1, 3, 6, 1, 4, 1, 11_129, 2, 1, 17];
    const PURPOSE_SIGN: &[u8] = &[0xA1, 5, 0x31, 3, 2, 1, 2];
    const GENERATED: &[u8] = &[0xBF, 0x85, 0x3E, 3, 2, 1, 0];
    const ALL_APPLICATIONS: &[u8] = &[0xBF, 0x84, 0x58, 2, 5, 0];
    /// algorithm [3], creationDateTime [701].
    const OTHERS: &[u8] = &[0xA3, 3, 2, 1, 3, 0xBF, 0x85, 0x3D, 3, 2, 1, 9];

    fn description(challenge: &[u8], software: &[&[u8]], tee: &[&[u8]]) -> Vec<u8> {
        let (challenge, software, tee) = (der(&[4], &[challenge]), der(&[0x30], software), der(&[0x30], tee));
        der(&[0x30], &[&[2, 1, 3, 10, 1, 1, 2, 1, 4, 10, 1, 1], &challenge, &[4, 0], &software, &tee])
    }

    /// With a description that is made from the hash of client data, and a statement that is changed before it is sent.
    fn with(describe: impl Fn(&[u8]) -> Vec<u8>, change: impl Fn(&mut AndroidKey<'_>, &Forge)) -> String {
        let (root, forge) = (authority("root", None, |_| ()), Forge::new(5));
        register(&root, &forge, "android-key", |signed| {
            let leaf = certificate_of(&forge, &root, DESCRIPTION, describe(&signed[signed.len() - 32..]));
            let signature = forge.sign(&[signed]);
            let chain: [&[u8]; 2] = [&leaf.der, &root.der]; // Android's chains have their root
            let mut statement = AndroidKey { alg: Algorithm::ES256, sig: &signature, x5c: (&chain[..]).into() };
            change(&mut statement, &forge);
            written(&statement)
        })
    }

    fn with_lists(software: &[&[u8]], tee: &[&[u8]]) -> String {
        with(|hash| description(hash, software, tee), |_, _| ())
    }

    #[test]
    fn resp_a_p_1_a_key_of_the_trusted_environment_is_accepted() {
        assert_eq!(with_lists(&[OTHERS], &[PURPOSE_SIGN, OTHERS, GENERATED]), "ok");
        assert_eq!(with_lists(&[], &[PURPOSE_SIGN, GENERATED]), "ok");
    }

    #[test]
    fn resp_a_f_1_the_challenge_is_the_registrations() {
        let whole: &[&[u8]] = &[PURPOSE_SIGN, GENERATED];
        assert_eq!(with(|_| description(&[7; 32], &[], whole), |_, _| ()), "attested-data");
        assert_eq!(with(|hash| description(&hash[1..], &[], whole), |_, _| ()), "attested-data");
    }

    #[test]
    fn resp_a_f_2_the_certified_key_is_the_credentials() {
        let (root, forge, other) = (authority("root", None, |_| ()), Forge::new(5), Forge::new(6));
        let code = register(&root, &forge, "android-key", |signed| {
            let whole: &[&[u8]] = &[PURPOSE_SIGN, GENERATED];
            let description = description(&signed[signed.len() - 32..], &[], whole);
            let leaf = certificate_of(&other, &root, DESCRIPTION, description);
            let (signature, chain): (_, [&[u8]; 1]) = (other.sign(&[signed]), [&leaf.der]);
            written(&AndroidKey { alg: Algorithm::ES256, sig: &signature, x5c: (&chain[..]).into() })
        });
        assert_eq!(code, "attested-key");
        let whole = |hash: &[u8]| description(hash, &[], &[PURPOSE_SIGN, GENERATED]);
        assert_eq!(with(whole, |statement, _| statement.sig = b"0"), "signature");
        assert_eq!(with(whole, |statement, _| statement.alg = Algorithm::ES384), "certificate-key");
        assert_eq!(with(whole, |statement, _| statement.x5c = (&[][..]).into()), "certificate");
    }

    #[test]
    fn the_key_is_made_for_signatures_in_the_trusted_environment_and_for_one_application() {
        let (decrypts, imported): (&[u8], &[u8]) = (&[0xA1, 5, 0x31, 3, 2, 1, 1], &[0xBF, 0x85, 0x3E, 3, 2, 1, 2]);
        for (software, tee) in [
            (&[][..], &[][..]),
            (&[PURPOSE_SIGN, GENERATED], &[]),
            (&[PURPOSE_SIGN], &[GENERATED]),
            (&[], &[PURPOSE_SIGN]),
            (&[], &[decrypts, GENERATED]),
            (&[], &[PURPOSE_SIGN, imported]),
            (&[ALL_APPLICATIONS], &[PURPOSE_SIGN, GENERATED]),
            (&[], &[PURPOSE_SIGN, ALL_APPLICATIONS, GENERATED]),
        ] {
            assert_eq!(with_lists(software, tee), "key-authorization");
        }
    }

    #[test]
    fn a_description_that_is_cut_or_longer_is_refused() {
        let whole = |hash: &[u8]| description(hash, &[OTHERS], &[PURPOSE_SIGN, GENERATED]);
        for cut in [1, 3, 8] {
            let cut = |hash: &[u8]| whole(hash)[..whole(hash).len() - cut].to_vec();
            assert_eq!(with(cut, |_, _| ()), "key-description");
        }
        assert_eq!(with(|hash| [&whole(hash)[..], &[5, 0]].concat(), |_, _| ()), "key-description");
        assert_eq!(with_lists(&[&[0xBF, 0x80, 0x01, 0]], &[]), "key-description", "a tag with a leading zero");
        assert_eq!(with_lists(&[&[0x04, 0]], &[]), "key-description", "no tag of the context");
    }
}

mod apple {
    use super::*;

    const NONCE: &[u64] = &[1, 2, 840, 113_635, 100, 8, 2];

    fn with(certified: &Forge, nonce: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let (root, forge) = (authority("root", None, |_| ()), Forge::new(5));
        register(&root, &forge, "apple", |signed| {
            let hash = RustCrypto.sha256(&[signed]);
            let leaf = certificate_of(certified, &root, NONCE, nonce(&hash));
            let chain: [&[u8]; 1] = [&leaf.der];
            written(&Apple { x5c: (&chain[..]).into() })
        })
    }

    fn wrapped(nonce: &[u8]) -> Vec<u8> {
        der(&[0x30], &[&der(&[0xA1], &[&der(&[4], &[nonce])])])
    }

    #[test]
    fn the_nonce_and_the_key_are_the_registrations() {
        assert_eq!(with(&Forge::new(5), wrapped), "ok");
        assert_eq!(with(&Forge::new(6), wrapped), "attested-key");
        assert_eq!(with(&Forge::new(5), |_| wrapped(&[7; 32])), "attested-data");
        assert_eq!(with(&Forge::new(5), |nonce| der(&[4], &[nonce])), "certificate");
        assert_eq!(with(&Forge::new(5), |nonce| [&wrapped(nonce)[..], &[5, 0]].concat()), "certificate");
    }
}

mod tpm {
    use aws_lc_rs::digest;

    use super::*;

    const ATTESTATION_KEY: &[u64] = &[2, 23, 133, 8, 3];
    const ALTERNATIVE_NAME: &[u64] = &[2, 5, 29, 17];

    fn sized(bytes: &[u8]) -> Vec<u8> {
        [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
    }

    /// `TPMT_PUBLIC` of a forged key: P-256, no scheme, SHA-256 as the hash function of its name.
    fn public_area(forge: &Forge) -> Vec<u8> {
        let key = KeyPair::of(forge);
        let point = rcgen::PublicKeyData::der_bytes(&key);
        let head = [0, 0x23, 0, 0x0B, 0, 6, 4, 0x72];
        let parameters = [0, 0x10, 0, 0x10, 0, 3, 0, 0x10];
        [&head[..], &sized(&[9; 32]), &parameters, &sized(&point[1..33]), &sized(&point[33..])].concat()
    }

    /// `TPMS_ATTEST`.
    fn cert_info(extra_data: &[u8], public_area: &[u8]) -> Vec<u8> {
        let name = [&[0, 0x0B][..], &RustCrypto.sha256(&[public_area])].concat();
        let head = [0xFF, 0x54, 0x43, 0x47, 0x80, 0x17];
        [&head[..], &sized(&[1; 34]), &sized(extra_data), &[0x33; 25], &sized(&name), &sized(&[2; 34])].concat()
    }

    /// The alternative name of a TPM: manufacturer, model, version, or a part of them.
    fn tpm_name(parts: &[u8]) -> CustomExtension {
        let attribute = |part: &u8| der(&[0x30], &[&[6, 5, 0x67, 0x81, 5, 2, *part], &der(&[12], &[b"id:00000000"])]);
        let attributes = parts.iter().map(attribute).collect::<Vec<_>>().concat();
        let names = der(&[0x30], &[&der(&[0xA4], &[&der(&[0x30], &[&der(&[0x31], &[&attributes])])])]);
        let mut extension = CustomExtension::from_oid_content(ALTERNATIVE_NAME, names);
        extension.set_criticality(true);
        extension
    }

    fn attestation_key(params: &mut CertificateParams) {
        params.distinguished_name = DistinguishedName::new();
        params.is_ca = IsCa::ExplicitNoCa;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(ATTESTATION_KEY.to_vec())];
        params.custom_extensions = vec![tpm_name(&[1, 2, 3]), model(&[4, 16], 0)];
    }

    /// What a test changes.
    struct Made {
        ver: &'static str,
        alg: Algorithm,
        extra_data: Vec<u8>,
        public_area: Vec<u8>,
        cert_info: Option<Vec<u8>>,
    }

    /// An attestation whose parts are changed before they are signed, by an attestation key with a changed certificate.
    fn with(is_rsa: bool, certificate: impl Fn(&mut CertificateParams), change: impl Fn(&mut Made, &[u8])) -> String {
        let (root, forge) = (authority("root", None, |_| ()), Forge::new(5));
        let mut params = params("tpm");
        attestation_key(&mut params);
        certificate(&mut params);
        let algorithm = if is_rsa { &PKCS_RSA_SHA256 } else { &PKCS_ECDSA_P256_SHA256 };
        let aik = certify(params, Some(&root), algorithm);
        register(&root, &forge, "tpm", |signed| {
            let mut made = Made {
                ver: "2.0",
                alg: if is_rsa { Algorithm::RS256 } else { Algorithm::ES256 },
                extra_data: RustCrypto.sha256(&[signed]).to_vec(),
                public_area: public_area(&forge),
                cert_info: None,
            };
            change(&mut made, signed);
            let info = made.cert_info.unwrap_or_else(|| cert_info(&made.extra_data, &made.public_area));
            let signature = aik.key.sign(&info).unwrap();
            let chain: [&[u8]; 1] = [&aik.der];
            let (alg, ver, x5c) = (made.alg, made.ver, (&chain[..]).into());
            written(&Tpm { alg, sig: &signature, ver, x5c, pub_area: &made.public_area, cert_info: &info })
        })
    }

    /// Nothing here signs with SHA-1. That such a signature verifies is a test of the backend.
    #[test]
    fn resp_9_p_1_p_2_p_4_attestation_keys_sign_with_rsa_and_ecdsa_and_hash_with_sha_1() {
        assert_eq!(with(true, |_| (), |_, _| ()), "ok");
        assert_eq!(with(false, |_| (), |_, _| ()), "ok");
        let sha1 = |made: &mut Made, signed: &[u8]| {
            made.alg = Algorithm::RS1;
            made.extra_data = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, signed).as_ref().to_vec();
        };
        assert_eq!(with(true, |_| (), sha1), "signature");
        assert_eq!(with(true, |_| (), |made, _| made.alg = Algorithm::RS1), "attested-data");
    }

    #[test]
    fn resp_9_f_2_the_tpm_attests_this_registration() {
        assert_eq!(with(false, |_| (), |made, _| made.extra_data[0] ^= 1), "attested-data");
        assert_eq!(with(false, |_| (), |made, _| made.extra_data.clear()), "attested-data");
    }

    #[test]
    fn resp_9_f_3_the_tpm_has_made_what_it_signs_and_certifies_the_key() {
        let changed = |at: usize| {
            with(
                false,
                |_| (),
                |made, _| {
                    let mut info = cert_info(&made.extra_data, &made.public_area);
                    info[at] ^= 1;
                    made.cert_info = Some(info);
                },
            )
        };
        assert_eq!(changed(0), "cert-info"); // magic
        assert_eq!(changed(5), "cert-info"); // type
        let name = 6 + 36 + 34 + 25 + 2;
        assert_eq!(changed(name), "cert-info"); // the hash function
        assert_eq!(changed(name + 2), "cert-info");
        assert_eq!(changed(6 + 36 + 34), "ok"); // the clock
        let longer = |made: &mut Made, _: &[u8]| {
            made.cert_info = Some([&cert_info(&made.extra_data, &made.public_area)[..], &[0]].concat());
        };
        assert_eq!(with(false, |_| (), longer), "cert-info");
    }

    #[test]
    fn resp_9_f_4_the_public_area_is_of_the_credentials_key() {
        assert_eq!(with(false, |_| (), |made, _| made.public_area = public_area(&Forge::new(6))), "attested-key");
        assert_eq!(with(false, |_| (), |made, _| made.public_area.truncate(60)), "public-area");
        assert_eq!(with(false, |_| (), |made, _| made.public_area.push(0)), "public-area");
        assert_eq!(with(false, |_| (), |made, _| made.public_area[1] = 8), "public-area"); // KEYEDHASH
        assert_eq!(with(false, |_| (), |made, _| made.ver = "1.2"), "format");
    }

    #[test]
    fn the_certificate_is_of_an_attestation_key() {
        let refused = |change: &dyn Fn(&mut CertificateParams)| with(false, change, |_, _| ());
        for parts in [&[][..], &[1, 2], &[2, 3], &[1, 3]] {
            assert_eq!(refused(&|params| params.custom_extensions = vec![tpm_name(parts)]), "certificate");
        }
        assert_eq!(refused(&|params| params.custom_extensions = vec![]), "certificate");
        assert_eq!(refused(&|params| params.extended_key_usages.clear()), "certificate");
        assert_eq!(refused(&|params| params.is_ca = IsCa::NoCa), "certificate");
        let named = |params: &mut CertificateParams| params.distinguished_name.push(rcgen::DnType::CommonName, "tpm");
        assert_eq!(refused(&named), "certificate");
        assert_eq!(refused(&|params| params.custom_extensions[1] = model(&[4, 16], 1)), "aaguid");
        assert_eq!(refused(&|params| drop(params.custom_extensions.pop())), "ok");
    }
}

#[test]
fn a_compound_attestation_is_worth_its_best_statement_and_every_one_verifies() {
    let (root, forge) = (authority("root", None, |_| ()), Forge::new(5));
    let trusted = leaf(&root, &PKCS_ECDSA_P256_SHA256, |_| ());
    let stranger = authority("stranger", None, |_| ());
    let strange = leaf(&stranger, &PKCS_ECDSA_P256_SHA256, |_| ());
    let by = |leaf: &Certified, signed: &[u8]| {
        let (signature, chain): (_, [&[u8]; 1]) = (leaf.key.sign(signed).unwrap(), [&leaf.der]);
        written(&Packed { alg: Algorithm::ES256, sig: &signature, x5c: Some((&chain[..]).into()) })
    };
    let own = |signed: &[u8]| written(&Packed { alg: Algorithm::ES256, sig: &forge.sign(&[signed]), x5c: None });
    let compound = |statements: &dyn Fn(&[u8]) -> [Vec<u8>; 2]| {
        register(&root, &forge, "compound", |signed| {
            let statements = statements(signed);
            let elements = [0, 1].map(|at| Element { format: "packed", statement: RawStatement(&statements[at]) });
            written(&Statement::Compound((&elements[..]).into()))
        })
    };
    assert_eq!(compound(&|signed| [own(signed), by(&trusted, signed)]), "ok");
    assert_eq!(compound(&|signed| [by(&strange, signed), by(&trusted, signed)]), "ok");
    assert_eq!(compound(&|signed| [by(&strange, signed), own(signed)]), "certificate-chain");
    assert_eq!(compound(&|signed| [own(signed), own(signed)]), "attestation-not-accepted");
    assert_eq!(compound(&|signed| [by(&trusted, signed), own(b"other bytes")]), "signature");
}

#[test]
fn the_retired_format_is_called_retired_and_an_unknown_one_unknown() {
    let (root, forge) = (authority("root", None, |_| ()), Forge::new(5));
    let statement = written(&AndroidSafetyNet { ver: "14799021", response: b"e30.e30." });
    assert_eq!(register(&root, &forge, "android-safetynet", |_| statement.clone()), "format-retired");
    assert_eq!(register(&root, &forge, "android-safetynet", |_| vec![0xA0]), "statement");
    assert_eq!(register(&root, &forge, "BananaPancake", |_| vec![0xA0]), "format"); // Resp-5 F-1
}
