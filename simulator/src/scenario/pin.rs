//! Setting and changing the PIN, and the reset, with single requests instead of ceremonies.

use keyfob_core::{
    Status,
    cose::CoseKey,
    crypto::P256Point,
    ctap2::{self, Command, client_pin},
    pin_uv::{self, PaddedPin, PinHash, PinUvAuthProtocol, SharedSecret},
    transport,
};
use keyfob_soft_authenticator::Caps;
use rand_core::CryptoRng;

use super::{Check, Script};
use crate::{dice::Dice, tap::Backend, world::TimedAction};

impl<C: Backend> Script<'_, C> {
    /// Sets the first PIN, or changes it.
    pub(super) fn set_pin(&mut self) -> Check {
        let config = self.world.config;
        let crypto = self.world.crypto();
        let mut rng = self.world.dice.fork();
        let protocol = self.world.dice.pick(&[PinUvAuthProtocol::One, PinUvAuthProtocol::Two]);
        let pin = new_pin(&mut self.world.dice);
        let old = self.pin()?;
        let knows_old = self.world.dice.percent(80);
        self.world.note(|| format!("set the PIN {pin:?} after {old:?} with protocol {protocol:?}"));
        let offered = match protocol {
            PinUvAuthProtocol::One => Caps::PROTOCOL_ONE,
            _ => Caps::PROTOCOL_TWO,
        };
        let blocked = old.is_some() && self.world.flash.ledger().retries == Some(0);
        let padded = PaddedPin::new(&pin, 0).map_err(|error| format!("{error:?}"))?;
        let long_enough = padded.code_points() >= usize::from(config.min_pin_length);
        let possible = config.caps.has(Caps::CLIENT_PIN.with(offered))
            && long_enough
            && (old.is_none() || (knows_old && !blocked));

        self.chosen.push(pin.clone());
        self.secrets_of(&pin);
        if self.quiet && old.is_some() {
            self.world.replug(); // lifts PIN_AUTH_BLOCKED
        }
        let (public, shared) = match self.agree(protocol, &mut rng) {
            Ok(agreed) => agreed,
            Err(status) => return self.pin_outcome(status, false, possible),
        };
        let (mut new_pin_enc, mut pin_hash_enc) = ([0; 80], [0; 32]);
        let encrypt = |rng: &mut _, clear: &[u8], out: &mut [u8]| {
            shared.encrypt(&crypto, rng, clear, out).map_err(|error| format!("{error:?}"))
        };
        let len = encrypt(&mut rng, padded.as_bytes(), &mut new_pin_enc)?;
        let new_pin_enc = &new_pin_enc[..len];
        let given = if knows_old { old.clone().unwrap_or_default() } else { "not the PIN".into() };
        let len = encrypt(&mut rng, &PinHash::of(&crypto, given.as_bytes()).0, &mut pin_hash_enc)?;
        let pin_hash_enc = old.as_ref().map(|_| &pin_hash_enc[..len]);
        let param = shared.authenticate(&crypto, &[new_pin_enc, pin_hash_enc.unwrap_or_default()]);
        let sub_command = match old {
            None => client_pin::subcommand::SET_PIN,
            Some(_) => client_pin::subcommand::CHANGE_PIN,
        };
        self.proofs += u32::from(old.is_some() && knows_old);
        let request = client_pin::Request {
            pin_uv_auth_protocol: Some(protocol.number()),
            sub_command: Some(sub_command),
            key_agreement: Some(CoseKey::key_agreement(&public)),
            pin_uv_auth_param: Some(param.as_bytes()),
            new_pin_enc: Some(new_pin_enc),
            pin_hash_enc,
            ..client_pin::Request::default()
        };
        let status = self.pin_exchange(&request).and_then(|answer| answer.first().copied());
        let set = self.pin()?.as_ref() == Some(&pin);
        self.pin_outcome(status, set, possible)
    }

    pub(super) fn secrets_of(&self, pin: &str) {
        self.world.secrets.add(pin.as_bytes());
        self.world.secrets.add(&PinHash::of(&self.world.crypto(), pin.as_bytes()).0);
    }

    /// Performs key agreement with the authenticator.
    ///
    /// # Errors
    /// The status of the answer, if there was one.
    pub(super) fn agree<R: CryptoRng>(
        &mut self,
        protocol: PinUvAuthProtocol,
        rng: &mut R,
    ) -> Result<(P256Point, SharedSecret), Option<u8>> {
        let request = client_pin::Request {
            pin_uv_auth_protocol: Some(protocol.number()),
            sub_command: Some(client_pin::subcommand::GET_KEY_AGREEMENT),
            ..client_pin::Request::default()
        };
        let answer = self.pin_exchange(&request).ok_or(None)?;
        ctap2::decode_response::<client_pin::Response<'_>>(&answer)
            .ok()
            .and_then(|response| response.key_agreement)
            .and_then(|key| pin_uv::encapsulate(&self.world.crypto(), rng, protocol, &key).ok())
            .ok_or(answer.first().copied())
    }

    pub(super) fn pin_exchange(&mut self, request: &client_pin::Request<'_>) -> Option<Vec<u8>> {
        let mut message = [0; 512];
        let len = ctap2::encode_request(Command::CLIENT_PIN, request, &mut message).ok()?;
        self.world.exchange(transport::Protocol::Ctap2, &message[..len], 60_000)
    }

    fn pin_outcome(&mut self, status: Option<u8>, set: bool, possible: bool) -> Check {
        let status = status.map(Status);
        self.world.note(|| format!("clientPIN answers {status:?}"));
        if self.world.disturbed > 0 || !self.quiet {
            self.quiet = false;
            return Ok(());
        }
        match (status == Some(Status::OK), possible) {
            (true, true) if set => Ok(()),
            (false, false) => Ok(()),
            _ => Err(format!("setting a PIN: {status:?}, set: {set}, can be: {possible}")),
        }
    }

    /// Resets the authenticator, or tries it too late or without a touch.
    pub(super) fn reset(&mut self) -> Check {
        self.world.user =
            self.world.dice.pick(&[TimedAction::Touches(0), TimedAction::Touches(2_000), TimedAction::Away]);
        let consents = self.world.user != TimedAction::Away;
        if self.world.dice.percent(80) {
            self.world.replug();
        }
        self.world.note(|| "reset".into());
        let before = self.world.flash.ledger().resets;
        let answer = self.world.exchange(transport::Protocol::Ctap2, &[Command::RESET.0], 60_000);
        let after = self.world.flash.ledger().resets;
        let ok = answer.as_deref() == Some(&[0]);
        if self.world.disturbed > 0 || !self.quiet {
            self.quiet = false;
            return Ok(());
        }
        match (ok, after - before) {
            (true, 1) if consents => Ok(()),
            (false, 0) => Ok(()),
            (_, happened) => Err(format!("reset answered {answer:02x?} and happened {happened} times")),
        }
    }
}

/// A PIN of at least four code points and at least eight bytes, so that it does not appear on the wire by chance.
pub(super) fn new_pin(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => (0..dice.between(4, 8)).map(|_| char::from_u32(0x1F600 + dice.below(64) as u32).unwrap_or('x')).collect(),
        1 => (0..63).map(|_| char::from(b'a' + dice.below(26) as u8)).collect(),
        _ => (0..dice.between(10, 16)).map(|_| char::from(b'0' + dice.below(10) as u8)).collect(),
    }
}
