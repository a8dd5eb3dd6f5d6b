//! An adversary that interrupts the authenticator between two atoms of its work. It hits the exact moment; a real
//! attacker gets there by trying often enough.

use keyfob_core::{
    Instant,
    transport::hid::{HidCommand, REPORT_LEN},
};

use crate::{Mutation, dice::Dice, tap::Backend, world::World};

/// An interruption between two atoms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// CANCEL on the client's channel.
    Cancel,
    /// INIT on the client's channel.
    Init,
    /// INIT on the broadcast channel, and a request on another channel.
    Strangers,
    /// The power is cut.
    PowerCut,
}

impl Blow {
    /// The interruptions that software on the host can cause.
    pub const BY_SOFTWARE: [Blow; 3] = [Self::Cancel, Self::Init, Self::Strangers];
    const ALL: [Blow; 4] = [Self::Cancel, Self::Init, Self::Strangers, Self::PowerCut];
}

/// The adversary, which knows CTAPHID. It strikes only while a command is pending.
pub struct Adversary {
    /// Atoms until the next blow; `None` after the last.
    left: Option<u64>,
    blow: Blow,
    /// The maximum number of atoms between two blows. `None` if there is only one blow.
    pause: Option<u64>,
}

impl Adversary {
    /// An adversary that strikes once, after this many atoms.
    pub fn once(atoms: u64, blow: Blow) -> Self {
        Self { left: Some(atoms), blow, pause: None }
    }

    /// An adversary that strikes again and again, each time after at most `pause` atoms.
    pub fn restless(pause: u64, dice: &mut Dice) -> Self {
        Self { left: Some(dice.below(pause + 1)), blow: dice.pick(&Blow::ALL), pause: Some(pause) }
    }

    /// Counts an atom of work.
    pub fn count(&mut self) {
        self.left = self.left.map(|left| left.saturating_sub(1));
    }

    /// The blow that comes now, if any.
    pub fn strike(&mut self, dice: &mut Dice) -> Option<Blow> {
        if self.left != Some(0) {
            return None;
        }
        let blow = self.blow;
        self.left = self.pause.map(|pause| dice.between(1, pause));
        self.blow = dice.pick(&Blow::ALL);
        Some(blow)
    }
}

impl<C: Backend> World<'_, C> {
    /// Whether the adversary strikes now, between two atoms of a command.
    pub(crate) fn is_struck(&mut self, now: Instant) -> bool {
        let Some(adversary) = self.adversary.as_mut().filter(|_| self.device.waits_for().is_some()) else {
            return false;
        };
        let Some(blow) = adversary.strike(&mut self.dice) else { return false };
        self.note(|| format!("adversary: {blow:?}"));
        let nonce: [u8; 8] = self.dice.bytes();
        let reports = match blow {
            Blow::Cancel => vec![report(self.channel, HidCommand::CANCEL, &[])],
            Blow::Init => vec![report(self.channel, HidCommand::INIT, &nonce)],
            Blow::Strangers => {
                vec![report([0xFF; 4], HidCommand::INIT, &nonce), report([0x7F, 0, 0, 1], HidCommand::CBOR, &[0x04])]
            }
            Blow::PowerCut => Vec::new(),
        };
        for report in reports {
            self.device.receive(now, &report);
        }
        if blow == Blow::PowerCut {
            self.power_cycle();
        }
        self.disturbed += 1;
        if self.mutation == Some(Mutation::ForgetsAttempts) && blow != Blow::PowerCut {
            self.device.engine().power_cycle(now).expect("the store does not fail");
        }
        true
    }
}

/// A report that is a whole message.
fn report(channel: [u8; 4], command: HidCommand, data: &[u8]) -> [u8; REPORT_LEN] {
    let mut report = [0; REPORT_LEN];
    report[..4].copy_from_slice(&channel);
    report[4] = 0x80 | command.0;
    report[6] = data.len() as u8;
    report[7..7 + data.len()].copy_from_slice(data);
    report
}
