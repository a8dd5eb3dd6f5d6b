//! A key is made.

use std::ffi::CStr;

use keyfob_core::{
    attestation::Statement,
    auth_data::AttestedCredentialData,
    cbor::{self, List},
    client::{
        Attestation, GetAssertion, GetOptions, MakeCredential, MakeOptions, Requirement,
        extensions::{CredProtect, MakeExtensions},
        manage::{Access, ListCredentials},
    },
    cose::{Algorithm, CoseKey},
    crypto::{Hash, RustCrypto},
    ctap2::{CredentialParameters, RpEntity, UserEntity},
    extensions::cred_protect::Level,
    transport::hid::MAX_MESSAGE,
    verify,
};

use crate::{abi, failure::Failure, key::Key, options::Options};

/// Room for assertions with the resident keys of an application, in bytes: some hundred.
const ASSERTIONS: usize = 16 * MAX_MESSAGE;

/// What OpenSSH asks for.
pub struct Enrollment<'a> {
    pub algorithm: u32,
    pub challenge: &'a [u8],
    pub application: &'a str,
    pub flags: u8,
    pub pin: Option<&'a CStr>,
    pub options: Options,
}

/// A key that was made.
pub struct Enrolled {
    pub flags: u8,
    pub public_key: Vec<u8>,
    pub key_handle: Vec<u8>,
    /// Empty where the key attests nothing.
    pub signature: Vec<u8>,
    pub certificate: Vec<u8>,
    /// A byte string of CBOR.
    pub auth_data: Vec<u8>,
}

/// Makes a key.
///
/// # Errors
/// [`Failure`].
pub fn enroll(asked: &Enrollment<'_>) -> Result<Enrolled, Failure> {
    let algorithm = algorithm(asked.algorithm)?;
    let known = abi::USER_PRESENCE | abi::USER_VERIFICATION | abi::FORCE_OPERATION | abi::RESIDENT_KEY;
    if asked.flags & !known != 0 {
        let unknown = asked.flags & !known;
        return Err(Failure::new(abi::ERR_UNSUPPORTED, format!("the flags {unknown:#04x} are not supported")));
    }
    asked.options.place.with(true, |port| {
        let mut key = Key::new(port, asked.pin)?;
        let is_resident = asked.flags & abi::RESIDENT_KEY != 0;
        if is_resident
            && asked.flags & abi::FORCE_OPERATION == 0
            && exists(&mut key, asked.application, &asked.options.user)?
        {
            return Err(Failure::silent(abi::ERR_CREDENTIAL_EXISTS));
        }
        let verifies = asked.flags & abi::USER_VERIFICATION != 0;
        let level = match verifies {
            true => Level::USER_VERIFICATION_REQUIRED,
            false => Level::USER_VERIFICATION_OPTIONAL_WITH_CREDENTIAL_ID_LIST,
        };
        let hash = RustCrypto.sha256(&[asked.challenge]);
        let rp = RpEntity { id: asked.application, name: None };
        let user = UserEntity { id: &asked.options.user, name: Some("openssh"), display_name: Some("openssh") };
        let algorithms = [CredentialParameters::new(algorithm)];
        let required = |required| if required { Requirement::Required } else { Requirement::Discouraged };
        let options = MakeOptions {
            resident_key: required(is_resident),
            user_verification: required(verifies),
            extensions: MakeExtensions {
                // A key file says what the user asked for, and can be changed. The authenticator has to know it too.
                cred_protect: (is_resident || verifies).then_some(CredProtect { level, enforce: true }),
                ..MakeExtensions::NONE
            },
            ..MakeOptions::new(&hash, rp, user, &algorithms)
        };
        let mut buffer = vec![0; MAX_MESSAGE];
        let made = key.run(MakeCredential::new(&options), &mut buffer, |_| ())?;
        enrolled(&made, asked.flags & !abi::FORCE_OPERATION, &hash)
    })
}

/// The algorithm of OpenSSH's number.
pub fn algorithm(number: u32) -> Result<Algorithm, Failure> {
    match number {
        abi::ECDSA => Ok(Algorithm::ES256),
        abi::ED25519 => Ok(Algorithm::EDDSA),
        _ => Err(Failure::new(abi::ERR_UNSUPPORTED, format!("the algorithm {number} is not supported"))),
    }
}

