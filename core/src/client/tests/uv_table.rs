//! Whether and how the user is verified, for every kind of ceremony and of authenticator.

use super::*;
use crate::ctap2::get_info;

/// What an authenticator says about user verification, and what then happens in registrations (of a credential that is
/// not discoverable, and of one that is) and sign-ins (with a list, and without), each with user verification
/// discouraged, preferred and required:
///
/// `-` the user is not asked, `P` the PIN, `S` a new PIN, `U` built-in verification that yields a token, `O` the same within
/// the command, `n` an error because no PIN is set, `x` an error because there is nothing to verify with.
///
/// The rows of PINs are those of Chromium's tests (`authenticator_impl_pin_unittest.cc`), and its rule that
/// discoverable credentials are used by verified users where that is possible.
const TABLE: &[(&str, [&str; 4])] = &[
    ("", ["--x", "--x", "--x", "--x"]),
    ("pin-", ["--S", "--S", "--n", "--n"]),
    ("pin+", ["PPP", "PPP", "-PP", "PPP"]),
    ("pin+ notrqd", ["-PP", "PPP", "-PP", "PPP"]),
    ("pin- notrqd", ["--S", "--S", "--n", "--n"]),
    ("pin+ always", ["PPP", "PPP", "PPP", "PPP"]),
    ("pin+ always notrqd", ["PPP", "PPP", "PPP", "PPP"]),
    ("pin- always", ["SSS", "SSS", "nnn", "nnn"]),
    ("always", ["xxx", "xxx", "xxx", "xxx"]),
    ("uv+ token", ["UUU", "UUU", "-UU", "UUU"]),
    ("uv+", ["OOO", "OOO", "-OO", "OOO"]),
    ("uv+ token notrqd", ["-UU", "UUU", "-UU", "UUU"]),
    ("uv+ token always", ["UUU", "UUU", "UUU", "UUU"]),
    ("uv-", ["--x", "--x", "--x", "--x"]),
    ("uv- pin-", ["--S", "--S", "--n", "--n"]),
    ("uv- pin+", ["PPP", "PPP", "-PP", "PPP"]),
    ("uv+ pin+", ["OOO", "OOO", "-OO", "OOO"]),
    ("uv+ token pin+", ["UUU", "UUU", "-UU", "UUU"]),
    ("uv+ token pin-", ["UUU", "UUU", "-UU", "UUU"]),
    ("pin+ nomcga", ["xxx", "xxx", "--x", "--x"]),
    ("pin- nomcga", ["--n", "--n", "--n", "--n"]),
    ("pin+ nomcga notrqd", ["--x", "xxx", "--x", "--x"]),
    ("uv+ token pin+ nomcga", ["UUU", "UUU", "-UU", "UUU"]),
];

/// The rows that change when preferred means an error if verification is supported and not set up.
const INSISTENT: &[(&str, [&str; 4])] = &[
    ("", ["--x", "--x", "--x", "--x"]),
    ("pin-", ["-nS", "-nS", "-nn", "-nn"]),
    ("pin+", ["PPP", "PPP", "-PP", "PPP"]),
    ("uv-", ["-xx", "-xx", "-xx", "-xx"]),
    ("uv- pin-", ["-nS", "-nS", "-nn", "-nn"]),
    ("uv+ token", ["UUU", "UUU", "-UU", "UUU"]),
];

fn device(row: &str) -> Device<StubCrypto> {
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    let has = |word: &str| row.split(' ').any(|listed| listed == word).then_some(true);
    let set = |on: &str, off: &str| has(on).or(has(off).map(|_| false));
    device.options = get_info::SupportedOptions {
        rk: Some(true),
        client_pin: set("pin+", "pin-"),
        uv: set("uv+", "uv-"),
        pin_uv_auth_token: has("token").or(has("pin+")).or(has("pin-")).filter(|_| row != "uv+ pin+"),
        always_uv: has("always"),
        make_cred_uv_not_rqd: has("notrqd"),
        no_mc_ga_permissions_with_client_pin: has("nomcga"),
        ..get_info::SupportedOptions::default()
    };
    device
}

fn letter(row: &str, ceremony: usize, user_verification: Requirement, preferred: PreferredWithoutUv) -> char {
    let mut device = device(row);
    let mut user = User { new_pins: [PIN].into(), ..User::with_pins([PIN]) };
    let list = [CredentialDescriptor::new(ID)];
    let result = if ceremony < 2 {
        let resident_key = if ceremony == 1 { Requirement::Required } else { Requirement::Discouraged };
        let options =
            MakeOptions { resident_key, user_verification, preferred_without_uv: preferred, ..make_options() };
        make_stub(&mut device, &options, &mut user).map(drop)
    } else {
        let allow_list = List::Slice(if ceremony == 2 { &list } else { &[] });
        let options = GetOptions { allow_list, user_verification, preferred_without_uv: preferred, ..get_options() };
        get_stub(&mut device, &options, &mut user).map(drop)
    };
    let asked = (user.prompts.len(), user.new_prompts.len(), user.uv_prompts.len());
    match (result, asked) {
        (Ok(()), (0, 0, 0)) => '-',
        (Ok(()), (1, 0, 0)) => 'P',
        (Ok(()), (0, 1, 0)) => 'S',
        (Ok(()), (0, 0, 1)) if device.sub_commands().is_empty() => 'O',
        (Ok(()), (0, 0, 1)) => 'U',
        (Err(Cause::PinNotSet), (0, 0, 0)) => 'n',
        (Err(Cause::UvUnavailable), (0, 0, 0)) => 'x',
        other => panic!("{row}: {other:?}"),
    }
}

fn check(table: &[(&str, [&str; 4])], preferred: PreferredWithoutUv) {
    for (row, expected) in table {
        for (ceremony, expected) in expected.iter().enumerate() {
            let asked = [Requirement::Discouraged, Requirement::Preferred, Requirement::Required];
            let actual: String = asked.iter().map(|uv| letter(row, ceremony, *uv, preferred)).collect();
            assert_eq!(actual, *expected, "{row:?}, ceremony {ceremony}");
        }
    }
}

#[test]
fn the_user_is_verified_as_the_table_says() {
    check(TABLE, PreferredWithoutUv::Proceed);
}

#[test]
fn a_caller_who_insists_gets_an_error_where_verification_could_be_set_up() {
    check(INSISTENT, PreferredWithoutUv::Error);
}
