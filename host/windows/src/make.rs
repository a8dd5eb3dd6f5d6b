//! A registration: its options as the structs of Windows, and its result.

use std::ptr;

use keyfob_core::{
    attestation::RawStatement,
    auth_data::{AuthData, Flags},
    cbor::RawMap,
    client::{
        Attestation, Cause, Conveyance, Error, InvalidOption, MakeOptions, Requirement,
        extensions::{LargeBlobSupport, MakeExtensions, PrfInput},
        fido2::PreparedCreation,
    },
    cose::Algorithm,
    crypto::{Hash, RustCrypto},
    ctap2::{PUBLIC_KEY, encode_response, make_credential::Response},
    extensions::cred_protect::Level,
    webauthn::Attachment,
};

use crate::{
    abi::{self, BOOL, attachment, conveyance, large_blob_support, user_verification, version},
    call::Call,
    library::{self, failed, refused},
    memory::{self, Credentials, Hints, Secrets, ascii, extension, flag, length, pointer, wide},
};

static HMAC_SECRET: [u16; 12] = ascii("hmac-secret");
static CRED_PROTECT: [u16; 12] = ascii("credProtect");
pub static CRED_BLOB: [u16; 9] = ascii("credBlob");
static MIN_PIN_LENGTH: [u16; 13] = ascii("minPinLength");
static SHA_256: [u16; 8] = ascii("SHA-256");

/// What Windows returned, copied.
pub struct Created {
    format: String,
    auth_data: Vec<u8>,
    statement: Vec<u8>,
    unsigned: Vec<u8>,
    enterprise: Option<bool>,
    large_blob: Option<bool>,
    resident_key: Option<bool>,
    prf: Option<bool>,
    secrets: Option<Secrets>,
    /// The transport that was used.
    pub used: u32,
    /// All transports of the authenticator, as far as they are known.
    pub transports: u32,
}

/// What extensions are given, where the structs of Windows can point to it.
struct Inputs {
    yes: BOOL,
    hmac_secret: bool,
    prf: bool,
    salts: Option<abi::WEBAUTHN_HMAC_SECRET_SALT>,
    raw: bool,
    protection: Option<abi::WEBAUTHN_CRED_PROTECT_EXTENSION_IN>,
    blob: Option<abi::WEBAUTHN_CRED_BLOB_EXTENSION>,
    min_pin_length: bool,
}

impl Inputs {
    /// The inputs that this version of the API knows.
    ///
    /// # Errors
    /// [`Cause::CredProtectUnsupported`].
    fn of(wanted: &MakeExtensions<'_>, call: &Call<'_>) -> Result<Self, Cause> {
        let api = call.library.api;
        let raw = wanted.hmac_get_secret.filter(|_| call.allow_hmac_secret && wanted.prf.is_none());
        let raw_salts = raw
            .as_ref()
            .map(|raw| PrfInput { first: raw.salt1.as_slice(), second: raw.salt2.map(<[u8; 32]>::as_slice) });
        let create = call.allow_hmac_secret && (wanted.hmac_create_secret || wanted.hmac_get_secret.is_some());
        let protection = wanted.cred_protect.filter(|_| api >= 2);
        if protection.is_none()
            && wanted
                .cred_protect
                .is_some_and(|wanted| wanted.enforce && wanted.level > Level::USER_VERIFICATION_OPTIONAL)
        {
            return Err(Cause::CredProtectUnsupported);
        }
        Ok(Self {
            yes: 1,
            hmac_secret: create || (wanted.prf.is_some() && api < 6),
            prf: wanted.prf.is_some(),
            salts: wanted.prf.flatten().or(raw_salts).filter(|_| api >= 8).map(memory::salts),
            raw: raw.is_some(),
            protection: protection.map(|protection| abi::WEBAUTHN_CRED_PROTECT_EXTENSION_IN {
                dwCredProtect: protection.level.0,
                bRequireCredProtect: protection.enforce.into(),
            }),
            blob: wanted
                .cred_blob
                .filter(|_| api >= 3)
                .map(|blob| abi::WEBAUTHN_CRED_BLOB_EXTENSION { cbCredBlob: length(blob), pbCredBlob: pointer(blob) }),
            min_pin_length: wanted.min_pin_length && api >= 3,
        })
    }

