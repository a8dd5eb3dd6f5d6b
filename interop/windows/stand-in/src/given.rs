//! What the client gives, read and checked. A member is read only if the struct's version has it.

use std::{fmt::Write as _, slice};

use keyfob_windows::abi::*;

use crate::{Refusal, orders};

type Checked<T> = Result<T, String>;

/// # Safety
/// `start` points to `length` bytes, or is null.
pub unsafe fn bytes<'a>(name: &str, start: *const u8, length: u32) -> Checked<&'a [u8]> {
    // SAFETY: the caller's promise.
    unsafe { values(name, start, length) }
}

/// # Safety
/// `start` points to `count` values, or is null.
unsafe fn values<'a, T>(name: &str, start: *const T, count: u32) -> Checked<&'a [T]> {
    match (start.is_null(), count) {
        (true, 0) => Ok(&[]),
        (false, 1..) if start.is_aligned() => {
            // SAFETY: the caller's promise.
            Ok(unsafe { slice::from_raw_parts(start, count as usize) })
        }
        (true, _) => Err(format!("{name} has a length and no pointer")),
        _ => Err(format!("{name} has a pointer and no length, or one that is not aligned")),
    }
}

/// # Safety
/// It points to a value, or is null.
unsafe fn there<'a, T>(name: &str, value: *const T) -> Checked<&'a T> {
    // SAFETY: the caller's promise.
    unsafe { value.as_ref() }.ok_or_else(|| format!("{name} is null"))
}

/// # Safety
/// It has a zero at its end, or is null.
unsafe fn text(name: &str, text: PCWSTR) -> Checked<String> {
    if text.is_null() {
        return Err(format!("{name} is null"));
    }
    // SAFETY: the caller's promise.
    let units = (0..).map(|index| unsafe { text.add(index).read() }).take_while(|unit| *unit != 0);
    char::decode_utf16(units).collect::<Result<_, _>>().map_err(|_| format!("{name} is not UTF-16"))
}

fn expect<T: PartialEq + std::fmt::Debug>(name: &str, value: T, expected: T) -> Checked<()> {
    if value == expected { Ok(()) } else { Err(format!("{name} is {value:?}, not {expected:?}")) }
}

fn flag(name: &str, value: BOOL) -> Checked<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(format!("{name} is {other}")),
    }
}

fn up_to(name: &str, value: u32, most: u32) -> Checked<u32> {
    if value <= most { Ok(value) } else { Err(format!("{name} is {value}")) }
}

/// A credential with its transports.
pub struct Credential {
    pub id: Vec<u8>,
    pub transports: u32,
}

/// # Safety
/// The list is whole, or null.
unsafe fn credentials(name: &str, list: *const WEBAUTHN_CREDENTIAL_LIST) -> Checked<Vec<Credential>> {
    let mut found = Vec::new();
    // SAFETY: the caller's promise.
    unsafe {
        let list = there(name, list)?;
        for entry in values(name, list.ppCredentials, list.cCredentials)? {
            let entry = there(name, *entry)?;
            expect("the version of a WEBAUTHN_CREDENTIAL_EX", entry.dwVersion, 1)?;
            expect("the type of a credential", text(name, entry.pwszCredentialType)?.as_str(), "public-key")?;
            if entry.dwTransports & !0x7F != 0 {
                return Err(format!("the transports {:02X} are not known", entry.dwTransports));
            }
            let id = bytes("the id of a credential", entry.pbId, entry.cbId)?.to_vec();
            found.push(Credential { id, transports: entry.dwTransports });
        }
    }
    Ok(found)
}

/// Inputs of a pseudo-random function.
#[derive(Clone)]
pub struct Salts {
    pub first: Vec<u8>,
    pub second: Option<Vec<u8>>,
}

/// # Safety
/// It is whole, or null.
unsafe fn salts(input: *const WEBAUTHN_HMAC_SECRET_SALT, raw: bool) -> Checked<Option<Salts>> {
    // SAFETY: the caller's promise.
    unsafe {
        let Some(input) = input.as_ref() else { return Ok(None) };
        let first = bytes("the first input of prf", input.pbFirst, input.cbFirst)?.to_vec();
        let second = bytes("the second input of prf", input.pbSecond, input.cbSecond)?.to_vec();
        if raw && (first.len() != 32 || !matches!(second.len(), 0 | 32)) {
            return Err("a salt does not have 32 bytes".to_owned());
        }
        Ok(Some(Salts { first, second: (!second.is_empty()).then_some(second) }))
    }
}

/// # Safety
/// The strings are whole.
unsafe fn hints(start: *const PCWSTR, count: u32) -> Checked<String> {
    // SAFETY: the caller's promise.
    unsafe {
        let hints = values("the hints", start, count)?;
        let hints: Checked<Vec<String>> = hints.iter().map(|hint| text("a hint", *hint)).collect();
        Ok(hints?.join(","))
    }
}

