//! Stores with one defect each, which the sweep of `power_sweep.rs` must find.

use std::{cell::RefCell, ops::DerefMut};

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use keyfob_core::crypto::RustCrypto;
use keyfob_soft_authenticator::store::{
    Change, FlashStore, Number, Setting, Store, StoreError, WatchStore, WatchedStore, flash::PowerIsOff,
};

use super::{
    harness::*,
    power_sweep::{COMMANDS, Command, prepare, sweep},
};

/// The defect of a store.
#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    /// Every change is a separate commit.
    Splits,
    /// Settings are a separate commit, before the changes that they belong to.
    SettingsFirst,
    /// A setting is written only with the next commit, so a PIN attempt is counted after the comparison.
    LateSettings,
    /// The next piece of tidying frees more than it may.
    FreesTooMuch,
    /// A replaced credential is removed at once, before the answer is sent.
    KeepsNothing,
}

/// The log on a flash.
type Log = FlashStore<BenchFlash, RustCrypto, ROOM, 2>;

struct Broken {
    log: RefCell<Log>,
    flaw: Flaw,
    late: Option<(Setting, Vec<u8>)>,
}

impl Broken {
    fn boxed(flash: &BenchFlash, flaw: Flaw) -> Box<dyn Store> {
        Box::new(WatchedStore(Self { log: on_flash(flash.clone()).into(), flaw, late: None }))
    }
}

impl WatchStore for Broken {
    type Store = Log;

    fn store(&self) -> impl DerefMut<Target = Self::Store> {
        self.log.borrow_mut()
    }

    fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        match &self.late {
            Some((late, value)) if *late == setting => {
                out[..value.len()].copy_from_slice(value);
                Ok(Some(value.len()))
            }
            _ => self.store().get(setting, out),
        }
    }

    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        if let Some((setting, value)) = self.late.take() {
            self.store().commit(&[Change::Set(setting, &value)])?;
        }
        let is_setting = |change: &Change<'_>| matches!(change, Change::Set(..));
        match (self.flaw, changes) {
            (Flaw::Splits, _) => changes.iter().try_for_each(|change| self.store().commit(&[*change])),
            (Flaw::SettingsFirst, _) => {
                let (settings, rest): (Vec<_>, Vec<_>) = changes.iter().copied().partition(is_setting);
                self.store().commit(&settings)?;
                self.store().commit(&rest)
            }
            (Flaw::LateSettings, [Change::Set(setting, value)]) => {
                self.late = Some((*setting, value.to_vec()));
                Ok(())
            }
            (Flaw::KeepsNothing, _) => {
                let mut kept = [0; Setting::MAX_LEN];
                self.store().commit(changes)?;
                let listed = self.store().get(Setting::Superseded, &mut kept)?;
                match listed {
                    Some(8..) => {
                        self.store().commit(&[Change::Delete(Number::from_be_bytes(kept[..4].try_into().unwrap()))])
                    }
                    _ => Ok(()),
                }
            }
            _ => self.store().commit(changes),
        }
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        if self.flaw == Flaw::FreesTooMuch {
            self.store().commit(&[Change::Delete(1)])?;
        }
        self.store().tidy()
    }
}

/// A flash that delays each write until the next one: reads return the right data, but the medium lacks the last write.
struct Cached {
    flash: BenchFlash,
    last: Option<(u32, Vec<u8>)>,
}

impl Cached {
    fn flush(&mut self) -> Result<(), PowerIsOff> {
        match self.last.take() {
            Some((offset, bytes)) => self.flash.write(offset, &bytes),
            None => Ok(()),
        }
    }
}

impl ErrorType for Cached {
    type Error = PowerIsOff;
}

impl ReadNorFlash for Cached {
    const READ_SIZE: usize = BenchFlash::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerIsOff> {
        self.flash.read(offset, bytes)?;
        let Some((at, last)) = &self.last else { return Ok(()) };
        for (byte, place) in bytes.iter_mut().zip(offset..) {
            if let Some(byte_of_last) = place.checked_sub(*at).and_then(|index| last.get(index as usize)) {
                *byte = *byte_of_last;
            }
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl NorFlash for Cached {
    const WRITE_SIZE: usize = BenchFlash::WRITE_SIZE;
    const ERASE_SIZE: usize = BenchFlash::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerIsOff> {
        self.flush()?;
        self.flash.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerIsOff> {
        self.flush()?;
        self.last = Some((offset, bytes.to_vec()));
        Ok(())
    }
}

#[test]
fn the_sweep_finds_out_every_broken_store() {
    let (torn, missing) = ("neither the old state nor the new one", "an acknowledged commit is missing");
    let lost = "a credential that the relying party knows is gone";
    let uncounted = "the PIN was compared, and the attempt is not counted";
    let cases: [(&str, Mount, &str); 10] = [
        ("makeCredential, discoverable", |flash| Broken::boxed(flash, Flaw::Splits), torn),
        ("makeCredential, overwriting", |flash| Broken::boxed(flash, Flaw::Splits), torn),
        ("makeCredential, overwriting", |flash| Broken::boxed(flash, Flaw::KeepsNothing), lost),
        ("reset", |flash| Broken::boxed(flash, Flaw::Splits), torn),
        ("deleteCredential", |flash| Broken::boxed(flash, Flaw::SettingsFirst), torn),
        ("getPinUvAuthTokenUsingPin, wrong", |flash| Broken::boxed(flash, Flaw::LateSettings), uncounted),
        ("getAssertion", |flash| Broken::boxed(flash, Flaw::LateSettings), missing),
        ("getAssertion", |flash| Broken::boxed(flash, Flaw::FreesTooMuch), "lost in the recovery"),
        ("getAssertion", |flash| Box::new(on_flash(Cached { flash: flash.clone(), last: None })), missing),
        ("largeBlobs", |flash| Box::new(on_flash(Cached { flash: flash.clone(), last: None })), missing),
    ];
    for (name, mount, expected) in cases {
        let named = |command: &&Command| command.0 == name;
        let (setup, command) =
            COMMANDS.iter().find_map(|(setup, commands)| Some((*setup, *commands.iter().find(named)?))).unwrap();
        let wrong = sweep(command, &prepare(setup, 0), mount).err();
        assert!(wrong.as_ref().is_some_and(|wrong| wrong.ends_with(expected)), "{name}: {wrong:?}, not {expected}");
    }
}
