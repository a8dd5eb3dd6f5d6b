//! Certificate chains: the conformance tests Resp-5, with generated chains.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair},
};
use getrandom::SysRng;
use keyfob_core::{
    attestation::Packed,
    cbor,
    cose::Algorithm,
    crypto::{MAX_PUBLIC, MAX_SECRET, MAX_SIGNATURE, RustCrypto, Sign},
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, GeneralSubtree, IsCa, Issuer,
    KeyIdMethod, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256,
    PKCS_RSA_SHA384, PKCS_RSA_SHA512, PublicKeyData, SignatureAlgorithm, SigningKey, date_time_ymd,
};
use serde_json::json;

use super::world::*;

/// The time of these tests, in seconds since 1970: in November 2026.
pub const NOW: i64 = 1_795_303_612;
/// id-fido-gen-ce-aaguid (WebAuthn L3 §8.2.1).
const AAGUID_EXTENSION: &[u64] = &[1, 3, 6, 1, 4, 1, 45_724, 1, 1, 4];

/// A key pair for rcgen with keyfob's own cryptography, because rcgen's would build a second AWS-LC.
pub struct KeyPair {
    algorithm: &'static SignatureAlgorithm,
    secret: Secret,
    /// The point, uncompressed (SEC 1 §2.3.3), or the modulus and the exponent (RFC 8017 appendix A.1.1).
    public: Vec<u8>,
}

enum Secret {
    Ec(Vec<u8>),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
}

impl KeyPair {
    pub fn generate_for(algorithm: &'static SignatureAlgorithm) -> Self {
        if let Some(encoding) = rsa(algorithm) {
            let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let public = key.public_key().as_ref().to_vec();
            return Self { algorithm, secret: Secret::Rsa(key, encoding), public };
        }
        let (mut secret, mut public) = (vec![0; MAX_SECRET], vec![0; MAX_PUBLIC]);
        let (secret_len, public_len) =
            RustCrypto.generate(cose(algorithm), &mut SysRng, &mut secret, &mut public).unwrap();
        secret.truncate(secret_len);
        Self { algorithm, secret: Secret::Ec(secret), public: [&[4], &public[..public_len]].concat() }
    }

    /// A forged key.
    pub fn of(forge: &Forge) -> Self {
        let mut public = vec![0; 64];
        RustCrypto.public_key(Algorithm::ES256, &forge.secret, &mut public).unwrap();
        let secret = Secret::Ec(forge.secret.to_vec());
        Self { algorithm: &PKCS_ECDSA_P256_SHA256, secret, public: [&[4], &public[..]].concat() }
    }

    /// A key identifier of twenty bytes, which rcgen would otherwise compute with its own hash.
    fn name(&self) -> &[u8] {
        &self.public[20..40]
    }
}

impl PublicKeyData for KeyPair {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl SigningKey for KeyPair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut signature = vec![0; MAX_SIGNATURE];
        let length = match &self.secret {
            Secret::Ec(secret) => RustCrypto.sign(cose(self.algorithm), secret, &[message], &mut signature).unwrap(),
            Secret::Rsa(key, encoding) => {
                let length = key.public_modulus_len();
                key.sign(*encoding, &SystemRandom::new(), message, &mut signature[..length]).unwrap();
                length
            }
        };
        signature.truncate(length);
        Ok(signature)
    }
}

fn cose(algorithm: &'static SignatureAlgorithm) -> Algorithm {
    if *algorithm == PKCS_ECDSA_P384_SHA384 { Algorithm::ES384 } else { Algorithm::ES256 }
}

fn rsa(algorithm: &'static SignatureAlgorithm) -> Option<&'static dyn RsaEncoding> {
    [
        (&PKCS_RSA_SHA256, &RSA_PKCS1_SHA256 as &dyn RsaEncoding),
        (&PKCS_RSA_SHA384, &RSA_PKCS1_SHA384),
        (&PKCS_RSA_SHA512, &RSA_PKCS1_SHA512),
    ]
    .into_iter()
    .find_map(|(name, encoding)| (*name == *algorithm).then_some(encoding))
}

/// A certificate and its key.
pub struct Certified {
    params: CertificateParams,
    pub key: KeyPair,
    pub der: Vec<u8>,
}

impl Certified {
    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

/// The parameters of a certificate that is valid from 2020 to 2060.
pub fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "DE");
    params.distinguished_name.push(DnType::OrganizationName, "keyfob");
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2060, 1, 1));
    params
}

/// An authority, issued by another or by itself. rcgen makes its basic constraints critical.
pub fn authority(name: &str, issuer: Option<&Certified>, change: impl FnOnce(&mut CertificateParams)) -> Certified {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    certify(params, issuer, &PKCS_ECDSA_P256_SHA256)
}

