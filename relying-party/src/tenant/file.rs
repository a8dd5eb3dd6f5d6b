//! Relying parties from a file in TOML.

use std::{fs, path::Path};

use toml::{Table, Value};

use super::{Backup, KeyPolicy, Tenant};
use crate::server::{UserVerification, verifier};

/// The relying parties in a file, in order.
///
/// # Errors
/// A message for the user, in one line: the file cannot be read, or which member of which relying party is wrong.
pub fn read(file: &Path) -> Result<Vec<Tenant>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    tenants(&text).map_err(|why| format!("{}: {why}", file.display()))
}

fn tenants(text: &str) -> Result<Vec<Tenant>, String> {
    // A message may have a text of the file in it.
    parsed(text).map_err(|why| why.replace('\n', " "))
}

fn parsed(text: &str) -> Result<Vec<Tenant>, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        format!("line {line}: {}", error.message())
    })?;
    let mut members = Members { at: "the file".into(), table };
    let list = match members.table.remove("tenant") {
        Some(Value::Array(list)) if !list.is_empty() => list,
        _ => return Err("there is no [[tenant]]".into()),
    };
    members.end()?;
    let mut tenants: Vec<Tenant> = Vec::new();
    for (number, value) in (1..).zip(list) {
        let Value::Table(table) = value else { return Err(format!("tenant {number} is not a table")) };
        let tenant = tenant(Members { at: format!("tenant {number}"), table })?;
        if tenants.iter().any(|other| other.rp_id == tenant.rp_id) {
            return Err(format!("two tenants have the RP ID {}", tenant.rp_id));
        }
        tenants.push(tenant);
    }
    Ok(tenants)
}

fn tenant(mut members: Members) -> Result<Tenant, String> {
    let rp_id = members.text("rp-id")?.ok_or_else(|| format!("{}: rp-id is missing", members.at))?;
    let mut tenant = Tenant::new(&rp_id.to_ascii_lowercase());
    members.at = format!("tenant {rp_id}");
    if let Some(name) = members.text("name")? {
        tenant.name = name;
    }
    if let Some(origins) = members.list("origins")? {
        tenant.origins = origins;
    }
    tenant.related = members.list("related-origins")?.unwrap_or_default();
    tenant.frames = members.list("frames")?;
    tenant.policy = policy(&mut members)?;
    members.end()?;
    tenant.checked().map_err(|why| format!("{}: {why}", members.at))
}

fn policy(members: &mut Members) -> Result<KeyPolicy, String> {
    let algorithm = |name: &str| verifier::named(name).ok_or("an algorithm that is not known");
    let level = |word: &str| UserVerification::named(word).ok_or("not discouraged, preferred or required");
    let backup = |word: &str| {
        let found = Backup::WORDS.into_iter().find(|(known, _)| *known == word);
        found.map(|(_, backup)| backup).ok_or("not any, never, eligible or done")
    };
    Ok(KeyPolicy {
        algorithms: members.each("algorithms", algorithm)?,
        user_verification: members.word("user-verification", level)?,
        allowed_models: members.each("allowed-aaguids", aaguid)?,
        denied_models: members.each("denied-aaguids", aaguid)?,
        backup: members.word("backup", backup)?.unwrap_or_default(),
    })
}

/// An AAGUID in the notation of UUIDs (RFC 9562 §4).
fn aaguid(text: &str) -> Result<[u8; 16], &'static str> {
    let is_uuid = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    let digits = text.replace('-', "");
    let number = u128::from_str_radix(&digits, 16).ok().filter(|_| is_uuid);
    number.map(u128::to_be_bytes).ok_or("not an AAGUID: f8a011f3-8c0a-4d15-8006-17111f9edc7d")
}

/// The members of a table that are not read yet, and the table's name in messages.
struct Members {
    at: String,
    table: Table,
}