/// OpenSSH's number and form of a public key. `None` for keys that it does not have.
pub fn public_key(key: &CoseKey<'_>) -> Option<(u32, Vec<u8>)> {
    match *key {
        CoseKey::Ec2 { algorithm: Algorithm::ES256, x, y, .. } if (x.len(), y.len()) == (32, 32) => {
            Some((abi::ECDSA, [&[0x04], x, y].concat()))
        }
        CoseKey::Okp { algorithm: Algorithm::EDDSA, x, .. } if x.len() == 32 => Some((abi::ED25519, x.into())),
        _ => None,
    }
}

/// Whether there is a resident key of this application and user. It is looked up without a touch.
pub(crate) fn exists(key: &mut Key<'_, '_>, application: &str, user: &[u8]) -> Result<bool, Failure> {
    let options = GetOptions { user_presence: false, ..GetOptions::new(application, &[0; 32]) };
    let mut buffer = vec![0; ASSERTIONS];
    let found = match key.run(GetAssertion::new(&options), &mut buffer, |_| ()) {
        Err(failure) if failure.code == abi::ERR_DEVICE_NOT_FOUND => return Ok(false),
        found => found?,
    };
    if found.iter().any(|one| one.user_handle() == Some(user)) {
        return Ok(true);
    }
    if found.len() == found.total() {
        return Ok(false);
    }
    // There are more than there was room for. A list is read one by one, and takes a verified user.
    let (hash, mut is_listed) = (RustCrypto.sha256(&[application.as_bytes()]), false);
    let list = ListCredentials::new(&hash, Access::User);
    match key.run(list, &mut buffer, |one| is_listed |= one.user.id == user) {
        Ok(_) => Ok(is_listed),
        Err(failure) if failure.code == abi::ERR_PIN_REQUIRED => Err(failure),
        // Where there is no list, one of the rest may be it: then OpenSSH asks its user.
        Err(_) => Ok(true),
    }
}

/// What OpenSSH wants to know of a key that was made, after a check of its attestation: a key that signs wrongly would be
/// noticed at the first login only. Some keys have certificates that are not as the standard says, or that cannot be read
/// here: whoever gets the attestation judges them.
pub(crate) fn enrolled(made: &Attestation<'_>, flags: u8, hash: &[u8; 32]) -> Result<Enrolled, Failure> {
    let broken = |why: &str| Failure::new(abi::ERR_GENERAL, format!("the key's answer cannot be used: {why}"));
    let credential = made.auth_data.attested_credential_data.ok_or_else(|| broken("there is no credential in it"))?;
    let AttestedCredentialData { credential_id, public_key: cose, .. } = credential;
    let (_, public_key) = public_key(&cose).ok_or_else(|| broken("the public key has another form"))?;
    let (signature, chain) = match made.statement {
        Statement::Packed(packed) => (packed.sig, packed.x5c),
        Statement::FidoU2f(u2f) => (u2f.sig, Some(u2f.x5c)),
        _ => (&[][..], None),
    };
    let certificate = chain.and_then(|chain: List<'_, &[u8]>| chain.iter().next());
    let response = &made.response;
    if let Some(statement) = response.att_stmt
        && let Err(error) =
            verify::attestation(&RustCrypto, response.fmt, statement, response.auth_data, &credential, hash)
        && !(certificate.is_some() && is_of_certificate(error))
    {
        return Err(broken(&error.to_string()));
    }
    let mut auth_data = vec![0; response.auth_data.len().saturating_add(9)];
    let len = cbor::encode(&response.auth_data, &mut auth_data).map_err(|error| broken(&error.to_string()))?;
    auth_data.truncate(len);
    Ok(Enrolled {
        flags,
        public_key,
        key_handle: credential_id.into(),
        signature: signature.into(),
        certificate: certificate.unwrap_or_default().into(),
        auth_data,
    })
}

/// Whether an attestation fails by its certificate, and not by its signature or by the credential.
const fn is_of_certificate(error: verify::Error) -> bool {
    matches!(error, verify::Error::Certificate | verify::Error::CertificateKey | verify::Error::Aaguid)
}