/// A root whose key signs with this algorithm.
fn root_with(algorithm: &'static SignatureAlgorithm) -> Certified {
    let mut params = params("root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    certify(params, None, algorithm)
}

/// An attestation certificate for packed attestation, with an AAGUID of zeros.
pub fn leaf(
    issuer: &Certified,
    algorithm: &'static SignatureAlgorithm,
    change: impl FnOnce(&mut CertificateParams),
) -> Certified {
    let mut params = params("leaf");
    params.distinguished_name.push(DnType::OrganizationalUnitName, "Authenticator Attestation");
    params.is_ca = IsCa::ExplicitNoCa;
    params.custom_extensions = vec![model(&[0x04, 16], 0)];
    change(&mut params);
    certify(params, Some(issuer), algorithm)
}

/// The extension with the AAGUID: the head of its octet string, and an AAGUID of 16 equal bytes.
pub fn model(head: &[u8], byte: u8) -> CustomExtension {
    CustomExtension::from_oid_content(AAGUID_EXTENSION, [head, &[byte; 16]].concat())
}

pub fn certify(
    params: CertificateParams,
    issuer: Option<&Certified>,
    algorithm: &'static SignatureAlgorithm,
) -> Certified {
    certify_key(params, issuer, KeyPair::generate_for(algorithm))
}

/// A certificate for that key.
pub fn certify_key(mut params: CertificateParams, issuer: Option<&Certified>, key: KeyPair) -> Certified {
    params.serial_number = Some([&[1], &key.name()[1..]].concat().into());
    params.key_identifier_method = KeyIdMethod::PreSpecified(key.name().to_vec());
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, &issuer.issuer()),
        None => params.self_signed(&key),
    };
    let der = certificate.unwrap().der().to_vec();
    Certified { params, key, der }
}

/// A root, an authority below it, and a leaf below that.
struct Chain {
    root: Certified,
    middle: Certified,
    leaf: Certified,
}

impl Chain {
    fn new() -> Self {
        let root = authority("root", None, |_| ());
        let middle = authority("middle", Some(&root), |_| ());
        let leaf = leaf(&middle, &PKCS_ECDSA_P256_SHA256, |_| ());
        Self { root, middle, leaf }
    }
}

/// Registers with a server that trusts only `anchor`, with a packed statement by `key` and this chain. Returns "ok" or
/// the code word of the refusal.
fn register(anchor: &Certified, key: &KeyPair, x5c: &[&Certified]) -> String {
    let answer = answer(vec![anchor.der.clone()], true, key, x5c);
    if answer.status.is_success() {
        assert_eq!(answer.body["credential"]["attestation"], json!({ "format": "packed", "type": "trusted" }));
        return "ok".into();
    }
    answer.code().into()
}

/// The answer of a server with these roots, which requires an attestation or not.
fn answer(roots: Vec<Vec<u8>>, is_required: bool, key: &KeyPair, x5c: &[&Certified]) -> Answer {
    let mut options = options();
    options.attestation_roots = roots;
    (options.policy.accept_none, options.policy.accept_self) = (!is_required, !is_required);
    let world = World::with(options);
    world.advance(NOW - 1_000_000);
    let mut browser = world.browser();
    let options = browser.post("/attestation/options", &json!({ "username": "alice", "attestation": "direct" })).ok();
    let forge = Forge::new(1);
    let auth_data = forge.auth_data("localhost", true);
    let credential = forge.create_with(&options, "packed", &auth_data, |hash| {
        let signature = key.sign(&[&auth_data[..], hash].concat()).unwrap();
        let algorithm = if rsa(key.algorithm).is_some() { &b"\x39\x01\x00"[..] } else { b"\x26" };
        let mut statement = [b"\xa3\x63alg", algorithm, b"\x63sig\x59"].concat();
        statement.extend(u16::try_from(signature.len()).unwrap().to_be_bytes());
        statement.extend(signature);
        statement.extend(b"\x63x5c");
        statement.push(0x80 | u8::try_from(x5c.len()).unwrap());
        for certificate in x5c {
            statement.push(0x59);
            statement.extend(u16::try_from(certificate.der.len()).unwrap().to_be_bytes());
            statement.extend(&certificate.der);
        }
        statement
    });
    browser.post("/attestation/result", &credential)
}

#[test]
fn resp_5_p_2_to_p_4_a_chain_that_leads_to_what_is_trusted_is_accepted() {
    let Chain { root, middle, leaf } = &Chain::new();
    assert_eq!(register(root, &leaf.key, &[leaf, middle]), "ok"); // P-2, P-4
    assert_eq!(register(middle, &leaf.key, &[leaf]), "ok");
    assert_eq!(register(middle, &leaf.key, &[leaf, middle]), "ok");
    assert_eq!(register(leaf, &leaf.key, &[leaf]), "ok"); // P-3
    // A path length of one is enough for this chain.
    let root = &authority("narrow root", None, |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1)));
    let middle = &authority("middle", Some(root), |_| ());
    let leaf = &self::leaf(middle, &PKCS_ECDSA_P256_SHA256, |_| ());
    assert_eq!(register(root, &leaf.key, &[leaf, middle]), "ok");
}

