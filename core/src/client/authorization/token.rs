//! Asking for a token, by PIN or by built-in user verification, and what comes of it (CTAP 2.3 §6.5.5.7).

use rand_core::CryptoRng;

use super::{Action, Authorization, Context, Encapsulated, PIN_HASH_ENC, encrypt, send};
use crate::{
    bytes::Secret,
    client::{
        Cause,
        facts::{AuthorizationMethod, Facts},
    },
    cose::CoseKey,
    crypto::Crypto,
    ctap2::client_pin::{Request, Response, subcommand},
    pin_uv::{MAX_TOKEN, PinHash, PinUvAuthProtocol, SharedSecret, Token},
};

/// Writes the request for a token: with permissions where the authenticator knows them.
pub(super) fn ask_token<C: Crypto, R: CryptoRng>(
    cx: &mut Context<'_, C, R>,
    method: Option<AuthorizationMethod>,
    Encapsulated { public, shared }: &Encapsulated,
    pin_hash: Option<&PinHash>,
) -> Result<Action, Cause> {
    let mut pin_hash_enc = [0; PIN_HASH_ENC];
    let pin_hash_enc = encrypt(cx, shared, pin_hash.map(|hash| hash.0.as_slice()), &mut pin_hash_enc)?;
    let with_permissions = cx.facts.options.pin_uv_auth_token == Some(true);
    let sub_command = match method {
        Some(AuthorizationMethod::BuiltInToken) => subcommand::GET_TOKEN_USING_UV,
        _ if with_permissions => subcommand::GET_TOKEN_USING_PIN,
        _ => subcommand::GET_PIN_TOKEN,
    };
    let request = Request {
        pin_uv_auth_protocol: Some(shared.protocol().number()),
        sub_command: Some(sub_command),
        key_agreement: Some(CoseKey::key_agreement(public)),
        pin_hash_enc,
        permissions: with_permissions.then_some(u64::from(cx.purpose.permissions.0)),
        rp_id: cx.purpose.rp_id.filter(|_| with_permissions),
        ..Request::default()
    };
    send(cx, &request)
}

/// The token of a response. Version 2.1 fixed its length, protocol one had allowed any multiple of 16 bytes.
pub(super) fn open_token<C: Crypto>(
    crypto: &C,
    facts: &Facts,
    shared: &SharedSecret,
    response: &Response<'_>,
) -> Result<Token, Cause> {
    let encrypted = response.pin_uv_auth_token.ok_or(Cause::missing(0x02))?;
    let mut clear = Secret([0; MAX_TOKEN]);
    let token = shared.decrypt(crypto, encrypted, &mut *clear).ok().and_then(|len| clear.get(..len));
    let token = token.and_then(|token| match shared.protocol() {
        PinUvAuthProtocol::One if !facts.is_2_1 => Token::of_version_2_0(crypto, token),
        protocol => Token::new(protocol, token),
    });
    token.ok_or(Cause::InvalidToken)
}

impl Authorization {
    pub(super) fn token_issued<C, R>(&mut self, cx: &mut Context<'_, C, R>, token: Token) -> Result<Action, Cause> {
        if !self.keeps_pin {
            self.pin_hash = None;
        }
        self.token = token;
        self.granted(cx)
    }
}
