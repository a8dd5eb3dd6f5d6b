//! A sign-in: its options as the structs of Windows, and its result.

use std::ptr;

use keyfob_core::{
    cbor::{RawMap, encode},
    client::{
        Assertion, Cause, Error, GetOptions, InvalidOption,
        extensions::{GetExtensions, LargeBlobAccess, PrfInput},
        fido2::PreparedRequest,
    },
    ctap2::{CredentialDescriptor, UserEntity, encode_response, get_assertion::Response},
    extensions::{UnsignedOutputs, large_blob::UnsignedOutput},
    large_blob,
};

use crate::{
    abi::{self, BOOL, attachment, large_blob_operation, large_blob_status, version},
    call::Call,
    library::{self, failed, refused},
    make::{CRED_BLOB, check, client_data, requirement},
    memory::{self, Credentials, Hints, Secrets, extension, length, pointer, wide},
};

/// What Windows returned, copied.
pub struct Asserted {
    auth_data: Vec<u8>,
    signature: Vec<u8>,
    credential_id: Vec<u8>,
    user_id: Vec<u8>,
    /// The large blob that was read.
    large_blob: Vec<u8>,
    large_blob_status: u32,
    unsigned: Vec<u8>,
    secrets: Option<Secrets>,
    app_id_used: bool,
    /// The transport that was used.
    pub used: u32,
}

/// What the pseudo-random functions are evaluated for.
struct Salts {
    any: Option<abi::WEBAUTHN_HMAC_SECRET_SALT>,
    /// What `by_credential` points to.
    _evals: Vec<abi::WEBAUTHN_HMAC_SECRET_SALT>,
    by_credential: Vec<abi::WEBAUTHN_CRED_WITH_HMAC_SECRET_SALT>,
    /// They are salts, which are not hashed.
    raw: bool,
}

impl Salts {
    fn of(wanted: &GetExtensions<'_>, call: &Call<'_>) -> Self {
        let evaluates = wanted.prf.is_some() || !wanted.prf_by_credential.is_empty();
        let raw = wanted.hmac_get_secret.filter(|_| call.allow_hmac_secret && !evaluates);
        let raw_salts = raw
            .as_ref()
            .map(|raw| PrfInput { first: raw.salt1.as_slice(), second: raw.salt2.map(<[u8; 32]>::as_slice) });
        let evals: Vec<_> = wanted.prf_by_credential.iter().map(|input| memory::salts(input.eval)).collect();
        let with_id = |(input, eval): (keyfob_core::client::extensions::PrfOfCredential<'_>, _)| {
            abi::WEBAUTHN_CRED_WITH_HMAC_SECRET_SALT {
                cbCredID: length(input.id),
                pbCredID: pointer(input.id),
                pHmacSecretSalt: ptr::from_ref(eval),
            }
        };
        Self {
            any: wanted.prf.or(raw_salts).map(memory::salts),
            by_credential: wanted.prf_by_credential.iter().zip(&evals).map(with_id).collect(),
            _evals: evals,
            raw: raw.is_some(),
        }
    }

    /// The struct, which points into this value. `None` when nothing is evaluated.
    fn values(&self) -> Option<abi::WEBAUTHN_HMAC_SECRET_SALT_VALUES> {
        (self.any.is_some() || !self.by_credential.is_empty()).then(|| abi::WEBAUTHN_HMAC_SECRET_SALT_VALUES {
            pGlobalHmacSalt: self.any.as_ref().map_or(ptr::null(), ptr::from_ref),
            cCredWithHmacSecretSaltList: length(&self.by_credential),
            pCredWithHmacSecretSaltList: pointer(&self.by_credential),
        })
    }
}

/// What is to be done with the large blob, as far as this version of the API knows it.
fn blob_access<'o>(options: &GetOptions<'o>, api: u32) -> Result<(u32, &'o [u8]), Cause> {
    match options.extensions.large_blob {
        Some(LargeBlobAccess::Read) if api >= 5 => Ok((large_blob_operation::GET, &[])),
        Some(LargeBlobAccess::Write(_)) if options.allow_list.len() != 1 => {
            Err(Cause::InvalidOption(InvalidOption::LargeBlob))
        }
        Some(LargeBlobAccess::Write(blob)) if api >= 5 => Ok((large_blob_operation::SET, blob)),
        _ => Ok((large_blob_operation::NONE, &[])),
    }
}