#[test]
fn resp_5_f_2_f_13_f_14_the_signature_is_by_the_key_of_the_first_certificate() {
    let Chain { root, middle, leaf } = &Chain::new();
    for key in [&middle.key, &root.key, &KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)] {
        assert_eq!(register(root, key, &[leaf, middle]), "signature");
    }
}

#[test]
fn resp_5_f_6_f_7_f_12_certificates_have_a_time() {
    let Chain { root, middle, .. } = &Chain::new();
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2026, 11, 1);
    let not_yet = |params: &mut CertificateParams| params.not_before = date_time_ymd(2026, 12, 24);
    let old = &leaf(middle, &PKCS_ECDSA_P256_SHA256, expired);
    assert_eq!(register(root, &old.key, &[old, middle]), "certificate-validity"); // F-6
    assert_eq!(register(old, &old.key, &[old]), "certificate-validity");
    let new = &leaf(middle, &PKCS_ECDSA_P256_SHA256, not_yet);
    assert_eq!(register(root, &new.key, &[new, middle]), "certificate-validity"); // F-7
    let middle = &authority("middle", Some(root), expired);
    let leaf = &leaf(middle, &PKCS_ECDSA_P256_SHA256, |_| ());
    assert_eq!(register(root, &leaf.key, &[leaf, middle]), "certificate-validity"); // F-12
    let root = &authority("root", None, expired);
    let leaf = &self::leaf(root, &PKCS_ECDSA_P256_SHA256, |_| ());
    assert_eq!(register(root, &leaf.key, &[leaf]), "certificate-validity");
}

#[test]
fn resp_5_f_8_the_key_of_the_first_certificate_is_of_the_algorithm_that_the_statement_names() {
    let Chain { root, middle, .. } = &Chain::new();
    let leaf = &leaf(middle, &PKCS_ECDSA_P384_SHA384, |_| ());
    assert_eq!(register(root, &leaf.key, &[leaf, middle]), "certificate-key");
}

#[test]
fn resp_5_f_9_a_chain_ends_at_what_is_trusted() {
    let Chain { root, middle, leaf } = &Chain::new();
    let other = &Chain::new();
    assert_eq!(register(&other.root, &leaf.key, &[leaf, middle]), "certificate-chain");
    assert_eq!(register(root, &leaf.key, &[leaf]), "certificate-chain");
    // The same names, other keys.
    assert_eq!(register(root, &leaf.key, &[leaf, &other.middle]), "certificate-chain");
    // The issuer is not an authority: a leaf cannot sign another certificate.
    let below = &self::leaf(leaf, &PKCS_ECDSA_P256_SHA256, |params| {
        params.distinguished_name.push(DnType::CommonName, "another model");
    });
    assert_eq!(register(root, &below.key, &[below, leaf, middle]), "certificate-chain");
    assert_eq!(register(leaf, &below.key, &[below]), "certificate-chain");
}

#[test]
fn resp_5_f_10_a_chain_does_not_bring_its_own_root() {
    let Chain { root, middle, leaf } = &Chain::new();
    assert_eq!(register(root, &leaf.key, &[leaf, middle, root]), "root-in-chain");
    let other = &Chain::new();
    assert_ne!(register(&other.root, &leaf.key, &[leaf, middle, root]), "ok");
}

#[test]
fn resp_5_f_11_a_chain_is_in_order() {
    let Chain { root, middle, leaf } = &Chain::new();
    let lower = &authority("lower", Some(middle), |_| ());
    let below = &self::leaf(lower, &PKCS_ECDSA_P256_SHA256, |_| ());
    assert_eq!(register(root, &below.key, &[below, lower, middle]), "ok");
    assert_eq!(register(root, &below.key, &[below, middle, lower]), "certificate-chain");
    assert_eq!(register(root, &middle.key, &[middle, leaf]), "certificate");
}

#[test]
fn a_certificate_that_names_another_model_or_none_as_the_standard_has_it_is_refused() {
    let Chain { root, middle, .. } = &Chain::new();
    let with = |extensions: Vec<CustomExtension>| {
        let leaf = &leaf(middle, &PKCS_ECDSA_P256_SHA256, |params| params.custom_extensions = extensions);
        register(root, &leaf.key, &[leaf, middle])
    };
    let mut critical = model(&[0x04, 16], 0);
    critical.set_criticality(true);
    assert_eq!(with(vec![model(&[0x04, 16], 0)]), "ok");
    assert_eq!(with(vec![]), "ok"); // it may name none
    assert_eq!(with(vec![model(&[0x04, 16], 1)]), "aaguid");
    assert_eq!(with(vec![critical]), "aaguid");
    assert_eq!(with(vec![model(&[], 0)]), "aaguid"); // wrapped once
}