impl Members {
    fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.table.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{}: {name} is not a string", self.at)),
        }
    }

    fn list(&mut self, name: &str) -> Result<Option<Vec<String>>, String> {
        let wrong = || format!("{}: {name} is not a list of strings", self.at);
        let list = match self.table.remove(name) {
            None => return Ok(None),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(wrong()),
        };
        let texts = list.into_iter().map(|value| if let Value::String(text) = value { Ok(text) } else { Err(wrong()) });
        texts.collect::<Result<_, _>>().map(Some)
    }

    fn word<T>(&mut self, name: &str, read: impl Fn(&str) -> Result<T, &'static str>) -> Result<Option<T>, String> {
        let text = self.text(name)?;
        text.map(|text| read(&text).map_err(|why| format!("{}: {name}: {text} is {why}", self.at))).transpose()
    }

    fn each<T>(&mut self, name: &str, read: impl Fn(&str) -> Result<T, &'static str>) -> Result<Vec<T>, String> {
        let texts = self.list(name)?.unwrap_or_default();
        let read = |text: String| read(&text).map_err(|why| format!("{}: {name}: {text} is {why}", self.at));
        texts.into_iter().map(read).collect()
    }

    /// Checks that no member is left: one that is misspelt would have no effect.
    fn end(&self) -> Result<(), String> {
        match self.table.keys().next() {
            Some(name) => Err(format!("{}: there is no member {name}", self.at)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use keyfob_core::cose::Algorithm;
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &str = r#"
        [[tenant]]
        rp-id = "Example.com"
        name = "Example"
        origins = ["https://EXAMPLE.com:443/", "https://login.example.com"]
        related-origins = ["https://example.net"]
        frames = ["https://partner.example/"]
        algorithms = ["EdDSA", "es256"]
        user-verification = "required"
        allowed-aaguids = ["f8a011f3-8c0a-4d15-8006-17111f9edc7d"]
        denied-aaguids = ["00000000-0000-0000-0000-000000000000"]
        backup = "never"

        [[tenant]]
        rp-id = "localhost"
    "#;

    #[test]
    fn a_file_has_every_choice_of_a_relying_party() {
        let [example, localhost] = &tenants(WHOLE).unwrap()[..] else { panic!("not two") };
        assert_eq!((example.rp_id.as_str(), example.name.as_str()), ("example.com", "Example"));
        assert_eq!(example.origins, ["https://example.com", "https://login.example.com", "https://example.net"]);
        assert_eq!(example.related, ["https://example.net"]);
        assert_eq!(example.frames, Some(vec!["https://partner.example".into()]));
        let policy = &example.policy;
        assert_eq!(policy.algorithms, [Algorithm::EDDSA, Algorithm::ES256]);
        assert_eq!(policy.user_verification, Some(UserVerification::Required));
        assert_eq!(policy.allowed_models[0][..4], [0xF8, 0xA0, 0x11, 0xF3]);
        assert_eq!((policy.denied_models[0], policy.backup), ([0; 16], Backup::Never));
        assert_eq!(*localhost, Tenant::new("localhost"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, why) in [
            (WHOLE, "", "there is no [[tenant]]"),
            ("[[tenant]]", "[tenant]", "line 14: "),
            ("rp-id", "rpid", "tenant 1: rp-id is missing"),
            ("backup =", "backups =", "tenant Example.com: there is no member backups"),
            ("\"never\"", "\"no\"", "tenant Example.com: backup: no is not any, never, eligible or done"),
            ("\"never\"", "false", "tenant Example.com: backup is not a string"),
            ("\"es256\"", "\"rs1\"", "tenant Example.com: algorithms: rs1 is an algorithm that is not known"),
            ("\"es256\"", "-7", "tenant Example.com: algorithms is not a list of strings"),
            ("f8a011f3-", "f8a011f3", "tenant Example.com: allowed-aaguids: f8a011f38c0a"),
            ("login.example.com", "example.org", "tenant Example.com: the origin https://example.org may not use"),
            ("https://example.net", "http://example.net", "tenant Example.com: the related origin http://example.net"),
            ("\"localhost\"", "\"example.com\"", "two tenants have the RP ID example.com"),
            ("\"localhost\"", "\"co.uk\"", "tenant co.uk: the RP ID co.uk is a public suffix"),
            ("name = \"Example\"", "name = ", "line 4: "),
        ] {
            let text = WHOLE.replacen(from, to, 1);
            let said = tenants(&text).unwrap_err();
            assert!(said.starts_with(why), "{why}: {said}");
            assert!(!said.contains('\n'), "{said}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_in_one_line(at in 0..WHOLE.len(), with in "[ -~\n]{0,4}") {
            let text = [&WHOLE[..at], &with, &WHOLE[at..]].concat();
            if let Err(why) = tenants(&text) {
                prop_assert!(!why.contains('\n'), "{}", why);
            }
        }
    }
}
