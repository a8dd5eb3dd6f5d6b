//! Discoverable credentials.

use super::*;
use crate::{
    ctap2::credential_management::{Params, Request},
    pin_uv::{CRED_STORE_STATE, DEVICE_IDENTIFIER},
};

fn managed<const N: usize>(script: [Vec<u8>; N]) -> Device<StubCrypto> {
    scripted(|options| options.cred_mgmt = Some(true), script)
}

fn rps(device: &mut Device<StubCrypto>, access: Access<'_>) -> (Result<u32, Cause>, Vec<String>) {
    let mut seen = Vec::new();
    let mut buffer = [0; 1024];
    let ceremony = Ceremony::new(ListRelyingParties::new(access), &mut buffer, StubCrypto, rng());
    let count = run_with(ceremony, device, &mut User::manager([PIN]), |rp: ListedRelyingParty<'_>| {
        seen.push(format!("{} {:02x?}", rp.rp.id, &rp.rp_id_hash[..2]));
    });
    (count, seen)
}

/// The second and third relying party; the first comes with the total.
fn three() -> [Vec<u8>; 3] {
    let next = ok("credential_management_rp_next");
    [ok("credential_management_rp_begin"), next.clone(), next]
}

#[test]
fn credentials_are_counted() {
    let mut device = managed([ok("credential_management_metadata")]);
    let mut buffer = [0; 1024];
    let metadata =
        run_op(Ceremony::new(CredentialsMetadata::new(Access::User), &mut buffer, StubCrypto, rng()), &mut device);
    assert_eq!(metadata, Ok(Metadata { existing: 0, remaining: 25 }));
    assert_eq!(device.permissions, [u64::from(Permissions::CM.0)]);
    let request = sent(&device, Command::CREDENTIAL_MANAGEMENT).remove(0);
    let request: Request = crate::cbor::decode(&request).unwrap();
    assert_eq!((request.sub_command, request.sub_command_params, request.pin_uv_auth_protocol), (1, None, Some(2)));
    assert_eq!(request.pin_uv_auth_param.unwrap(), device.proof(&[&[1]]));
}

#[test]
fn relying_parties_come_one_after_the_other() {
    let mut device = managed(three());
    let (count, seen) = rps(&mut device, Access::User);
    assert_eq!(count, Ok(3));
    assert_eq!(seen, ["yubico.com [37, 82]", "yubikey.org [12, 6b]", "yubikey.org [12, 6b]"]);
    let requests = sent(&device, Command::CREDENTIAL_MANAGEMENT);
    assert_eq!(requests[1..], [hex("a10103"), hex("a10103")]);
}

#[test]
fn an_authenticator_without_credentials_has_an_empty_list() {
    assert_eq!(rps(&mut managed([vec![Status::NO_CREDENTIALS.0]]), Access::User), (Ok(0), vec![]));
    assert_eq!(rps(&mut managed([ok_hex("a10500")]), Access::User), (Ok(0), vec![]));
}

#[test]
fn a_list_that_breaks_off_is_an_error() {
    for (status, cause) in [
        (Status::NO_CREDENTIALS, Status::NO_CREDENTIALS),
        (Status::NOT_ALLOWED, Status::NOT_ALLOWED),
        (Status::PIN_AUTH_INVALID, Status::PIN_AUTH_INVALID),
    ] {
        let mut device = managed([ok("credential_management_rp_begin"), vec![status.0]]);
        let (count, seen) = rps(&mut device, Access::User);
        assert_eq!((count, seen.len()), (Err(super::status(cause)), 1));
    }
}

#[test]
fn what_a_list_lacks_is_named() {
    for (answer, member) in [("a0", 5), ("a10503", 3), ("a203a16269646161 0501", 4)] {
        let answer = ok_hex(&answer.replace(' ', ""));
        let Err(Cause::Decode(error)) = rps(&mut managed([answer]), Access::User).0 else { panic!("{member}") };
        assert_eq!(error.member(), Some(member));
    }
}

#[test]
fn credentials_of_a_relying_party_come_one_after_the_other() {
    let begin = ok("credential_management_credential_begin");
    let next = ok("credential_management_credential_next");
    let mut device = managed([begin, next.clone(), next.clone(), next.clone(), next]);
    let hash = [0xA3; 32];
    let mut buffer = [0; 1024];
    let mut seen = Vec::new();
    let ceremony = Ceremony::new(ListCredentials::new(&hash, Access::User), &mut buffer, StubCrypto, rng());
    let count = run_with(ceremony, &mut device, &mut User::manager([PIN]), |credential: ListedCredential<'_>| {
        assert_eq!(credential.user.name, Some("bob banana"));
        assert_eq!((credential.large_blob_key, credential.third_party_payment), (None, None));
        seen.push((credential.id.len(), credential.public_key.algorithm()));
    });
    assert_eq!((count, seen.len()), (Ok(5), 5));
    assert_eq!(seen[..2], [(16, Algorithm::ES256), (16, Algorithm::EDDSA)]);
    let request = sent(&device, Command::CREDENTIAL_MANAGEMENT).remove(0);
    let request: Request = crate::cbor::decode(&request).unwrap();
    let params = request.sub_command_params.unwrap().0;
    assert_eq!(request.params(), Ok(Params { rp_id_hash: Some(&hash), ..Params::default() }));
    assert_eq!(request.pin_uv_auth_param.unwrap(), device.proof(&[&[4], params]));
}