#[test]
fn an_issuers_constraints_are_kept() {
    let plain = |_: &mut CertificateParams| ();
    let signs_nothing = |params: &mut CertificateParams| params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let signs = |params: &mut CertificateParams| params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ends = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let names = |params: &mut CertificateParams| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("example.org".into())];
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: vec![] });
    };
    let is_strange = |params: &mut CertificateParams| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    };
    type Change<'c> = &'c dyn Fn(&mut CertificateParams);
    let with = |of_root: Change<'_>, of_middle: Change<'_>, of_leaf: Change<'_>| {
        let root = &authority("root", None, of_root);
        let middle = &authority("middle", Some(root), of_middle);
        let leaf = &leaf(middle, &PKCS_ECDSA_P256_SHA256, of_leaf);
        register(root, &leaf.key, &[leaf, middle])
    };
    assert_eq!(with(&plain, &plain, &plain), "ok");
    assert_eq!(with(&signs, &signs, &plain), "ok");
    assert_eq!(with(&plain, &ends, &plain), "ok", "nothing is below the authority");
    for (of_root, of_middle, of_leaf) in [
        (&ends as Change<'_>, &plain as Change<'_>, &plain as Change<'_>),
        (&signs_nothing, &plain, &plain),
        (&plain, &signs_nothing, &plain),
        (&names, &plain, &plain),
        (&plain, &names, &plain),
        (&is_strange, &plain, &plain),
        (&plain, &is_strange, &plain),
        (&plain, &plain, &is_strange),
    ] {
        assert_eq!(with(of_root, of_middle, of_leaf), "certificate-constraints");
    }
}

#[test]
fn a_root_that_was_renewed_is_trusted_beside_the_expired_one() {
    let mut params = params("root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut old = params.clone();
    let root = certify(params, None, &PKCS_ECDSA_P256_SHA256);
    old.not_after = date_time_ymd(2026, 11, 1);
    old.serial_number = Some(vec![9; 8].into());
    old.key_identifier_method = KeyIdMethod::PreSpecified(root.key.name().to_vec());
    let old = old.self_signed(&root.key).unwrap().der().to_vec();
    let leaf = &leaf(&root, &PKCS_ECDSA_P256_SHA256, |_| ());
    for roots in [vec![old.clone(), root.der.clone()], vec![root.der.clone(), old.clone()]] {
        answer(roots, true, &leaf.key, &[leaf]).ok();
    }
    assert_eq!(answer(vec![old], true, &leaf.key, &[leaf]).code(), "certificate-validity");
}

#[test]
fn certificates_are_signed_with_rsa_too() {
    for algorithm in [&PKCS_RSA_SHA256, &PKCS_RSA_SHA384, &PKCS_RSA_SHA512] {
        let root = &root_with(algorithm);
        let leaf = &leaf(root, &PKCS_ECDSA_P256_SHA256, |_| ());
        assert_eq!(register(root, &leaf.key, &[leaf]), "ok");
        assert_eq!(register(&root_with(algorithm), &leaf.key, &[leaf]), "certificate-chain", "a key of the same name");
    }
    let root = &root_with(&PKCS_RSA_SHA256);
    let leaf = &leaf(root, &PKCS_RSA_SHA256, |_| ());
    assert_eq!(register(root, &leaf.key, &[leaf]), "ok", "the leaf has a key of RSA");
    assert_eq!(register(root, &root.key, &[leaf]), "signature");
}

#[test]
fn a_certificate_that_leads_nowhere_counts_as_none() {
    let Chain { middle, leaf, .. } = &Chain::new();
    let other = authority("another root", None, |_| ());
    for roots in [vec![], vec![other.der]] {
        for is_required in [false, true] {
            let answer = answer(roots.clone(), is_required, &leaf.key, &[leaf, middle]);
            if is_required {
                assert_eq!(answer.code(), "certificate-chain");
            } else {
                let attestation = &answer.ok()["credential"]["attestation"];
                assert_eq!(*attestation, json!({ "format": "packed", "type": "certificate" }));
            }
        }
    }
}

/// A packed statement with a signature by ES256 and these certificates.
pub fn packed(signature: &[u8], x5c: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    let statement = Packed { alg: Algorithm::ES256, sig: signature, x5c: Some(x5c.into()) };
    let length = cbor::encode(&statement, &mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}
