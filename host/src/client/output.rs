//! Tables, and bytes as text.

use std::fmt::{self, Write};

use keyfob_core::{base64url, cbor::Writer, cose::CoseKey};

use super::{Failure, Kind};
use crate::{say, write_line};

/// base64url without padding.
pub fn base64(bytes: &[u8]) -> String {
    let mut text = vec![0; bytes.len().div_ceil(3) * 4];
    let len = base64url::encode(bytes, &mut text).unwrap_or_default();
    text.truncate(len);
    String::from_utf8(text).unwrap_or_default()
}

/// base64 with padding, as other programs have it.
pub fn standard_base64(bytes: &[u8]) -> String {
    let padding = (3 - bytes.len() % 3) % 3;
    base64(bytes).replace('-', "+").replace('_', "/") + &"=".repeat(padding)
}

/// A public key in PEM, where its type has a form for it.
pub fn pem(key: &CoseKey<'_>) -> Option<String> {
    let mut der = vec![0; 4096];
    let mut w = Writer::new(&mut der);
    key.write_spki(&mut w)?;
    let len = w.finish().ok()?;
    let text = standard_base64(&der[..len]);
    let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
    // The text is ASCII.
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    Some(pem + "-----END PUBLIC KEY-----\n")
}

/// The bytes of a base64url text without padding; `None` if it is none.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len()];
    let len = base64url::decode(text.chars(), &mut bytes).ok()?;
    bytes.truncate(len);
    Some(bytes)
}

/// Text of a key or a site without the characters that steer a terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{FFFD}' } else { character }).collect()
}

/// Prints the one thing that a command was for. `what` says what is lost when nobody reads it.
///
/// # Errors
/// It cannot be written.
pub fn hand_over(line: fmt::Arguments<'_>, what: &str) -> Result<(), Failure> {
    write_line(line).map_err(|error| {
        Failure::new(Kind::Other, format_args!("{what} could not be written to the standard output: {error}"))
    })
}

/// Prints rows in columns that are as wide as what is in them, below their heads.
pub fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) {
    let mut widths = heads.map(|head| head.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        say(format_args!("{}", line.trim_end()));
    };
    line(heads);
    for row in rows {
        line(std::array::from_fn(|column| row[column].as_str()));
    }
}

/// Prints names and values, the values below each other.
pub fn pairs(pairs: &[(&str, String)]) {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    for (name, value) in pairs {
        say(format_args!("{name:<width$}  {value}"));
    }
}