#[test]
fn a_credential_is_deleted_and_its_user_updated_with_a_proof_over_the_bytes_that_are_sent() {
    let mut device = managed([vec![0], vec![0]]);
    let mut buffer = [0; 1024];
    run_op(Ceremony::new(DeleteCredential::new(&[7; 900]), &mut buffer, StubCrypto, rng()), &mut device).unwrap();
    let check = |device: &Device<StubCrypto>, sub_command: u8| {
        let request = sent(device, Command::CREDENTIAL_MANAGEMENT).pop().unwrap();
        let request: Request = crate::cbor::decode(&request).unwrap();
        let params = request.sub_command_params.unwrap().0;
        assert_eq!(request.sub_command, u32::from(sub_command));
        assert_eq!(request.pin_uv_auth_param.unwrap(), device.proof(&[&[sub_command], params]));
        request.params().unwrap().user.and_then(|user| user.display_name).map(str::to_owned)
    };
    assert_eq!(check(&device, 6), None);
    let user = UserEntity { id: b"user", name: None, display_name: Some("New Name") };
    run_op(Ceremony::new(UpdateUser::new(&[7; 64], user), &mut buffer, StubCrypto, rng()), &mut device).unwrap();
    assert_eq!(check(&device, 7).as_deref(), Some("New Name"));
}

#[test]
fn a_request_that_does_not_fit_says_how_much_it_takes() {
    let mut device = managed([]);
    let mut buffer = [0; 1024];
    let ceremony = Ceremony::new(DeleteCredential::new(&[7; 1023]), &mut buffer, StubCrypto, rng());
    let Err(Cause::BufferTooSmall { needed }) = run_op(ceremony, &mut device) else { panic!() };
    device.script = [vec![0]].into();
    device.max_msg_size = Some(2048);
    let mut buffer = vec![0; needed];
    run_op(Ceremony::new(DeleteCredential::new(&[7; 1023]), &mut buffer, StubCrypto, rng()), &mut device).unwrap();
}

#[test]
fn the_prototype_of_an_older_authenticator_is_used_with_its_plain_token() {
    let mut device = scripted(|options| options.credential_mgmt_preview = Some(true), three());
    device.options.pin_uv_auth_token = None;
    assert_eq!(rps(&mut device, Access::User).0, Ok(3));
    assert_eq!(sent(&device, Command::CREDENTIAL_MANAGEMENT_PREVIEW).len(), 3);
    assert!(device.permissions.is_empty());
}

#[test]
fn a_refused_token_is_renewed_once() {
    let refused = vec![Status::PIN_AUTH_INVALID.0];
    let mut device = managed([refused.clone(), ok("credential_management_metadata")]);
    let mut buffer = [0; 1024];
    let ceremony = Ceremony::new(CredentialsMetadata::new(Access::User), &mut buffer, StubCrypto, rng());
    assert!(run_op(ceremony, &mut device).is_ok());
    device.script = [refused.clone(), refused].into();
    let ceremony = Ceremony::new(CredentialsMetadata::new(Access::User), &mut buffer, StubCrypto, rng());
    assert_eq!(run_op(ceremony, &mut device), Err(status(Status::PIN_AUTH_INVALID)));
}

fn persistent<const N: usize>(script: [Vec<u8>; N]) -> Device<StubCrypto> {
    let mut device = managed(script);
    device.options.per_cred_mgmt_ro = Some(true);
    device
}

#[test]
fn a_stored_token_lists_credentials_without_the_user() {
    let mut device = persistent(three());
    let token = Token::new(PinUvAuthProtocol::Two, &[9; 32]).unwrap();
    assert_eq!(rps(&mut device, Access::Stored(&token)).0, Ok(3));
    assert!(sent(&device, Command::CLIENT_PIN).is_empty());
    let request = sent(&device, Command::CREDENTIAL_MANAGEMENT).remove(0);
    let request: Request = crate::cbor::decode(&request).unwrap();
    let proof = token.authenticate(&StubCrypto, PinUvAuthProtocol::Two, &[&[2]]);
    assert_eq!(request.pin_uv_auth_param.unwrap(), proof.as_bytes());
}

