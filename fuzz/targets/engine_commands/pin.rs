//! The PIN, the token, and the reset.

use keyfob_core::{Status, ctap2::Command, pin_uv::PinUvAuthProtocol};
use keyfob_fuzz::key::{Key, UserAction, status};
use keyfob_soft_authenticator::engine::RESET_WINDOW;

use crate::model::{Held, Model, PERMISSIONS, PINS, RETRIES};

pub fn set_pin(key: &mut Key<'_>, model: &mut Model, protocol: PinUvAuthProtocol, pin: u8) {
    let pin = usize::from(pin) % 3;
    let expected = match (model.pin, pin) {
        (Some(_), _) => Status::PIN_AUTH_INVALID,
        (None, pin) if model.too_short(pin) => Status::PIN_POLICY_VIOLATION,
        (None, _) => Status::OK,
    };
    let answer = key.set_pin(protocol, PINS[pin]);
    if key.aborted {
        return;
    }
    assert_eq!(answer, expected);
    if expected.is_ok() {
        (model.pin, model.retries, model.strikes) = (Some(pin), RETRIES, 0);
    }
}

pub fn change_pin(key: &mut Key<'_>, model: &mut Model, protocol: PinUvAuthProtocol, pins: u8) {
    let (old, new) = (usize::from(pins) % 3, usize::from(pins) / 3 % 3);
    let mut expected = model.attempt(old);
    if expected.is_ok() && (model.too_short(new) || model.force_pin_change && new == old) {
        expected = Status::PIN_POLICY_VIOLATION;
    }
    let answer = key.change_pin(protocol, PINS[old], PINS[new]);
    if key.aborted {
        return;
    }
    assert_eq!(answer, expected);
    if expected.is_ok() {
        (model.pin, model.token, model.force_pin_change) = (Some(new), None, false);
    }
}

pub fn token(key: &mut Key<'_>, model: &mut Model, protocol: PinUvAuthProtocol, asked: u8) {
    let (pin, permissions) = (usize::from(asked) % 3, PERMISSIONS[usize::from(asked) / 3 % 4]);
    let mut expected = model.attempt(pin);
    if expected.is_ok() && model.force_pin_change {
        expected = Status::PIN_POLICY_VIOLATION;
    }
    let token = key.token(protocol, PINS[pin], permissions, None);
    if key.aborted {
        return;
    }
    assert_eq!(token.as_ref().map_or_else(|status| *status, |_| Status::OK), expected);
    if let Ok(token) = token {
        model.token = Some(Held { protocol, token, permissions, issued: key.now });
    }
}

pub fn reset(key: &mut Key<'_>, model: &mut Model) {
    let expected = match key.user {
        _ if key.now.since(model.powered_up) >= RESET_WINDOW => Status::NOT_ALLOWED,
        UserAction::Touches => Status::OK,
        UserAction::Declines => Status::OPERATION_DENIED,
        UserAction::Sleeps => Status::USER_ACTION_TIMEOUT,
    };
    let answer = status(&key.call(&[Command::RESET.0]));
    if key.aborted {
        return;
    }
    assert_eq!(answer, expected);
    if expected.is_ok() {
        *model = Model::new(model.powered_up);
    }
}