/// # Safety
/// It is whole, or null.
unsafe fn client_data<'a>(client_data: *const WEBAUTHN_CLIENT_DATA) -> Checked<&'a [u8]> {
    // SAFETY: the caller's promise.
    unsafe {
        let client_data = there("the client data", client_data)?;
        expect("the version of WEBAUTHN_CLIENT_DATA", client_data.dwVersion, 1)?;
        expect("the hash", text("the hash", client_data.pwszHashAlgId)?.as_str(), "SHA-256")?;
        bytes("the client data", client_data.pbClientDataJSON, client_data.cbClientDataJSON)
    }
}

/// # Safety
/// It is whole, or null.
unsafe fn cancellation(id: *const GUID) -> Checked<GUID> {
    // SAFETY: the caller's promise.
    let id = unsafe { there("the cancellation id", id)? };
    if orders::is_known(id) { Ok(*id) } else { Err("the cancellation id was never given out".to_owned()) }
}

/// # Safety
/// `T` is the type of the value.
unsafe fn value<T: Copy>(extension: &WEBAUTHN_EXTENSION) -> Checked<T> {
    expect("the length of an extension", extension.cbExtension as usize, size_of::<T>())?;
    // SAFETY: the caller's promise, and the length is right.
    unsafe { there("an extension", extension.pvExtension.cast::<T>()).copied() }
}

/// What the extensions of a ceremony ask for.
#[derive(Default)]
pub struct Extensions {
    pub hmac_secret: bool,
    pub protection: Option<(u32, bool)>,
    pub cred_blob: Option<Vec<u8>>,
    pub get_cred_blob: bool,
    pub min_pin_length: bool,
}

/// # Safety
/// They are whole.
unsafe fn extensions(api: u32, given: &WEBAUTHN_EXTENSIONS, registers: bool) -> Checked<Extensions> {
    let mut found = Extensions::default();
    // SAFETY: the caller's promise.
    unsafe {
        for extension in values("the extensions", given.pExtensions, given.cExtensions)? {
            let identifier = text("an extension", extension.pwszExtensionIdentifier)?;
            match (identifier.as_str(), registers) {
                ("hmac-secret", true) => found.hmac_secret = flag("hmac-secret", value(extension)?)?,
                ("minPinLength", true) if api >= 3 => found.min_pin_length = flag("minPinLength", value(extension)?)?,
                ("credProtect", true) if api >= 2 => {
                    let input: WEBAUTHN_CRED_PROTECT_EXTENSION_IN = value(extension)?;
                    let enforce = flag("bRequireCredProtect", input.bRequireCredProtect)?;
                    found.protection = Some((up_to("dwCredProtect", input.dwCredProtect, 3)?, enforce));
                }
                ("credBlob", true) if api >= 3 => {
                    let input: WEBAUTHN_CRED_BLOB_EXTENSION = value(extension)?;
                    found.cred_blob = Some(bytes("credBlob", input.pbCredBlob, input.cbCredBlob)?.to_vec());
                }
                ("credBlob", false) if api >= 3 => found.get_cred_blob = flag("credBlob", value(extension)?)?,
                _ => return Err(format!("the extension {identifier} is not in version {api}")),
            }
        }
    }
    Ok(found)
}

/// A registration.
pub struct Registration {
    pub seen: String,
    pub rp: (String, String),
    pub user: (Vec<u8>, String, String),
    pub algorithms: Vec<i32>,
    pub client_data: Vec<u8>,
    pub timeout: u32,
    pub attachment: u32,
    pub require_resident: bool,
    pub prefer_resident: bool,
    pub verification: u32,
    pub conveyance: u32,
    pub cancellation: GUID,
    pub excluded: Vec<Credential>,
    pub enterprise: u32,
    pub large_blob: u32,
    pub prf: bool,
    pub raw: bool,
    pub eval: Option<Salts>,
    pub payment: bool,
    pub extensions: Extensions,
}