/// The attachment that the hints speak of first: there is no option for it in a sign-in.
fn hinted(request: &PreparedRequest<'_>) -> u32 {
    let first = request.hints.iter().find_map(|hint| match hint.as_str() {
        "security-key" | "hybrid" => Some(attachment::CROSS_PLATFORM),
        "client-device" => Some(attachment::PLATFORM),
        _ => None,
    });
    first.unwrap_or(attachment::ANY)
}

/// Signs in.
///
/// # Errors
/// Why Windows did not, and what its version of the API cannot do.
pub fn get(request: &PreparedRequest<'_>, call: Call<'_>) -> Result<Asserted, Error> {
    let options = &request.options;
    let (operation, blob) = blob_access(options, call.library.api).map_err(refused)?;
    let salts = Salts::of(&options.extensions, &call);
    let values = salts.values();
    let allowed = Credentials::of(options.allow_list);
    let allowed_list = allowed.list();
    let hints = Hints::of(request.hints);
    let app_id = options.extensions.app_id.map(wide);
    let yes: BOOL = 1;
    let list: Vec<_> = (options.extensions.cred_blob && call.library.api >= 3)
        .then(|| extension(&CRED_BLOB, &yes))
        .into_iter()
        .collect();
    let mut app_id_used: BOOL = 0;
    let options = abi::WEBAUTHN_AUTHENTICATOR_GET_ASSERTION_OPTIONS {
        dwVersion: version::get_assertion_options(call.library.api),
        dwTimeoutMilliseconds: u32::try_from(options.timeout.as_millis()).unwrap_or(u32::MAX),
        CredentialList: abi::WEBAUTHN_CREDENTIALS { cCredentials: 0, pCredentials: ptr::null() },
        Extensions: memory::extensions(&list),
        dwAuthenticatorAttachment: hinted(request),
        dwUserVerificationRequirement: requirement(options.user_verification),
        dwFlags: if salts.raw { abi::WEBAUTHN_AUTHENTICATOR_HMAC_SECRET_VALUES_FLAG } else { 0 },
        pwszU2fAppId: app_id.as_ref().map_or(ptr::null(), |app_id| app_id.as_ptr()),
        pbU2fAppId: if app_id.is_some() { &mut app_id_used } else { ptr::null_mut() },
        pCancellationId: &call.cancellation,
        pAllowCredentialList: &allowed_list,
        dwCredLargeBlobOperation: operation,
        cbCredLargeBlob: length(blob),
        pbCredLargeBlob: pointer(blob),
        pHmacSecretSaltValues: values.as_ref().map_or(ptr::null(), ptr::from_ref),
        bBrowserInPrivateMode: 0,
        pLinkedDevice: ptr::null(),
        bAutoFill: 0,
        cbJsonExt: 0,
        pbJsonExt: ptr::null(),
        cCredentialHints: length(&hints.pointers),
        ppwszCredentialHints: pointer(&hints.pointers),
        pwszRemoteWebOrigin: ptr::null(),
        cbPublicKeyCredentialRequestOptionsJSON: 0,
        pbPublicKeyCredentialRequestOptionsJSON: ptr::null(),
        cbAuthenticatorId: 0,
        pbAuthenticatorId: ptr::null(),
    };
    let mut asserted = ask(request, &options, call)?;
    asserted.app_id_used = app_id_used != 0;
    Ok(asserted)
}

/// The other structs, and the call.
fn ask(
    request: &PreparedRequest<'_>,
    options: &abi::WEBAUTHN_AUTHENTICATOR_GET_ASSERTION_OPTIONS,
    call: Call<'_>,
) -> Result<Asserted, Error> {
    let rp_id = wide(request.options.rp_id);
    let client_data = client_data(request.client_data_json);
    let mut result = ptr::null_mut();
    // SAFETY: all that the structs point to lives until the function returns.
    let code = unsafe {
        let window = ptr::with_exposed_provenance_mut(call.window);
        (call.library.get_assertion)(window, rp_id.as_ptr(), &client_data, options, &mut result)
    };
    library::succeeded(code).map_err(failed)?;
    // SAFETY: on success there is a result, which is freed once, after it was copied.
    unsafe {
        let asserted = result.as_ref().map(|result| Asserted::copied(result)).ok_or(failed(Cause::EmptyResponse));
        (call.library.free_assertion)(result);
        asserted
    }
}

