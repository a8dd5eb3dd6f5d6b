//! Lists that are searched before the command.

use super::{extensions::MakeExtensions, *};
use crate::{
    cbor,
    ctap2::{Command, CommandOptions, get_assertion, make_credential},
};

fn descriptors(ids: &[[u8; 16]]) -> Vec<CredentialDescriptor<'_>> {
    ids.iter().map(|id| CredentialDescriptor::new(id)).collect()
}

/// The ids of 16 bytes from 1 to 9.
const IDS: [[u8; 16]; 9] = [[1; 16], [2; 16], [3; 16], [4; 16], [5; 16], [6; 16], [7; 16], [8; 16], [9; 16]];

fn with(credentials: &[[u8; 16]], most: usize) -> Device<StubCrypto> {
    let mut device = Device::new(StubCrypto);
    device.credentials = credentials.iter().map(|id| id.to_vec()).collect();
    (device.max_list, device.excludes) = (Some(most), true);
    device
}

/// How many credentials each getAssertion asked for.
fn batches(device: &Device<StubCrypto>) -> Vec<usize> {
    let requests = device.requests.iter().filter(|request| request[0] == Command::GET_ASSERTION.0);
    let lists = requests.map(|request| cbor::decode::<get_assertion::Request>(&request[1..]).unwrap().allow_list);
    lists.map(|list| list.unwrap().len()).collect()
}

#[test]
fn an_allow_list_goes_in_batches_and_the_command_names_the_one_that_was_found() {
    let list = descriptors(&IDS);
    let options = GetOptions { allow_list: List::Slice(&list), ..get_options() };
    let mut device = with(&IDS[6..8], 3);
    let (ids, _) = get_stub(&mut device, &options, &mut User::default()).unwrap();
    assert_eq!((ids, batches(&device)), (vec![IDS[6].to_vec()], vec![3, 3, 3, 1]));
    // The first batch has it: nothing further is asked.
    let mut device = with(&IDS[..1], 3);
    get_stub(&mut device, &options, &mut User::default()).unwrap();
    assert_eq!(batches(&device), [3, 1]);
    // It fits as it is.
    let mut device = with(&IDS[6..], 9);
    get_stub(&mut device, &options, &mut User::default()).unwrap();
    assert_eq!(batches(&device), [9]);
}

#[test]
fn an_authenticator_that_does_not_say_how_many_it_takes_is_asked_for_one_at_a_time() {
    let list = descriptors(&IDS[..3]);
    let options = GetOptions { allow_list: List::Slice(&list), ..get_options() };
    let mut device = with(&IDS[2..3], 1).altered(|device| device.max_list = None);
    get_stub(&mut device, &options, &mut User::default()).unwrap();
    assert_eq!(batches(&device), [1, 1, 1, 1]);
}

#[test]
fn batches_fit_the_authenticators_messages() {
    let ids: Vec<[u8; 200]> = (0..12).map(|n| [n; 200]).collect();
    let list: Vec<_> = ids.iter().map(|id| CredentialDescriptor::new(id)).collect();
    let options = GetOptions { allow_list: List::Slice(&list), ..get_options() };
    let mut device = with(&[], 12);
    (device.credentials, device.max_msg_size) = (vec![ids[11].to_vec()], Some(1024));
    get_stub(&mut device, &options, &mut User::default()).unwrap();
    assert_eq!(batches(&device), [4, 4, 4, 1]);
    assert!(device.requests.iter().all(|request| request.len() <= 1024));
}

#[test]
fn an_authenticator_that_takes_fewer_than_it_says_is_asked_for_fewer() {
    let list = descriptors(&IDS);
    let options = GetOptions { allow_list: List::Slice(&list), ..get_options() };
    for status in [Status::REQUEST_TOO_LARGE, Status::LIMIT_EXCEEDED] {
        let mut device = with(&IDS[8..], 9);
        device.tampered = Some((1, vec![status.0]));
        get_stub(&mut device, &options, &mut User::default()).unwrap();
        assert_eq!(batches(&device), [9, 9, 1]);
        let mut device = with(&IDS[8..], 5);
        device.tampered = Some((1, vec![status.0]));
        get_stub(&mut device, &options, &mut User::default()).unwrap();
        assert_eq!(batches(&device), [5, 2, 2, 2, 2, 1, 1]);
    }
}

#[test]
fn what_an_authenticator_objects_to_when_it_is_asked_it_does_not_have() {
    let list = descriptors(&IDS);
    let allowing = GetOptions { allow_list: List::Slice(&list), ..get_options() };
    let excluding = MakeOptions { exclude_list: List::Slice(&list), ..make_options() };
    for status in [Status::NO_CREDENTIALS, Status::INVALID_CREDENTIAL, Status::PUAT_REQUIRED, Status::OTHER] {
        let mut device = with(&IDS[..1], 5).altered(|device| device.probes = Some(status));
        let cause = get_stub(&mut device, &allowing, &mut User::default()).unwrap_err();
        assert_eq!(cause, super::status(Status::NO_CREDENTIALS));
        assert_eq!((batches(&device), device.commands()), (vec![5, 4], vec![4, 2, 2, 1]), "a touch at the end");
        let mut device = with(&IDS[..1], 5).altered(|device| device.probes = Some(status));
        make_stub(&mut device, &excluding, &mut User::default()).unwrap();
    }
}

