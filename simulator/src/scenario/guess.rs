//! Software guesses the PIN and aborts each attempt after the same number of atoms, so that the PIN is not compared.
//! The ledger checks that there are at most three consecutive attempts until the power is cut.

use keyfob_core::{
    cose::CoseKey,
    ctap2::client_pin,
    pin_uv::{PinHash, PinUvAuthProtocol},
};
use keyfob_soft_authenticator::Caps;

use super::{Check, Script};
use crate::{
    adversary::{Adversary, Blow},
    tap::Backend,
};

/// Atoms before the blow: none; the counting of the attempt; and the comparison, after which the blow comes too late.
const ATOMS: [u64; 4] = [0, 1, 1, 2];

impl<C: Backend> Script<'_, C> {
    /// If a PIN is set, guesses it up to ten times.
    pub(super) fn guess(&mut self) -> Check {
        let caps = self.world.config.caps;
        if !caps.has(Caps::CLIENT_PIN) || self.pin()?.is_none() {
            return Ok(());
        }
        self.heal();
        self.world.replug(); // lifts PIN_AUTH_BLOCKED
        self.quiet = false;
        let protocol = if caps.has(Caps::PROTOCOL_TWO) { PinUvAuthProtocol::Two } else { PinUvAuthProtocol::One };
        let (atoms, blow) = (self.world.dice.pick(&ATOMS), self.world.dice.pick(&Blow::BY_SOFTWARE));
        self.world.note(|| format!("software guesses the PIN, with {blow:?} after {atoms} atoms"));
        for _ in 0..self.world.dice.between(4, 10) {
            self.world.adversary = None;
            let crypto = self.world.crypto();
            let mut rng = self.world.dice.fork();
            let Ok((public, shared)) = self.agree(protocol, &mut rng) else { continue };
            let mut pin_hash_enc = [0; 32];
            let guess = PinHash::of(&crypto, b"not the PIN").0;
            let len = shared.encrypt(&crypto, &mut rng, &guess, &mut pin_hash_enc);
            let len = len.map_err(|error| format!("{error:?}"))?;
            self.world.adversary = Some(Adversary::once(atoms, blow));
            self.pin_exchange(&client_pin::Request {
                pin_uv_auth_protocol: Some(protocol.number()),
                sub_command: Some(client_pin::subcommand::GET_PIN_TOKEN),
                key_agreement: Some(CoseKey::key_agreement(&public)),
                pin_hash_enc: Some(&pin_hash_enc[..len]),
                ..client_pin::Request::default()
            });
        }
        self.world.adversary = None;
        Ok(())
    }
}
