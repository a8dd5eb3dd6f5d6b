//! Setting the PIN of a key that has none.

use std::time::Duration;

use keyfob_core::{
    Status,
    crypto::Crypto,
    ctap2::{
        Command, ResponseError,
        client_pin::{Request, Response, subcommand},
        decode_response, encode_request,
    },
    pin_uv::{self, PaddedPin, PinError, Protocol},
    transport::{self, Received, Transport},
};
use rand_core::CryptoRng;

/// How long the key may be silent.
const PATIENCE: Duration = Duration::from_secs(5);

/// Checks a PIN without a key. Errors: one line for the user.
pub fn check(pin: &str, min_length: usize) -> Result<PaddedPin, String> {
    PaddedPin::new(pin, min_length).map_err(|error| match error {
        PinError::TooShort => format!("the PIN is too short: it takes at least {min_length} characters"),
        PinError::TooLong => format!("the PIN is too long: it takes at most {} bytes", pin_uv::MAX_PIN_BYTES),
        PinError::TrailingZero => "the PIN must not end in a zero byte".into(),
    })
}

/// Sets the first PIN. Errors: one line for the user.
pub fn set(
    transport: &mut impl Transport,
    crypto: &impl Crypto,
    rng: &mut impl CryptoRng,
    protocol: Protocol,
    pin: &PaddedPin,
) -> Result<(), String> {
    let mut buffer = [0; 1024];
    let mut request = Request {
        pin_uv_auth_protocol: Some(protocol.number()),
        sub_command: Some(subcommand::GET_KEY_AGREEMENT),
        ..Request::default()
    };
    let len = exchange(transport, &request, &mut buffer)?;
    let response: Response<'_> = decode_response(&buffer[..len]).map_err(describe)?;
    let key = response.key_agreement.ok_or("the key answered without a key agreement key")?;
    let (point, shared) = pin_uv::encapsulate(crypto, rng, protocol, &key)
        .map_err(|_| "the key agreement key is not a point on P-256")?;

    let mut new_pin = [0; 80];
    let len = shared.encrypt(crypto, rng, pin.as_bytes(), &mut new_pin).map_err(|error| format!("{error:?}"))?;
    let param = shared.authenticate(crypto, &[&new_pin[..len]]);
    request.sub_command = Some(subcommand::SET_PIN);
    request.key_agreement = Some(keyfob_core::cose::CoseKey::key_agreement(&point));
    request.new_pin_enc = Some(&new_pin[..len]);
    request.pin_uv_auth_param = Some(param.as_bytes());
    let mut buffer = [0; 1024];
    let len = exchange(transport, &request, &mut buffer)?;
    match buffer[..len].first().map(|status| Status(*status)) {
        Some(Status::OK) => Ok(()),
        Some(Status::PIN_AUTH_INVALID) => Err("the key has a PIN already".into()),
        Some(status) => Err(format!("the key refuses the PIN: {status}")),
        None => Err("the key answered nothing".into()),
    }
}

fn exchange(transport: &mut impl Transport, request: &Request<'_>, buffer: &mut [u8]) -> Result<usize, String> {
    let len = encode_request(Command::CLIENT_PIN, request, buffer).map_err(|error| error.to_string())?;
    transport.send(transport::Protocol::Ctap2, &buffer[..len]).map_err(|_| "the key does not take requests")?;
    loop {
        match transport.receive(buffer, PATIENCE).map_err(|_| "the key is gone")? {
            Received::Response(len) => return Ok(len),
            Received::KeepAlive(_) => {}
            Received::Nothing => return Err("the key does not answer".into()),
        }
    }
}

fn describe(error: ResponseError) -> String {
    match error {
        ResponseError::Status(status) => format!("the key answered {status}"),
        ResponseError::Decode(error) => format!("the key's answer is malformed: {error}"),
        ResponseError::Empty => "the key answered nothing".into(),
    }
}
