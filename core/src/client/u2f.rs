//! Authenticators of version 1: their answers, rewritten as those of version 2 (CTAP 2.3 §7).
//!
//! ```text
//! register        public key, key handle, certificate, signature   ──▶ "fido-u2f", authData with UP and AT, {sig, x5c}
//! authenticate    user presence, counter, signature                ──▶ credential, authData, signature
//! ```

use heapless::Vec;

use super::{Cause, operation::Room};
use crate::{
    Status,
    auth_data::{AttestedCredentialData, AuthData, Flags},
    bytes,
    cbor::Writer,
    cose::{Algorithm, CoseKey, Curve},
    crypto::{self, P256Point},
    ctap1::{AuthenticateResponse, MAX_KEY_HANDLE, RegisterResponse, ResponseError, StatusWord, response_data},
    ctap2::{CredentialDescriptor, encode_response, get_assertion},
};

/// The longest ECDSA signature with P-256, DER, in bytes.
const MAX_SIGNATURE: usize = 72;

impl From<ResponseError> for Cause {
    fn from(error: ResponseError) -> Self {
        Self::Ctap1(error)
    }
}

/// Whether the authenticator waits for a touch.
pub fn waits(response: &[u8]) -> bool {
    response_data(response) == Err(ResponseError::Status(StatusWord::CONDITIONS_NOT_SATISFIED))
}

/// Whether the answer to a check says that the key handle is known.
///
/// # Errors
/// When it is malformed.
pub fn knows(response: &[u8]) -> Result<bool, Cause> {
    match response_data(response) {
        Ok(_) | Err(ResponseError::Status(StatusWord::CONDITIONS_NOT_SATISFIED)) => Ok(true),
        Err(ResponseError::Status(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A part of an answer, out of the way of what is written over it.
fn copied<const N: usize>(part: &[u8]) -> Result<Vec<u8, N>, ResponseError> {
    Vec::from_slice(part).map_err(|_| ResponseError::Length)
}

/// Rewrites the answer to a registration.
///
/// # Errors
/// [`Cause::Ctap1`], [`Cause::Crypto`] for a key that is no uncompressed point, [`Cause::BufferTooSmall`].
pub fn registration(room: &mut Room<'_>, rp_id_hash: &[u8; 32]) -> Result<(), Cause> {
    let answer = RegisterResponse::decode(room.response())?;
    let public_key = *answer.public_key;
    let coordinates = public_key.split_last_chunk().filter(|(form, _)| **form == [0x04]);
    let coordinates = coordinates.map(|(_, coordinates)| P256Point::from_bytes(coordinates));
    let P256Point { x, y } = coordinates.ok_or(Cause::Crypto(crypto::Error::InvalidKey))?;
    let key_handle = copied::<MAX_KEY_HANDLE>(answer.key_handle)?;
    let signature = copied::<MAX_SIGNATURE>(answer.signature)?;
    let certificate = answer.certificate.len();
    // Before it: a byte, the key, the key handle's length and the key handle.
    let start = key_handle.len().saturating_add(67);

    let auth_data = AuthData {
        rp_id_hash,
        flags: Flags::UP,
        sign_count: 0,
        attested_credential_data: Some(AttestedCredentialData {
            aaguid: &[0; 16],
            credential_id: &key_handle,
            public_key: CoseKey::Ec2 { algorithm: Algorithm::ES256, curve: Curve::P256, x: &x, y: &y },
        }),
        extensions: None,
    };
    let front = |w: &mut Writer<'_>| {
        w.byte(Status::OK.0);
        w.map(3);
        w.unsigned(0x01);
        w.text("fido-u2f");
        w.unsigned(0x02);
        w.bytes_head(auth_data.encoded_len());
        auth_data.encode(w);
        w.unsigned(0x03);
        w.map(2);
        w.text("sig");
        w.bytes(&signature);
        w.text("x5c");
        w.array(1);
        w.bytes_head(certificate);
    };
    let mut measure = Writer::new(&mut []);
    front(&mut measure);
    let (at, needed) = (measure.len(), measure.len().saturating_add(certificate));
    if needed > room.bytes.len() {
        return Err(Cause::BufferTooSmall { needed });
    }
    bytes::shift(room.bytes, start..start.saturating_add(certificate), at);
    front(&mut Writer::new(bytes::front_mut(room.bytes, at)));
    room.len = needed;
    Ok(())
}

/// Rewrites the answer to a sign-in with `key_handle`.
///
/// # Errors
/// [`Cause::Ctap1`], [`Cause::BufferTooSmall`].
pub fn assertion(room: &mut Room<'_>, rp_id_hash: &[u8; 32], key_handle: &[u8]) -> Result<(), Cause> {
    let answer = AuthenticateResponse::decode(room.response())?;
    let signature = copied::<MAX_SIGNATURE>(answer.signature)?;
    let auth_data = AuthData {
        rp_id_hash,
        flags: Flags(answer.user_presence & Flags::UP.0),
        sign_count: answer.counter,
        attested_credential_data: None,
        extensions: None,
    };
    let mut encoded = [0; 37];
    auth_data.encode(&mut Writer::new(&mut encoded));
    let response = get_assertion::Response {
        credential: Some(CredentialDescriptor::new(key_handle)),
        auth_data: &encoded,
        signature: &signature,
        user: None,
        number_of_credentials: None,
        user_selected: None,
        large_blob_key: None,
        unsigned_extension_outputs: None,
    };
    room.len = encode_response(&response, room.bytes)?;
    Ok(())
}