impl Registration {
    /// # Safety
    /// The structs are whole, or null.
    pub unsafe fn read(
        api: u32,
        rp: *const WEBAUTHN_RP_ENTITY_INFORMATION,
        user: *const WEBAUTHN_USER_ENTITY_INFORMATION,
        parameters: *const WEBAUTHN_COSE_CREDENTIAL_PARAMETERS,
        client: *const WEBAUTHN_CLIENT_DATA,
        options: *const WEBAUTHN_AUTHENTICATOR_MAKE_CREDENTIAL_OPTIONS,
    ) -> Result<Self, Refusal> {
        // SAFETY: the caller's promise.
        unsafe {
            let (rp, user, o) = (there("the RP", rp)?, there("the user", user)?, there("the options", options)?);
            expect("the version of the RP", rp.dwVersion, 1)?;
            expect("the version of the user", user.dwVersion, 1)?;
            expect("the version of the options", o.dwVersion, version::make_credential_options(api))?;
            expect("CredentialList", o.CredentialList.cCredentials, 0)?;
            let has = |version| o.dwVersion >= version;
            let raw = has(8) && o.dwFlags == WEBAUTHN_AUTHENTICATOR_HMAC_SECRET_VALUES_FLAG;
            let require_resident = flag("bRequireResidentKey", o.bRequireResidentKey)?;
            let large_blob = if has(4) { up_to("dwLargeBlobSupport", o.dwLargeBlobSupport, 2)? } else { 0 };
            if large_blob != 0 && (!require_resident || api < 5) {
                return Err("a large blob without a credential that has to be discoverable, or before API 5"
                    .to_owned()
                    .into());
            }
            let hints = if has(8) { hints(o.ppwszCredentialHints, o.cCredentialHints)? } else { String::new() };
            let mut given = Self {
                seen: String::new(),
                rp: (text("the RP ID", rp.pwszId)?, text("the RP's name", rp.pwszName)?),
                user: (
                    bytes("the user's id", user.pbId, user.cbId)?.to_vec(),
                    text("the user's name", user.pwszName)?,
                    text("the user's display name", user.pwszDisplayName)?,
                ),
                algorithms: algorithms(parameters)?,
                client_data: client_data(client)?.to_vec(),
                timeout: o.dwTimeoutMilliseconds,
                attachment: up_to("the attachment", o.dwAuthenticatorAttachment, 2)?,
                require_resident,
                prefer_resident: has(4) && flag("bPreferResidentKey", o.bPreferResidentKey)?,
                verification: up_to("the verification", o.dwUserVerificationRequirement, 3)?,
                conveyance: up_to("the conveyance", o.dwAttestationConveyancePreference, 3)?,
                cancellation: cancellation(o.pCancellationId)?,
                excluded: credentials("the exclude list", o.pExcludeCredentialList)?,
                enterprise: if has(4) { up_to("dwEnterpriseAttestation", o.dwEnterpriseAttestation, 2)? } else { 0 },
                large_blob,
                prf: has(6) && flag("bEnablePrf", o.bEnablePrf)?,
                raw,
                eval: if has(8) { salts(o.pPRFGlobalEval, raw)? } else { None },
                payment: has(8) && flag("bThirdPartyPayment", o.bThirdPartyPayment)?,
                extensions: extensions(api, &o.Extensions, true)?,
            };
            given.seen = given.said(&hints);
            Ok(given)
        }
    }

    fn said(&self, hints: &str) -> String {
        let mut said = format!(
            "create rp={} name={} display={} timeout={} attachment={} uv={} conveyance={} rk={} prefer={} blob={} hints={hints}",
            self.rp.1,
            self.user.1,
            self.user.2,
            self.timeout,
            self.attachment,
            self.verification,
            self.conveyance,
            u8::from(self.require_resident),
            u8::from(self.prefer_resident),
            self.large_blob,
        );
        let _ = write!(
            said,
            " enterprise={} prf={} raw={} payment={}",
            self.enterprise,
            u8::from(self.prf),
            u8::from(self.raw),
            u8::from(self.payment)
        );
        let _ = write!(said, " min={}", u8::from(self.extensions.min_pin_length));
        let _ = write!(said, " transports={}", transports(&self.excluded));
        said
    }
}

fn transports(credentials: &[Credential]) -> String {
    credentials.iter().map(|credential| format!("{:02x}", credential.transports)).collect::<Vec<_>>().join(",")
}

/// # Safety
/// They are whole, or null.
unsafe fn algorithms(parameters: *const WEBAUTHN_COSE_CREDENTIAL_PARAMETERS) -> Checked<Vec<i32>> {
    // SAFETY: the caller's promise.
    unsafe {
        let parameters = there("the algorithms", parameters)?;
        let read = |parameter: &WEBAUTHN_COSE_CREDENTIAL_PARAMETER| {
            expect("the version of an algorithm", parameter.dwVersion, 1)?;
            expect("the type of an algorithm", text("the type", parameter.pwszCredentialType)?.as_str(), "public-key")?;
            Ok(parameter.lAlg)
        };
        values("the algorithms", parameters.pCredentialParameters, parameters.cCredentialParameters)?
            .iter()
            .map(read)
            .collect()
    }
}