    /// Structs that point into this value.
    fn list(&self) -> Vec<abi::WEBAUTHN_EXTENSION> {
        let flag = |wanted: bool, identifier| wanted.then(|| extension(identifier, &self.yes));
        [
            flag(self.hmac_secret, HMAC_SECRET.as_slice()),
            self.protection.as_ref().map(|protection| extension(&CRED_PROTECT, protection)),
            self.blob.as_ref().map(|blob| extension(&CRED_BLOB, blob)),
            flag(self.min_pin_length, MIN_PIN_LENGTH.as_slice()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Whether the credential is to be discoverable, and to have a large blob, as Windows takes it: a large blob only with a
/// credential that has to be discoverable.
struct Residence {
    required: bool,
    preferred: bool,
    large_blob: u32,
}

impl Residence {
    /// # Errors
    /// [`Cause::LargeBlobUnsupported`].
    fn of(options: &MakeOptions<'_>, api: u32) -> Result<Self, Cause> {
        let wanted = options.resident_key;
        let plain = Self {
            required: wanted == Requirement::Required,
            preferred: wanted == Requirement::Preferred,
            large_blob: large_blob_support::NONE,
        };
        match options.extensions.large_blob {
            Some(LargeBlobSupport::Required) if api < 5 || wanted == Requirement::Discouraged => {
                Err(Cause::LargeBlobUnsupported)
            }
            Some(LargeBlobSupport::Required) => {
                Ok(Self { required: true, preferred: false, large_blob: large_blob_support::REQUIRED })
            }
            Some(LargeBlobSupport::Preferred) if api >= 5 && plain.required => {
                Ok(Self { large_blob: large_blob_support::PREFERRED, ..plain })
            }
            _ => Ok(plain),
        }
    }
}

/// The number of a requirement of user verification.
pub const fn requirement(wanted: Requirement) -> u32 {
    match wanted {
        Requirement::Required => user_verification::REQUIRED,
        Requirement::Preferred => user_verification::PREFERRED,
        Requirement::Discouraged => user_verification::DISCOURAGED,
    }
}

/// Registers.
///
/// # Errors
/// Why Windows did not, and what its version of the API cannot do.
pub fn make(creation: &PreparedCreation<'_>, call: Call<'_>) -> Result<Created, Error> {
    let PreparedCreation { options, .. } = creation;
    let inputs = Inputs::of(&options.extensions, &call).map_err(refused)?;
    let residence = Residence::of(options, call.library.api).map_err(refused)?;
    let list = inputs.list();
    let excluded = Credentials::of(options.exclude_list);
    let excluded_list = excluded.list();
    let hints = Hints::of(creation.hints);
    let options = abi::WEBAUTHN_AUTHENTICATOR_MAKE_CREDENTIAL_OPTIONS {
        dwVersion: version::make_credential_options(call.library.api),
        dwTimeoutMilliseconds: u32::try_from(options.timeout.as_millis()).unwrap_or(u32::MAX),
        CredentialList: abi::WEBAUTHN_CREDENTIALS { cCredentials: 0, pCredentials: ptr::null() },
        Extensions: memory::extensions(&list),
        dwAuthenticatorAttachment: match creation.attachment {
            Some(Attachment::Platform) => attachment::PLATFORM,
            Some(Attachment::CrossPlatform) => attachment::CROSS_PLATFORM,
            _ => attachment::ANY,
        },
        bRequireResidentKey: residence.required.into(),
        dwUserVerificationRequirement: requirement(options.user_verification),
        dwAttestationConveyancePreference: match options.attestation {
            Conveyance::None => conveyance::NONE,
            Conveyance::Indirect => conveyance::INDIRECT,
            _ => conveyance::DIRECT,
        },
        dwFlags: if inputs.raw { abi::WEBAUTHN_AUTHENTICATOR_HMAC_SECRET_VALUES_FLAG } else { 0 },
        pCancellationId: &call.cancellation,
        pExcludeCredentialList: &excluded_list,
        dwEnterpriseAttestation: options.enterprise_attestation.unwrap_or(0),
        dwLargeBlobSupport: residence.large_blob,
        bPreferResidentKey: residence.preferred.into(),
        bBrowserInPrivateMode: 0,
        bEnablePrf: inputs.prf.into(),
        pLinkedDevice: ptr::null(),
        cbJsonExt: 0,
        pbJsonExt: ptr::null(),
        pPRFGlobalEval: inputs.salts.as_ref().map_or(ptr::null(), ptr::from_ref),
        cCredentialHints: length(&hints.pointers),
        ppwszCredentialHints: pointer(&hints.pointers),
        bThirdPartyPayment: options.extensions.payment.into(),
        pwszRemoteWebOrigin: ptr::null(),
        cbPublicKeyCredentialCreationOptionsJSON: 0,
        pbPublicKeyCredentialCreationOptionsJSON: ptr::null(),
        cbAuthenticatorId: 0,
        pbAuthenticatorId: ptr::null(),
    };
    request(creation, &options, call)
}

/// The other structs, and the call.
fn request(
    creation: &PreparedCreation<'_>,
    options: &abi::WEBAUTHN_AUTHENTICATOR_MAKE_CREDENTIAL_OPTIONS,
    call: Call<'_>,
) -> Result<Created, Error> {
    let MakeOptions { rp, user, pub_key_cred_params, .. } = &creation.options;
    let (rp_id, rp_name) = (wide(rp.id), wide(rp.name.unwrap_or(rp.id)));
    let rp = abi::WEBAUTHN_RP_ENTITY_INFORMATION {
        dwVersion: 1,
        pwszId: rp_id.as_ptr(),
        pwszName: rp_name.as_ptr(),
        pwszIcon: ptr::null(),
    };
    if !(1..=64).contains(&user.id.len()) {
        return Err(refused(Cause::InvalidOption(InvalidOption::UserId)));
    }
    let (name, display_name) = (wide(user.name.unwrap_or_default()), wide(user.display_name.unwrap_or_default()));
    let user = abi::WEBAUTHN_USER_ENTITY_INFORMATION {
        dwVersion: 1,
        cbId: length(user.id),
        pbId: pointer(user.id),
        pwszName: name.as_ptr(),
        pwszIcon: ptr::null(),
        pwszDisplayName: display_name.as_ptr(),
    };
    let algorithms: Vec<_> = pub_key_cred_params
        .iter()
        .filter(|parameters| parameters.kind == PUBLIC_KEY && parameters.algorithm != Algorithm::RESERVED)
        .map(|parameters| abi::WEBAUTHN_COSE_CREDENTIAL_PARAMETER {
            dwVersion: 1,
            pwszCredentialType: memory::PUBLIC_KEY.as_ptr(),
            lAlg: parameters.algorithm.0,
        })
        .collect();
    if algorithms.is_empty() {
        return Err(refused(Cause::InvalidOption(InvalidOption::Algorithms)));
    }
    let parameters = abi::WEBAUTHN_COSE_CREDENTIAL_PARAMETERS {
        cCredentialParameters: length(&algorithms),
        pCredentialParameters: pointer(&algorithms),
    };
    let client_data = client_data(creation.client_data_json);
    let mut result = ptr::null_mut();
    // SAFETY: all that the structs point to lives until the function returns.
    let code = unsafe {
        let window = ptr::with_exposed_provenance_mut(call.window);
        (call.library.make_credential)(window, &rp, &user, &parameters, &client_data, options, &mut result)
    };
    library::succeeded(code).map_err(failed)?;
    // SAFETY: on success there is a result, which is freed once, after it was copied.
    unsafe {
        let created = result.as_ref().map(|result| Created::copied(result)).ok_or(failed(Cause::EmptyResponse));
        (call.library.free_attestation)(result);
        created
    }
}

/// The client data, which outlive the struct.
pub fn client_data(json: &[u8]) -> abi::WEBAUTHN_CLIENT_DATA {
    abi::WEBAUTHN_CLIENT_DATA {
        dwVersion: 1,
        cbClientDataJSON: length(json),
        pbClientDataJSON: pointer(json),
        pwszHashAlgId: SHA_256.as_ptr(),
    }
}

impl Created {
    /// # Safety
    /// The pointers of `result` have their lengths, as far as its version goes.
    unsafe fn copied(result: &abi::WEBAUTHN_CREDENTIAL_ATTESTATION) -> Self {
        let has = |version| result.dwVersion >= version;
        // SAFETY: the caller's promise.
        unsafe {
            Self {
                format: memory::text(result.pwszFormatType).unwrap_or_default(),
                auth_data: memory::copied(result.pbAuthenticatorData, result.cbAuthenticatorData),
                statement: memory::copied(result.pbAttestation, result.cbAttestation),
                unsigned: match has(6) {
                    true => memory::copied(result.pbUnsignedExtensionOutputs, result.cbUnsignedExtensionOutputs),
                    false => Vec::new(),
                },
                enterprise: flag(has(4), result.bEpAtt),
                large_blob: flag(has(4), result.bLargeBlobSupported),
                resident_key: flag(has(4), result.bResidentKey),
                prf: flag(has(5), result.bPrfEnabled),
                secrets: if has(7) { Secrets::copied(result.pHmacSecret) } else { None },
                used: if has(3) { result.dwUsedTransport } else { 0 },
                transports: if has(8) { result.dwTransports } else { 0 },
            }
        }
    }

    /// The attestation, in `buffer`, with the results of the extensions that `asked` has.
    ///
    /// # Errors
    /// [`Cause::BufferTooSmall`], [`Cause::Decode`], and what is not as it was asked for.
    pub fn attestation<'b>(&self, asked: &MakeOptions<'_>, buffer: &'b mut [u8]) -> Result<Attestation<'b>, Cause> {
        let response = Response {
            fmt: &self.format,
            auth_data: &self.auth_data,
            att_stmt: Some(if self.statement.is_empty() { RawStatement::EMPTY } else { RawStatement(&self.statement) }),
            ep_att: self.enterprise.filter(|given| *given),
            large_blob_key: None,
            unsigned_extension_outputs: (!self.unsigned.is_empty()).then_some(RawMap(&self.unsigned)),
        };
        let len = encode_response(&response, buffer)?;
        let (response, rest) = buffer.split_at_mut_checked(len).ok_or(Cause::BufferTooSmall { needed: len })?;
        let mut attestation = Attestation::read(response)?;
        check_created(&attestation, asked)?;
        let results = &mut attestation.extensions;
        if let Some(secrets) = &self.secrets {
            let outputs = secrets.put(rest);
            let outputs = outputs.map_err(|more| Cause::BufferTooSmall { needed: len.saturating_add(more) })?;
            results.hmac_outputs = Some(outputs);
        }
        if asked.extensions.prf.is_some() {
            results.hmac_secret = results.hmac_secret.or(self.prf);
        }
        if asked.extensions.cred_props {
            let required = (asked.resident_key == Requirement::Required).then_some(true);
            results.cred_props_rk = self.resident_key.or(required);
        }
        if asked.extensions.large_blob.is_some() {
            results.large_blob = self.large_blob;
        }
        if asked.extensions.large_blob == Some(LargeBlobSupport::Required) && results.large_blob != Some(true) {
            return Err(Cause::LargeBlobUnsupported);
        }
        Ok(attestation)
    }
}

/// Whether the credential is what was asked for (WebAuthn L3 §7.1).
fn check_created(attestation: &Attestation<'_>, asked: &MakeOptions<'_>) -> Result<(), Cause> {
    check(&attestation.auth_data, asked.rp.id, asked.user_verification)?;
    let attested = attestation.auth_data.attested_credential_data.ok_or(Cause::AttestedCredentialDataMissing)?;
    if attested.credential_id.is_empty() {
        return Err(Cause::InvalidCredentialId);
    }
    let algorithm = attested.public_key.algorithm();
    if !asked.pub_key_cred_params.iter().any(|asked| asked.algorithm == algorithm) {
        return Err(Cause::AlgorithmMismatch);
    }
    match asked.extensions.cred_protect {
        Some(wanted)
            if wanted.enforce && attestation.extensions.cred_protect.is_none_or(|level| level < wanted.level) =>
        {
            Err(Cause::CredProtectUnsupported)
        }
        _ => Ok(()),
    }
}

/// What both ceremonies check: the relying party, and that the user was there, and was verified if that is required.
pub fn check(auth_data: &AuthData<'_>, rp_id: &str, verification: Requirement) -> Result<(), Cause> {
    if *auth_data.rp_id_hash != RustCrypto.sha256(&[rp_id.as_bytes()]) {
        return Err(Cause::RpIdHashMismatch);
    }
    if !auth_data.flags.has(Flags::UP) {
        return Err(Cause::UserNotPresent);
    }
    if verification == Requirement::Required && !auth_data.flags.has(Flags::UV) {
        return Err(Cause::UserNotVerified);
    }
    Ok(())
}