#[test]
fn a_stored_token_that_is_void_is_told_from_everything_else() {
    let token = Token::new(PinUvAuthProtocol::Two, &[9; 32]).unwrap();
    let mut device = persistent([vec![Status::PIN_AUTH_INVALID.0]]);
    assert_eq!(rps(&mut device, Access::Stored(&token)).0, Err(Cause::TokenRevoked));
    let mut device = persistent([vec![Status::OTHER.0]]);
    assert_eq!(rps(&mut device, Access::Stored(&token)).0, Err(status(Status::OTHER)));
    let mut device = managed(three());
    assert_eq!(rps(&mut device, Access::Stored(&token)).0, Err(Cause::Unsupported));
}

#[test]
fn the_persistent_token_is_handed_out_with_the_devices_identifier() {
    let mut device = persistent([]);
    device.amend = |info| info.enc_identifier = Some(&[5; 32]);
    let mut buffer = [0; 1024];
    let issued = run_op(Ceremony::new(GetPersistentToken::new(), &mut buffer, StubCrypto, rng()), &mut device).unwrap();
    assert_eq!(device.permissions, [u64::from(Permissions::PCMR.0)]);
    assert_eq!(
        device.proof(&[b"message"]),
        issued.token.authenticate(&StubCrypto, PinUvAuthProtocol::Two, &[b"message"]).as_bytes()
    );
    assert_eq!(issued.identifier, issued.token.decrypt_value(&StubCrypto, DEVICE_IDENTIFIER, &[5; 32]));
    assert!(!format!("{issued:?}").contains(&format!("{:?}", issued.token.as_bytes())));
    // Without permissions a token would be any.
    device.options.pin_uv_auth_token = None;
    let ceremony = Ceremony::new(GetPersistentToken::new(), &mut buffer, StubCrypto, rng());
    assert_eq!(run_op(ceremony, &mut device).unwrap_err(), Cause::Unsupported);
}

#[cfg(feature = "rustcrypto")]
#[test]
fn a_device_is_recognized_by_its_published_identifier() {
    use crate::crypto::RustCrypto;
    let sealed = hex("000102030405060708090a0b0c0d0e0f950db03dca8753b05035dc5d020521e8");
    let state = hex("000102030405060708090a0b0c0d0e0f9d8353747bccca46a54c782a0228f43b");
    let token = Token::new(PinUvAuthProtocol::Two, &[0x11; 32]).unwrap();
    let other = Token::new(PinUvAuthProtocol::Two, &[0x12; 32]).unwrap();
    assert_eq!(token.decrypt_value(&RustCrypto, CRED_STORE_STATE, &state), Some(*b"store-state-1234"));
    let identifier = b"identifier-12345";
    let known = [(&other, identifier), (&token, b"identifier-54321"), (&token, identifier)];
    assert_eq!(recognize(&RustCrypto, &sealed, known), Some(2));
    assert_eq!(recognize(&RustCrypto, &sealed[..31], known), None);
    assert_eq!(recognize(&RustCrypto, &sealed, [(&other, identifier)]), None);
}

#[cfg(feature = "rustcrypto")]
#[test]
fn published_proofs_are_made() {
    use crate::crypto::RustCrypto;
    let token = Token::new(PinUvAuthProtocol::Two, &[0x11; 32]).unwrap();
    let mut device = Device::managed(RustCrypto);
    device.options.cred_mgmt = Some(true);
    device.options.per_cred_mgmt_ro = Some(true);
    device.script = [ok("credential_management_metadata"), vec![Status::NO_CREDENTIALS.0]].into();
    let mut buffer = [0; 1024];
    let hash: [u8; 32] = hex("a379a6f6eeafb9a55e378c118034e2751e682fab9f2d30ab13d2125586ce1947").try_into().unwrap();
    let access = Access::Stored(&token);
    run_op(Ceremony::new(CredentialsMetadata::new(access), &mut buffer, RustCrypto, rng()), &mut device).unwrap();
    run_op(Ceremony::new(ListCredentials::new(&hash, access), &mut buffer, RustCrypto, rng()), &mut device).unwrap();
    let proofs = sent(&device, Command::CREDENTIAL_MANAGEMENT);
    let proofs: Vec<_> = proofs.iter().map(|request| request[request.len() - 32..].to_vec()).collect();
    assert_eq!(proofs[0], hex("c4ede064b5f2a51225b2175e5b84fb73f9cec689ac3d912ac4878f7ebeab0149"));
    assert_eq!(proofs[1], hex("3b7bbe7f464fcf3aea952075c965b353851517a78e12763edb3a406d93e631bb"));
}
