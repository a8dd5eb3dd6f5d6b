//! `docs/fido2-client.md` names everything that `fido2.client` has, and nothing that we do not.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use keyfob_core::{
    Status,
    client::{Cause, ErrorCode},
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// The documentation of `fido2.client`, kept beside the repository.
const DOCUMENTATION: &str = "../shared/seeds/000_47291938c7ff099c.txt";

/// The names of a page of Sphinx: `Class.method`, and `Class.method(parameter)`.
fn documented(page: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut parents: Vec<(usize, String)> = Vec::new();
    for line in page.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        let Some((kind, declared)) = text.strip_prefix(".. py:").and_then(|rest| rest.split_once(":: ")) else {
            continue;
        };
        parents.retain(|(outer, _)| *outer < indent);
        let (name, parameters) = declared.split_once('(').unwrap_or((declared, ")"));
        let name = parents.last().map_or(name.to_owned(), |(_, parent)| format!("{parent}.{name}"));
        for parameter in without_nested(parameters.trim_end_matches(')')).split(',') {
            let parameter = parameter.split('=').next().unwrap_or_default().trim();
            if !parameter.is_empty() {
                names.insert(format!("{name}({parameter})"));
            }
        }
        names.insert(name.clone());
        if kind != "module" {
            parents.push((indent, name));
        }
    }
    names
}

/// Parameters without what stands in brackets, which may have commas of its own.
fn without_nested(parameters: &str) -> String {
    let mut depth = 0;
    let keep = |char: &char| {
        depth += i32::from(*char == '(') - i32::from(*char == ')');
        depth == 0
    };
    parameters.chars().filter(keep).collect()
}

/// The rows of the tables: the first cell's name, and the second cell.
fn rows(page: &str) -> Vec<(&str, &str)> {
    page.lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            Some((cells.next()?.trim_end_matches('`'), cells.next()?))
        })
        .filter(|(_, ours)| *ours != "here")
        .collect()
}

/// What stands in backticks and is a path of ours.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|word| {
        ["client::", "webauthn::", "transport::", "keyfob_windows::"].iter().any(|room| word.starts_with(room))
    })
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.file_name().and_then(|name| name.to_str()) {
            Some("tests" | "tests.rs") => {}
            _ if path.is_dir() => files.extend(sources(&path)),
            _ => files.push(path),
        }
    }
    files
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|char: char| !char.is_alphanumeric() && char != '_').any(|found| found == word)
}

/// Whether the sources below the first segment of `path`, or of the crate that it names, declare it: the item publicly, and its member in a file that
/// speaks of the item.
fn exists(path: &str) -> bool {
    let room = path.split("::").next().unwrap();
    let (path, folder) = match path.strip_prefix("keyfob_windows::") {
        Some(path) => (path, "host/windows/src".to_owned()),
        None => (path, format!("core/src/{room}")),
    };
    let segments: Vec<&str> = path.split("::").collect();
    let is_module = |segment: &&str| segment.starts_with(char::is_lowercase);
    let modules = segments.iter().take(segments.len() - 1).take_while(|segment| is_module(segment)).count();
    let (item, member) = (segments[modules], segments.get(modules + 1));
    let files = sources(&Path::new(ROOT).join(folder));
    let texts: Vec<String> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let declares = |line: &str| {
        let line = line.trim_start();
        let kinds = ["pub struct", "pub enum", "pub trait", "pub type", "pub fn", "pub mod", "pub text struct"];
        kinds.iter().any(|kind| line.strip_prefix(kind).is_some_and(|rest| rest.trim_start().starts_with(item)))
            && has_word(line, item)
    };
    let has_member = |line: &str, member: &str| {
        let line = line.trim_start();
        let line =
            ["pub ", "const ", "async ", "fn "].iter().fold(line, |line, word| line.strip_prefix(word).unwrap_or(line));
        let declared = |rest: &str| rest.starts_with(['(', '<', ':', ',', ' ']) && !rest.starts_with("::");
        let of_table = format!("=> {member}:"); // of the macro `message!`
        line.strip_prefix(member).is_some_and(declared) || line.contains(&of_table)
    };
    texts.iter().any(|text| text.lines().any(declares))
        && member.is_none_or(|member| {
            texts.iter().any(|text| has_word(text, item) && text.lines().any(|line| has_member(line, member)))
        })
}

fn table() -> String {
    fs::read_to_string(Path::new(ROOT).join("docs/fido2-client.md")).unwrap()
}

#[test]
fn every_name_of_fido2_client_stands_in_the_table() {
    let Ok(page) = fs::read_to_string(Path::new(ROOT).join(DOCUMENTATION)) else {
        println!("skipped: the documentation of fido2.client is not here ({DOCUMENTATION})");
        return;
    };
    let names = documented(&page);
    assert!(names.len() > 50, "{names:?}");
    let table = table();
    let listed: BTreeSet<String> = rows(&table).into_iter().map(|(name, _)| name.to_owned()).collect();
    let missing: Vec<_> = names.difference(&listed).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
}

#[test]
fn every_row_of_the_table_leads_to_something() {
    for (name, ours) in rows(&table()) {
        assert!(paths(ours).count() > 0, "{name}");
    }
}