#[test]
fn an_excluded_credential_that_was_found_goes_with_the_command_which_refuses_after_a_touch() {
    let list = descriptors(&IDS);
    let options = MakeOptions { exclude_list: List::Slice(&list), ..make_options() };
    let mut device = with(&IDS[5..6], 4);
    let mut user = User::default();
    let cause = make_stub(&mut device, &options, &mut user).unwrap_err();
    assert_eq!(cause, status(Status::CREDENTIAL_EXCLUDED));
    let request: make_credential::Request = cbor::decode(device.last()).unwrap();
    assert_eq!(request.exclude_list.unwrap().iter().map(|listed| listed.id).collect::<Vec<_>>(), [&IDS[5][..]]);
    let mut device = with(&[], 4);
    make_stub(&mut device, &options, &mut User::default()).unwrap();
    assert_eq!(cbor::decode::<make_credential::Request>(device.last()).unwrap().exclude_list, None);
}

#[test]
fn questions_carry_the_token_and_are_asked_again_with_a_new_one() {
    let list = descriptors(&IDS);
    let options = GetOptions { allow_list: List::Slice(&list), ..get_options() };
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    (device.credentials, device.max_list) = (vec![IDS[0].to_vec()], Some(4));
    device.refusals = [Status::PIN_AUTH_INVALID].into();
    let mut user = User::with_pins([PIN, PIN]);
    get_stub(&mut device, &options, &mut user).unwrap();
    assert_eq!((batches(&device), user.prompts.len()), (vec![4, 1, 4, 1], 2));
    let asked = device.requests.iter().find(|request| request[0] == Command::GET_ASSERTION.0).unwrap();
    let asked: get_assertion::Request = cbor::decode(&asked[1..]).unwrap();
    assert_eq!(asked.options, Some(CommandOptions { up: Some(false), ..Default::default() }));
    assert!(asked.pin_uv_auth_param.is_some());
}

#[test]
fn a_credential_that_was_not_asked_for_is_not_found() {
    let list = descriptors(&IDS[..2]);
    let options = GetOptions { allow_list: List::Slice(&list), ..get_options() };
    let mut device = with(&IDS, 1).altered(|device| device.flaw = Some(Flaw::OtherCredentialId));
    assert_eq!(get_stub(&mut device, &options, &mut User::default()).unwrap_err(), status(Status::NO_CREDENTIALS));
    let mut device = with(&IDS[1..], 1).altered(|device| device.flaw = Some(Flaw::CredentialOmitted));
    let (ids, _) = get_stub(&mut device, &options, &mut User::default()).unwrap();
    assert_eq!(ids, [IDS[1].to_vec()], "one that is not named is the one that was asked for");
}

#[test]
fn a_token_that_is_not_taken_for_a_question_is_renewed_once_and_then_left_out() {
    let list = descriptors(&IDS[..3]);
    let get = GetOptions { allow_list: List::Slice(&list), ..get_options() };
    let make = MakeOptions { exclude_list: List::Slice(&list), ..make_options() };
    for refusal in [Status::PIN_AUTH_INVALID, Status::PIN_TOKEN_EXPIRED] {
        // How often it is refused; how often the user is asked; whether the questions have a proof.
        let (proven, bare) = ([true; 5], [true, true, false, false, false]);
        for (refused, asked, proofs) in [(0, 1, &proven[..3]), (1, 2, &proven[..4]), (2, 2, &bare[..])] {
            for registers in [false, true] {
                let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
                (device.credentials, device.max_list) = (vec![IDS[2].to_vec()], Some(1));
                (device.objections, device.excludes) = (vec![refusal; refused].into(), true);
                let mut user = User::with_pins([PIN, PIN, PIN]);
                if registers {
                    let cause = make_stub(&mut device, &make, &mut user).unwrap_err();
                    assert_eq!(cause, status(Status::CREDENTIAL_EXCLUDED), "{refused}");
                } else {
                    assert_eq!(get_stub(&mut device, &get, &mut user).unwrap().0, [IDS[2].to_vec()], "{refused}");
                }
                assert_eq!(user.prompts.len(), asked);
                let questions = device.requests.iter().filter(|request| request[0] == Command::GET_ASSERTION.0);
                let questions = questions.map(|request| cbor::decode::<get_assertion::Request>(&request[1..]).unwrap());
                let questions = questions.filter(|request| request.options.is_some_and(|options| options.up.is_some()));
                let proven: Vec<bool> = questions.map(|request| request.pin_uv_auth_param.is_some()).collect();
                assert_eq!(proven, proofs);
            }
        }
    }
}

