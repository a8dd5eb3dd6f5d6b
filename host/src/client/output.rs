//! Tables, and bytes as text.

use std::{
    fmt::{self, Write},
    io,
    os::fd::AsFd,
};

use keyfob_core::{base64url, cbor::Writer, cose::CoseKey};
use rustix::termios::tcgetwinsize;

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

/// Prints names and values, the values below each other. On a terminal, lines end between words.
pub fn pairs(pairs: &[(&str, String)]) {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let columns = columns(&io::stdout()).map_or(usize::MAX, |columns| columns.saturating_sub(width + 2));
    for (name, value) in pairs {
        for (index, line) in wrapped(value, columns).iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            say(format_args!("{name:<width$}  {line}"));
        }
    }
}

/// How many columns a terminal has; `None` if it is none.
pub fn columns(terminal: &impl AsFd) -> Option<usize> {
    let size = tcgetwinsize(terminal).ok()?;
    Some(size.ws_col.into()).filter(|columns| *columns > 0)
}

/// A text in lines of at most so many columns, if its words are not longer.
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_end_between_words_and_a_word_that_is_too_long_has_a_line_of_its_own() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("one two three", 6), ["one", "two", "three"]);
        assert_eq!(wrapped("a mouthful of it", 4), ["a", "mouthful", "of", "it"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("one two", usize::MAX), ["one two"]);
    }
}