#[test]
fn every_path_on_the_page_exists() {
    let table = table();
    let missing: BTreeSet<_> = paths(&table).filter(|path| !exists(path)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_defect_on_the_page_has_its_test() {
    let table = table();
    let tests: String = ["core/src/client/tests/defects.rs", "host/tests/cli.rs"]
        .iter()
        .map(|file| fs::read_to_string(Path::new(ROOT).join(file)).unwrap())
        .collect();
    let mut defects = 0;
    for row in table.lines().filter(|line| line.strip_prefix("| ").is_some_and(|row| row.starts_with(char::is_numeric)))
    {
        let test = row.rsplit(" | ").next().and_then(|cell| cell.split('`').nth(1)).unwrap();
        assert!(tests.contains(&format!("#[test]\nfn {test}() {{")), "{test}");
        defects += 1;
    }
    assert_eq!(defects, 20);
}

/// The error code that python-fido2 2.2.1 makes of a status: `_ctap2client_err` in `fido2/client/__init__.py`.
fn code_of_python_fido2(status: Status) -> ErrorCode {
    match status {
        Status::CREDENTIAL_EXCLUDED | Status::NO_CREDENTIALS => ErrorCode::DeviceIneligible,
        Status::KEEPALIVE_CANCEL | Status::ACTION_TIMEOUT | Status::USER_ACTION_TIMEOUT => ErrorCode::Timeout,
        Status::UNSUPPORTED_ALGORITHM | Status::UNSUPPORTED_OPTION | Status::KEY_STORE_FULL => {
            ErrorCode::ConfigurationUnsupported
        }
        Status::INVALID_COMMAND
        | Status::CBOR_UNEXPECTED_TYPE
        | Status::INVALID_CBOR
        | Status::MISSING_PARAMETER
        | Status::INVALID_OPTION
        | Status::PUAT_REQUIRED
        | Status::PIN_INVALID
        | Status::PIN_BLOCKED
        | Status::PIN_NOT_SET
        | Status::PIN_POLICY_VIOLATION
        | Status::PIN_TOKEN_EXPIRED
        | Status::PIN_AUTH_INVALID
        | Status::PIN_AUTH_BLOCKED
        | Status::REQUEST_TOO_LARGE
        | Status::OPERATION_DENIED => ErrorCode::BadRequest,
        _ => ErrorCode::OtherError,
    }
}

/// How python-fido2 writes it.
const fn python_name(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::OtherError => "OTHER_ERROR",
        ErrorCode::BadRequest => "BAD_REQUEST",
        ErrorCode::ConfigurationUnsupported => "CONFIGURATION_UNSUPPORTED",
        ErrorCode::DeviceIneligible => "DEVICE_INELIGIBLE",
        ErrorCode::Timeout => "TIMEOUT",
        _ => panic!("a code that this test does not know"),
    }
}

#[test]
fn the_page_and_the_comparison_state_each_status_with_another_error_code_than_in_python_fido2() {
    let page = table();
    let rows: BTreeSet<&str> = page.lines().filter(|line| line.starts_with("| the error code of ")).collect();
    let deviations = fs::read_to_string(Path::new(ROOT).join("interop/python-fido2-client/deviations.py")).unwrap();
    let mut differences = 0;
    for status in (0..=255).map(Status) {
        let (theirs, ours) = (code_of_python_fido2(status), Cause::Status(status).code());
        if theirs == ours {
            continue;
        }
        differences += 1;
        let name = status.name().unwrap();
        let row = format!(
            "| the error code of {name} (0x{:02X}) | `{}` | `client::ErrorCode::{ours:?}`",
            status.0,
            python_name(theirs)
        );
        assert!(rows.iter().any(|stated| stated.starts_with(&row)), "{row}");
        let line = format!("    0x{:02X}: ClientError.ERR.{},  # {name}", status.0, python_name(ours));
        assert!(deviations.lines().any(|stated| stated == line), "{line}");
    }
    assert_eq!((differences, rows.len()), (4, 4));
    assert_eq!(deviations.matches(": ClientError.ERR.").count(), 4);
}

#[test]
fn a_path_that_does_not_exist_is_found_out() {
    for path in [
        "client::Fido3Client",
        "client::fido2::Fido2Client::make_tea",
        "client::ErrorCode::Teapot",
        "client::Error::kode",
        "client::fido2::Fido2Clien",
        "webauthn::may_clai",
        "keyfob_windows::MacClient",
        "keyfob_windows::WindowsClient::make_tea",
    ] {
        assert!(!exists(path), "{path}");
    }
}

#[test]
fn names_are_read_with_their_nesting_and_parameters() {
    let page = ".. py:module:: m\n.. py:class:: A(x, y = f(1, 2), z=None)\n   .. py:class:: B\n      .. py:attribute:: C\n   \
                .. py:method:: d(x)\n.. py:exception:: E\n";
    let expected = ["A", "A(x)", "A(y)", "A(z)", "A.B", "A.B.C", "A.d", "A.d(x)", "E", "m"];
    assert_eq!(documented(page), expected.map(str::to_owned).into());
}
