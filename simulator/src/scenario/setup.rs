//! The conditions of a world: the authenticator's configuration and the rate of faults.

use keyfob_soft_authenticator::{
    Caps,
    devices::{VIRTUAL_KEY_AAGUID, virtual_key_certificate},
    engine::{AttestationMode, Config},
};

use crate::{dice::Dice, tap::Backend, wire::WireFaults};

/// The rates of faults in a world.
#[derive(Clone, Copy, Debug)]
pub struct Intensity {
    /// Faults on the wire.
    pub faults: WireFaults,
    /// Whether there is another client.
    pub rival: bool,
    /// In how many of 100 ceremonies the power is cut.
    pub cuts: u64,
    /// Whether there is an adversary.
    pub adversary: bool,
    /// In how many of 100 ceremonies the user does not cooperate.
    pub moody: u64,
}

/// A random valid configuration.
pub fn configuration<C: Backend>(dice: &mut Dice) -> Config<'static> {
    let mut config = Config::new(VIRTUAL_KEY_AAGUID);
    let mut without = |caps: Caps, percent: u64, config: &mut Config<'_>| {
        if dice.percent(percent) {
            config.caps = config.caps.without(caps);
        }
    };
    without(Caps::DISCOVERABLE, 10, &mut config);
    without(Caps::TOKEN_PERMISSIONS, 30, &mut config);
    without(Caps::MAKE_CRED_UV_NOT_RQD, 40, &mut config);
    without(Caps::EDDSA, 20, &mut config);
    without(Caps::SELECTION, 20, &mut config);
    match dice.below(10) {
        0..3 => config.caps = config.caps.without(Caps::PROTOCOL_ONE),
        3..6 => config.caps = config.caps.without(Caps::PROTOCOL_TWO),
        6 => {
            let pin = Caps::CLIENT_PIN.with(Caps::PROTOCOL_ONE).with(Caps::PROTOCOL_TWO).with(Caps::TOKEN_PERMISSIONS);
            config.caps = config.caps.without(pin);
        }
        _ => {}
    }
    if config.caps.has(Caps::CLIENT_PIN) && dice.percent(10) {
        config.caps = config.caps.with(Caps::NO_MC_GA_WITH_PIN);
    }
    if dice.percent(30) {
        config.caps = config.caps.with(Caps::FULLY_SPECIFIED);
    }
    if dice.percent(30) {
        config.caps = config.caps.with(Caps::BUILT_IN_UV).with(Caps::BIO_ENROLL);
    }
    config.caps = config.caps.consistent();
    config.max_msg_size = dice.pick(&[1024, 1200, 2048, 7609]);
    config.min_pin_length = dice.pick(&[4, 4, 6, 8]);
    config.max_pin_retries = dice.pick(&[8, 8, 5, 3, 1]);
    config.attestation = match dice.below(3) {
        0 => AttestationMode::None,
        1 if C::REAL => AttestationMode::Certified(virtual_key_certificate()),
        _ => AttestationMode::Own,
    };
    if matches!(config.attestation, AttestationMode::Certified(_)) {
        config.max_msg_size = config.max_msg_size.max(1200); // room for the certificate
    }
    config
}

/// A random intensity; a third of all worlds is calm.
pub fn intensity(adversary: bool, dice: &mut Dice) -> Intensity {
    let calm = dice.percent(35);
    let per_mille = if calm { 0 } else { dice.pick(&[0, 2, 10, 50, 200]) };
    let mut share = || if per_mille == 0 { 0 } else { dice.below(per_mille + 1) };
    let faults = WireFaults { lose: share(), corrupt: share(), double: share(), delay: share() };
    Intensity {
        faults,
        rival: !calm && dice.percent(30),
        cuts: if calm { 0 } else { dice.pick(&[0, 0, 20, 60]) },
        adversary,
        moody: dice.pick(&[0, 20, 60]),
    }
}

/// A user handle that is so long that bit flips do not turn it into another one.
pub fn user_handle(dice: &mut Dice) -> Vec<u8> {
    let handle: [u8; 64] = dice.bytes();
    handle[..dice.pick(&[8, 16, 64])].to_vec()
}
