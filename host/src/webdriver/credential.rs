//! Credential Parameters (WebAuthn L3 §11.5), read and shown.

use keyfob_soft_authenticator::testing::{Control, CredentialProperties, HeldCredential, TestCredential};
use serde_json::{Value, json};

use super::{
    configuration::Configuration,
    parameters::{Parameters, encode, required},
    problem::Problem,
};

/// Add Credential, from its second step on.
///
/// # Errors
/// invalid argument, as the steps say.
pub fn add(control: &Control, configuration: &Configuration, parameters: &Parameters) -> Result<(), Problem> {
    let id = required("credentialId", parameters.bytes("credentialId")?)?;
    let is_resident = required("isResidentCredential", parameters.boolean("isResidentCredential")?)?;
    let rp_id = required("rpId", parameters.text("rpId")?)?;
    if !is_domain(rp_id) {
        return Err(Problem::invalid_argument(format!("rpId is not an RP ID: {rp_id:?}")));
    }
    let private_key = required("privateKey", parameters.bytes("privateKey")?)?;
    let user_handle = parameters.bytes("userHandle")?;
    if is_resident && user_handle.is_none() {
        return Err(Problem::invalid_argument("userHandle is missing, which a resident credential has"));
    }
    if is_resident && !configuration.has_resident_key {
        return Err(Problem::invalid_argument("the authenticator has no resident credentials"));
    }
    let mut credential = TestCredential::es256(rp_id, &user_handle.unwrap_or_default())
        .credential_id(&id)
        .resident_credential(is_resident)
        .private_key(&private_key)?
        .sign_count(parameters.number("signCount")?.unwrap_or_default())
        .user_name(parameters.text("userName")?.unwrap_or_default())
        .user_display_name(parameters.text("userDisplayName")?.unwrap_or_default());
    if configuration.has_large_blob()
        && let Some(blob) = parameters.bytes("largeBlob")?
    {
        credential = credential.large_blob(&blob);
    }
    let (eligibility, state) = configuration.default_backup;
    let properties = CredentialProperties {
        backup_eligibility: Some(parameters.boolean("backupEligibility")?.unwrap_or(eligibility)),
        backup_state: Some(parameters.boolean("backupState")?.unwrap_or(state)),
        sign_count: None,
    };
    control.add(credential)?;
    // Any two values, also those that no credential of a real key has.
    control.set_credential_properties(&id, properties)?;
    Ok(())
}

/// A credential as Get Credentials returns it.
///
/// # Errors
/// It is gone.
pub fn show(control: &Control, held: &HeldCredential) -> Result<Value, Problem> {
    let id = &held.credential_id;
    let mut shown = json!({
        "credentialId": encode(id),
        "isResidentCredential": held.is_resident_credential,
        "rpId": held.rp_id,
        "privateKey": encode(&control.private_key(id)?),
        "signCount": held.sign_count,
        "backupEligibility": held.backup_eligibility,
        "backupState": held.backup_state,
        "userName": held.user_name.as_deref().unwrap_or_default(),
        "userDisplayName": held.user_display_name.as_deref().unwrap_or_default(),
    });
    if let Some(handle) = &held.user_handle {
        shown["userHandle"] = encode(handle).into();
    }
    if let Some(blob) = control.large_blob(id) {
        shown["largeBlob"] = encode(&blob).into();
    }
    Ok(shown)
}

/// Set Credential Properties. `signCount` is an addition that is proposed for the standard.
///
/// # Errors
/// invalid argument.
pub fn set_properties(control: &Control, id: &[u8], parameters: &Parameters) -> Result<(), Problem> {
    let properties = CredentialProperties {
        backup_eligibility: parameters.boolean("backupEligibility")?,
        backup_state: parameters.boolean("backupState")?,
        sign_count: parameters.number("signCount")?,
    };
    Ok(control.set_credential_properties(id, properties)?)
}

/// Whether it is a domain as hosts of URLs are written.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    };
    // An IP address ends with a number.
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 253 && text.split('.').all(is_label) && !text.rsplit('.').next().is_none_or(is_number)
}
