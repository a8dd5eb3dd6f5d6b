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
/// [`Problem::Member`]: it is missing or no text, empty or blank, longer than 512 bytes, begins or ends with white space, or
/// has a character that cannot be seen.
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
    let is_seen = name.trim().len() == name.len() && !has_hidden(&name);
    if name.len() > MAX_NAME || !is_seen {
        return Err(body.flaw(member, Flaw::Value));
    }
    Ok(name)
}

/// The spelling under which an account is found.
pub fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// Whether a text has controls, or characters without a shape of their own: with them one name is shown as another. What
/// joins and varies the character before it is taken behind those that are not ASCII: Persian and emoji need it.
fn has_hidden(text: &str) -> bool {
    let before = std::iter::once('a').chain(text.chars());
    before.zip(text.chars()).any(|(before, character)| match character {
        '\u{200C}' | '\u{200D}' | '\u{FE0E}' | '\u{FE0F}' => before.is_ascii(),
        _ => is_hidden(character),
    })
}

/// Controls, Unicode's Default_Ignorable_Code_Point, separators of lines, and the empty pattern of braille.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}'
            | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}