impl Asserted {
    /// # Safety
    /// The pointers of `result` have their lengths, as far as its version goes.
    unsafe fn copied(result: &abi::WEBAUTHN_ASSERTION) -> Self {
        let has = |version| result.dwVersion >= version;
        // SAFETY: the caller's promise.
        unsafe {
            Self {
                auth_data: memory::copied(result.pbAuthenticatorData, result.cbAuthenticatorData),
                signature: memory::copied(result.pbSignature, result.cbSignature),
                credential_id: memory::copied(result.Credential.pbId, result.Credential.cbId),
                user_id: memory::copied(result.pbUserId, result.cbUserId),
                large_blob: match has(2) {
                    true => memory::copied(result.pbCredLargeBlob, result.cbCredLargeBlob),
                    false => Vec::new(),
                },
                large_blob_status: if has(2) { result.dwCredLargeBlobStatus } else { large_blob_status::NONE },
                unsigned: match has(5) {
                    true => memory::copied(result.pbUnsignedExtensionOutputs, result.cbUnsignedExtensionOutputs),
                    false => Vec::new(),
                },
                secrets: if has(3) { Secrets::copied(result.pHmacSecret) } else { None },
                app_id_used: false,
                used: if has(4) { result.dwUsedTransport } else { 0 },
            }
        }
    }

    /// The outputs that are not signed: the large blob in the form that authenticators have it in, compressed; or else
    /// those of the authenticator.
    fn unsigned_outputs(&self) -> Result<Vec<u8>, Cause> {
        if self.large_blob_status != large_blob_status::SUCCESS || self.large_blob.is_empty() {
            return Ok(self.unsigned.clone());
        }
        let mut compressed = vec![0; large_blob::bound(self.large_blob.len())];
        let len = large_blob::deflate(&self.large_blob, &mut compressed)?;
        compressed.truncate(len);
        let output = UnsignedOutput {
            blob: Some(&compressed),
            original_size: u64::try_from(self.large_blob.len()).ok(),
            ..UnsignedOutput::default()
        };
        let outputs = UnsignedOutputs { large_blob: Some(output) };
        let mut map = vec![0; compressed.len().saturating_add(64)];
        let len = encode(&outputs, &mut map)?;
        map.truncate(len);
        Ok(map)
    }

    /// The assertion, in `buffer`, with the results of the extensions that `asked` has.
    ///
    /// # Errors
    /// [`Cause::BufferTooSmall`], [`Cause::Decode`], and what is not as it was asked for.
    pub fn assertion<'b>(&self, asked: &GetOptions<'_>, buffer: &'b mut [u8]) -> Result<Assertion<'b>, Cause> {
        let unsigned = self.unsigned_outputs()?;
        let user = UserEntity { id: &self.user_id, name: None, display_name: None };
        let response = Response {
            credential: Some(CredentialDescriptor::new(&self.credential_id)),
            auth_data: &self.auth_data,
            signature: &self.signature,
            user: (!self.user_id.is_empty()).then_some(user),
            number_of_credentials: None,
            user_selected: None,
            large_blob_key: None,
            unsigned_extension_outputs: (!unsigned.is_empty()).then_some(RawMap(&unsigned)),
        };
        let len = encode_response(&response, buffer)?;
        let (response, rest) = buffer.split_at_mut_checked(len).ok_or(Cause::BufferTooSmall { needed: len })?;
        let mut assertion = Assertion::read(response)?;
        self.check(&assertion, asked)?;
        let results = &mut assertion.extensions;
        if let Some(secrets) = &self.secrets {
            let outputs = secrets.put(rest);
            let outputs = outputs.map_err(|more| Cause::BufferTooSmall { needed: len.saturating_add(more) })?;
            results.hmac_outputs = Some(outputs);
        }
        results.app_id = asked.extensions.app_id.map(|_| self.app_id_used);
        if let Some(LargeBlobAccess::Write(_)) = asked.extensions.large_blob {
            results.large_blob_written = Some(self.large_blob_status == large_blob_status::SUCCESS);
        }
        Ok(assertion)
    }

    /// Whether the assertion is what was asked for (WebAuthn L3 §7.2).
    fn check(&self, assertion: &Assertion<'_>, asked: &GetOptions<'_>) -> Result<(), Cause> {
        let app_id = asked.extensions.app_id.filter(|_| self.app_id_used);
        check(&assertion.auth_data, app_id.unwrap_or(asked.rp_id), asked.user_verification)?;
        if assertion.auth_data.attested_credential_data.is_some() {
            return Err(Cause::AttestedCredentialDataUnexpected);
        }
        let mut allowed = asked.allow_list.iter();
        if !asked.allow_list.is_empty() && !allowed.any(|allowed| allowed.id == assertion.credential_id) {
            return Err(Cause::CredentialNotAllowed);
        }
        Ok(())
    }
}
