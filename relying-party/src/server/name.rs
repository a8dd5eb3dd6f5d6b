//! Names of accounts: text for people, of which two spellings that look the same are one.

use unicode_normalization::UnicodeNormalization;

use super::{
    members::Members,
    problem::{Flaw, Problem},
};

/// The longest name, in bytes.
const MAX_NAME: usize = 512;

/// The name in a member, composed (Unicode NFC).
///
/// # Errors
/// [`Problem::Member`]: it is missing or no text, empty or blank, longer than 512 bytes, or has a character that cannot be
/// seen.
pub fn account(body: &Members<'_>, member: &str) -> Result<String, Problem> {
    shown(body, member, body.required_text(member)?)
}

/// The name for display, which may be empty (WebAuthn L3 §5.4.3). `None` if there is none.
///
/// # Errors
/// As [`account`].
pub fn display(body: &Members<'_>, member: &str) -> Result<Option<String>, Problem> {
    match body.text(member)? {
        None => Ok(None),
        Some("") => Ok(Some(String::new())),
        Some(text) => shown(body, member, text).map(Some),
    }
}

fn shown(body: &Members<'_>, member: &str, text: &str) -> Result<String, Problem> {
    let name = composed(text);
    if name.trim().is_empty() {
        return Err(body.flaw(member, Flaw::Empty));
    }
    if name.len() > MAX_NAME || name.chars().any(is_hidden) {
        return Err(body.flaw(member, Flaw::Value));
    }
    Ok(name)
}

/// The spelling under which an account is found.
pub fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// Controls, what turns the direction of text around, and the byte order mark: with them one name is shown as another.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
        || matches!(character, '\u{200B}' | '\u{2028}' | '\u{2029}' | '\u{FEFF}')
}
