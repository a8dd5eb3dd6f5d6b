//! Tokens: asked for by PIN or by built-in user verification (CTAP 2.3 §6.5.5.7), granted to an operation, and used
//! again where a session lends them and takes them back.

use rand_core::CryptoRng;

use super::{Action, Authorization, Context, PIN_HASH_ENC, PinStanding, State, send};
use crate::{
    bytes::Secret,
    client::{
        Cause, Reason,
        facts::{AuthorizationMethod, Facts},
    },
    cose::CoseKey,
    crypto::{Crypto, Hash, P256Point},
    ctap2::client_pin::{Request, Response, subcommand},
    pin_uv::{MAX_TOKEN, Mac, Permissions, PinHash, PinUvAuthProtocol, SharedSecret, Token},
};

/// What an operation may use.
#[derive(Clone, Copy, Debug)]
pub enum Grant<'a> {
    /// No user verification.
    None,
    /// Built-in user verification within the command.
    BuiltIn,
    /// A token.
    Token(PinUvAuthProtocol, &'a Token),
}

/// The result of encapsulate (CTAP 2.3 §6.5.4): the platform's public key, and the secret it shares with the
/// authenticator.
#[derive(Clone, Debug)]
pub struct Encapsulated {
    pub public: P256Point,
    pub shared: SharedSecret,
}

impl Grant<'_> {
    /// Whether the user is verified.
    pub const fn verifies(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// The pinUvAuthParam of the concatenated `message`, and its protocol's number.
    pub fn authenticate<C: Hash>(&self, crypto: &C, message: &[&[u8]]) -> Option<(Mac, u32)> {
        match self {
            Self::Token(protocol, token) => Some((token.authenticate(crypto, *protocol, message), protocol.number())),
            _ => None,
        }
    }

    /// The command's option `uv`: only for built-in user verification, some authenticators refuse it beside a token.
    pub const fn uv_option(&self) -> Option<bool> {
        match self {
            Self::BuiltIn => Some(true),
            _ => None,
        }
    }
}

/// Writes the request for a token: with permissions where the authenticator knows them.
pub(super) fn ask_token<C: Crypto, R: CryptoRng>(
    cx: &mut Context<'_, C, R>,
    method: Option<AuthorizationMethod>,
    Encapsulated { public, shared }: &Encapsulated,
    pin_hash: Option<&PinHash>,
) -> Result<Action, Cause> {
    let mut pin_hash_enc = [0; PIN_HASH_ENC];
    let pin_hash_enc = encrypt(cx, shared, pin_hash.map(|hash| hash.0.as_slice()), &mut pin_hash_enc)?;
    // A token with permissions has at least one. Where the PIN alone is verified it has none.
    let with_permissions =
        cx.facts.options.pin_uv_auth_token == Some(true) && cx.purpose.permissions != Permissions::NONE;
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

    /// Takes what a session has: a token for this purpose, and the hash of the PIN where the PIN is the method. A PIN
    /// does not stand in for built-in user verification that fails or is refused: then the user is asked for it.
    pub fn borrow(&mut self, token: Option<&Token>, pin_hash: Option<&PinHash>) {
        self.keeps_pin = true;
        let pin_hash = pin_hash.filter(|_| self.method == Some(AuthorizationMethod::Pin));
        self.pin_standing = if pin_hash.is_some() { PinStanding::Lent } else { PinStanding::Given };
        self.pin_hash = pin_hash.cloned();
        if let (Some(token), Some(AuthorizationMethod::Pin | AuthorizationMethod::BuiltInToken)) = (token, self.method)
        {
            self.token = token.clone();
            self.token_is_lent = true;
        }
    }

    /// What a session can use again: the token that was granted by PIN or by built-in user verification, and the hash
    /// of that PIN.
    pub fn obtained(&self) -> Option<(&Token, Option<&PinHash>)> {
        let obtained = matches!(self.method, Some(AuthorizationMethod::Pin | AuthorizationMethod::BuiltInToken))
            && !self.token_is_lent;
        obtained.then_some((&self.token, self.pin_hash.as_ref().filter(|_| self.has_pin())))
    }

    /// Whether the token is the session's.
    pub const fn has_lent_token(&self) -> bool {
        self.token_is_lent
    }

    /// Forgets what the session lent: its token was refused.
    pub fn begin_anew(&mut self) {
        *self = Self { pin_attempts: self.pin_attempts, reason: Reason::TokenRefused, ..Self::new() };
    }

    /// Whether a token that is refused is renewed.
    pub fn renews(&self) -> bool {
        matches!(self.method, Some(AuthorizationMethod::Pin | AuthorizationMethod::BuiltInToken))
            && (self.token_is_lent || !self.renewed)
    }

    /// Whether it is renewed without asking the user.
    pub fn renews_by_itself(&self) -> bool {
        self.renews() && self.method == Some(AuthorizationMethod::Pin) && self.has_pin()
    }

    /// Whether the authenticator has been sent the PIN and has not answered.
    pub fn is_trying_pin(&self) -> bool {
        self.method == Some(AuthorizationMethod::Pin) && self.state == State::Token
    }

    /// A response to the command was accepted: the next request may find the token used up.
    pub fn accepted(&mut self) {
        self.renewed = false;
    }
}

/// Encrypts `plaintext` and returns the part of `out` that holds the ciphertext; `None` without a plaintext.
pub fn encrypt<'o, C: Crypto, R: CryptoRng>(
    cx: &mut Context<'_, C, R>,
    shared: &SharedSecret,
    plaintext: Option<&[u8]>,
    out: &'o mut [u8],
) -> Result<Option<&'o [u8]>, Cause> {
    let Some(plaintext) = plaintext else { return Ok(None) };
    let len = shared.encrypt(cx.crypto, cx.rng, plaintext, out)?;
    Ok(out.get(..len))
}