/// A sign-in.
pub struct SignIn {
    pub seen: String,
    pub rp_id: String,
    pub client_data: Vec<u8>,
    pub timeout: u32,
    pub verification: u32,
    pub app_id: Option<String>,
    pub app_id_used: *mut BOOL,
    pub cancellation: GUID,
    pub allowed: Vec<Credential>,
    pub blob_operation: u32,
    pub blob: Vec<u8>,
    pub raw: bool,
    pub eval: Option<Salts>,
    pub by_credential: Vec<(Vec<u8>, Salts)>,
    pub extensions: Extensions,
}

impl SignIn {
    /// # Safety
    /// The structs are whole, or null.
    pub unsafe fn read(
        api: u32,
        rp_id: PCWSTR,
        client: *const WEBAUTHN_CLIENT_DATA,
        options: *const WEBAUTHN_AUTHENTICATOR_GET_ASSERTION_OPTIONS,
    ) -> Result<Self, Refusal> {
        // SAFETY: the caller's promise.
        unsafe {
            let o = there("the options", options)?;
            expect("the version of the options", o.dwVersion, version::get_assertion_options(api))?;
            expect("CredentialList", o.CredentialList.cCredentials, 0)?;
            let has = |version| o.dwVersion >= version;
            let raw = has(6) && o.dwFlags == WEBAUTHN_AUTHENTICATOR_HMAC_SECRET_VALUES_FLAG;
            expect("whether there is a place for the AppID", o.pwszU2fAppId.is_null(), o.pbU2fAppId.is_null())?;
            let app_id = if o.pwszU2fAppId.is_null() { None } else { Some(text("the AppID", o.pwszU2fAppId)?) };
            let (eval, by_credential) =
                if has(6) { salt_values(o.pHmacSecretSaltValues, raw)? } else { (None, Vec::new()) };
            let blob_operation =
                if has(5) { up_to("the large blob's operation", o.dwCredLargeBlobOperation, 2)? } else { 0 };
            expect("whether the large blob's operation is known", blob_operation != 0 && api < 5, false)?;
            let hints = if has(8) { hints(o.ppwszCredentialHints, o.cCredentialHints)? } else { String::new() };
            let mut given = Self {
                seen: String::new(),
                rp_id: text("the RP ID", rp_id)?,
                client_data: client_data(client)?.to_vec(),
                timeout: o.dwTimeoutMilliseconds,
                verification: up_to("the verification", o.dwUserVerificationRequirement, 3)?,
                app_id,
                app_id_used: o.pbU2fAppId,
                cancellation: cancellation(o.pCancellationId)?,
                allowed: credentials("the allow list", o.pAllowCredentialList)?,
                blob_operation,
                blob: if has(5) {
                    bytes("the large blob", o.pbCredLargeBlob, o.cbCredLargeBlob)?.to_vec()
                } else {
                    Vec::new()
                },
                raw,
                eval,
                by_credential,
                extensions: extensions(api, &o.Extensions, false)?,
            };
            let attachment = up_to("the attachment", o.dwAuthenticatorAttachment, 2)?;
            given.seen = format!(
                "get rp={} timeout={} attachment={attachment} uv={} blob={blob_operation} hints={hints} raw={} transports={}",
                given.rp_id,
                given.timeout,
                given.verification,
                u8::from(raw),
                transports(&given.allowed),
            );
            Ok(given)
        }
    }
}

/// # Safety
/// They are whole, or null.
#[allow(clippy::type_complexity)]
unsafe fn salt_values(
    given: *const WEBAUTHN_HMAC_SECRET_SALT_VALUES,
    raw: bool,
) -> Checked<(Option<Salts>, Vec<(Vec<u8>, Salts)>)> {
    // SAFETY: the caller's promise.
    unsafe {
        let Some(given) = given.as_ref() else { return Ok((None, Vec::new())) };
        let list =
            values("the inputs by credential", given.pCredWithHmacSecretSaltList, given.cCredWithHmacSecretSaltList)?;
        let mut by_credential = Vec::new();
        for entry in list {
            let id = bytes("the credential of an input", entry.pbCredID, entry.cbCredID)?.to_vec();
            by_credential.push((id, salts(entry.pHmacSecretSalt, raw)?.ok_or("an input by credential is null")?));
        }
        Ok((salts(given.pGlobalHmacSalt, raw)?, by_credential))
    }
}

/// The RP ID of a list, if it is to be of one.
///
/// # Safety
/// The options are whole, or null.
pub unsafe fn listed_rp_id(options: *const WEBAUTHN_GET_CREDENTIALS_OPTIONS) -> Result<Option<String>, Refusal> {
    // SAFETY: the caller's promise.
    unsafe {
        let options = there("the options", options)?;
        expect("the version of the options", options.dwVersion, 1)?;
        Ok(if options.pwszRpId.is_null() { None } else { Some(text("the RP ID", options.pwszRpId)?) })
    }
}