#[test]
fn an_authenticator_with_selection_is_touched_by_that() {
    let selecting: fn(&mut crate::ctap2::get_info::Response<'static>) =
        |info| info.versions = List::Slice(const { &[cbor::Text::new("FIDO_2_3")] });
    let mut device = with(&[], 1).altered(|device| device.amend = selecting);
    let list = descriptors(&IDS[..1]);
    let options = GetOptions { allow_list: List::Slice(&list), ..get_options() };
    assert_eq!(get_stub(&mut device, &options, &mut User::default()).unwrap_err(), status(Status::NO_CREDENTIALS));
    assert_eq!(device.commands(), [4, 2, Command::SELECTION.0]);
}

#[test]
fn a_touch_comes_before_the_word_that_there_is_no_credential_and_only_one() {
    let list = descriptors(&IDS[..1]);
    for options in [GetOptions { allow_list: List::Slice(&list), ..get_options() }, get_options()] {
        for refusal in [Status::NO_CREDENTIALS, Status::INVALID_CREDENTIAL] {
            let mut device = with(&IDS[1..2], 1);
            device.refusals = [refusal].into();
            let cause = get_stub(&mut device, &options, &mut User::default()).unwrap_err();
            assert_eq!((cause, device.commands()), (status(Status::NO_CREDENTIALS), vec![4, 2, 1]));

            let mut device = with(&IDS[1..2], 1).altered(|device| device.touched_first = true);
            device.refusals = [refusal].into();
            let cause = get_stub(&mut device, &options, &mut User::default()).unwrap_err();
            assert_eq!((cause, device.commands()), (status(refusal), vec![4, 2]));
        }
    }
    // Who does not touch it does not learn why.
    let options = GetOptions { allow_list: List::Slice(&list), ..get_options() };
    let mut device = with(&IDS[1..2], 1);
    device.tampered = Some((2, vec![Status::USER_ACTION_TIMEOUT.0]));
    let cause = get_stub(&mut device, &options, &mut User::default()).unwrap_err();
    assert_eq!(cause, status(Status::USER_ACTION_TIMEOUT));
}

#[test]
fn the_app_id_is_asked_for_before_the_pin_and_an_excluded_credential_spares_it() {
    let list = descriptors(&IDS[..1]);
    let extensions = MakeExtensions { app_id_exclude: Some("https://example.org"), ..MakeExtensions::NONE };
    let options = MakeOptions { exclude_list: List::Slice(&list), extensions, ..make_options() };
    let mut device = Device::with_pin(StubCrypto, PinUvAuthProtocol::Two);
    device.credentials = vec![];
    make_stub(&mut device, &options, &mut User::with_pins([PIN])).unwrap();
    assert_eq!(device.commands(), [4, 2, 6, 6, 6, 1], "the question, then the token");
    let asked = device.requests.iter().find(|request| request[0] == Command::GET_ASSERTION.0).unwrap();
    let asked: get_assertion::Request = cbor::decode(&asked[1..]).unwrap();
    assert_eq!((asked.rp_id, asked.pin_uv_auth_param), ("https://example.org", None));

    device.credentials = vec![IDS[0].to_vec()];
    (device.requests, device.responses) = (vec![], vec![]);
    let mut user = User::with_pins([PIN]);
    let cause = make_stub(&mut device, &options, &mut user).unwrap_err();
    assert_eq!((cause, user.prompts.len()), (status(Status::CREDENTIAL_EXCLUDED), 0));
    assert_eq!(device.commands(), [4, 2, 1]);
    let touch: make_credential::Request = cbor::decode(device.last()).unwrap();
    assert_eq!(touch.rp.id, ".dummy");
}

#[test]
fn the_app_id_of_a_long_list_is_asked_for_in_batches_and_of_an_empty_one_not_at_all() {
    let list = descriptors(&IDS);
    let extensions = MakeExtensions { app_id_exclude: Some("https://example.org"), ..MakeExtensions::NONE };
    let options = MakeOptions { exclude_list: List::Slice(&list), extensions, ..make_options() };
    let mut device = with(&[], 4);
    make_stub(&mut device, &options, &mut User::default()).unwrap();
    assert_eq!(batches(&device), [4, 4, 1, 4, 4, 1], "for the AppID, then for the RP ID");
    let options = MakeOptions { exclude_list: List::Slice(&[]), ..options };
    let mut device = with(&[], 4);
    make_stub(&mut device, &options, &mut User::default()).unwrap();
    assert_eq!(device.commands(), [4, 1]);
}

#[test]
fn a_credential_for_which_no_request_has_room_is_not_this_authenticators() {
    let long = [7; 950];
    let list = [CredentialDescriptor::new(&long), CredentialDescriptor::new(&IDS[0])];
    let mut device = with(&IDS[..1], 8).altered(|device| device.max_msg_size = Some(1024));
    let options = MakeOptions { exclude_list: List::Slice(&list), ..make_options() };
    let refused = make_in(&mut [0; 2048], StubCrypto, &mut device, &options, &mut User::default());
    assert_eq!(refused.unwrap_err().cause, Cause::Status(Status::CREDENTIAL_EXCLUDED));
    let options = GetOptions { allow_list: List::Slice(&list), ..get_options() };
    let (ids, _) = get_in(&mut [0; 2048], StubCrypto, &mut device, &options, &mut User::default()).unwrap();
    assert_eq!(ids, [IDS[0].to_vec()]);
    assert!(device.requests.iter().all(|request| request.len() < 200));
}
