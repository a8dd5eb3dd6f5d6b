//! The flash log, on flashes of several geometries.

use keyfob_core::crypto::RustCrypto;
use keyfob_soft_authenticator::store::{
    FlashStore, Store,
    flash::{Cut, SimulatedFlash, Tear},
};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::{
    SharedFlash,
    model::{Intent, Model, Op, op},
    suite::{Case, Medium},
};
use crate::suite;

const KEY: [u8; 32] = [0x5E; 32];

type OnFlash<const PAGE: usize, const WORD: usize> = FlashStore<SharedFlash<PAGE, WORD>, RustCrypto, 40, 2>;

fn fresh<const PAGE: usize, const WORD: usize>(pages: usize) -> SharedFlash<PAGE, WORD> {
    SharedFlash::new(SimulatedFlash::new(pages))
}

fn mount<const PAGE: usize, const WORD: usize>(flash: &SharedFlash<PAGE, WORD>) -> OnFlash<PAGE, WORD> {
    FlashStore::new(flash.clone(), RustCrypto, &KEY).unwrap()
}

impl<const PAGE: usize, const WORD: usize> Medium for SharedFlash<PAGE, WORD> {
    type Store<'m> = OnFlash<PAGE, WORD>;
    const BOUNDED: bool = true;

    fn open(&mut self) -> Self::Store<'_> {
        mount(self)
    }
}

// nRF52, STM32L4, RP2040, STM32H7, and pages smaller than a credential.
suite!(pages_of_4096_words_of_4, super::fresh::<4096, 4>(8));
suite!(pages_of_2048_words_of_8, super::fresh::<2048, 8>(16));
suite!(pages_of_4096_words_of_256, super::fresh::<4096, 256>(10));
suite!(pages_of_131072_words_of_32, super::fresh::<131_072, 32>(3));
suite!(pages_of_1024_words_of_1, super::fresh::<1024, 1>(30));
suite!(pages_of_512_words_of_2, super::fresh::<512, 2>(60));

fn tear() -> impl Strategy<Value = Tear> {
    prop_oneof![Just(Tear::Before), Just(Tear::After), any::<u64>().prop_map(Tear::Within)]
}

fn cut() -> impl Strategy<Value = Cut> {
    (prop_oneof![3 => 0..6u64, 1 => 0..40u64], tear()).prop_map(|(operation, tear)| Cut { operation, tear })
}

/// Whether it is this model that a flash holds, and goes on with.
fn is_on<const PAGE: usize, const WORD: usize>(model: &Model, flash: &SharedFlash<PAGE, WORD>) -> bool {
    let mut store = mount(&flash.copy());
    let probe = Op::Commit(vec![Intent::Put(0, 0, 0)]);
    let mut after = model.clone();
    model.check(&mut store).is_ok() && after.step(&mut store, &probe).is_ok() && after.check(&mut store).is_ok()
}

/// Does operations, some of which are cut, and checks after each cut that there is the old state or the new one.
fn survives<const PAGE: usize, const WORD: usize>(
    flash: &SharedFlash<PAGE, WORD>,
    filled: usize,
    ops: &[(Op, Option<Cut>)],
) -> Case {
    let mut model = Model::default();
    let mut store = mount(flash);
    for number in 0..filled {
        model.step(&mut store, &Op::Commit(vec![Intent::Put(number as u8 % 3, number as u8, 300)]))?;
    }
    for (op, cut) in ops {
        if let Some(cut) = cut {
            flash.get().cut(*cut);
        }
        let mut old = model.clone();
        let done = model.step(&mut store, op);
        if flash.get().is_off() {
            prop_assert!(done.is_err() || matches!(op, Op::Tidy(_)), "done without power");
            let mut new = match op {
                Op::Commit(intents) => old.after(intents).0,
                _ => old.clone(),
            };
            flash.get().power_on();
            old.power_cut();
            new.power_cut();
            model = if is_on(&old, flash) { old } else { new };
            store = mount(flash);
        } else {
            done?;
        }
        model.check(&mut store)?;
    }
    flash.get().power_on();
    while store.tidy().unwrap() {}
    model.power_cut();
    model.check(&mut mount(flash))
}

fn cuts_leave_the_old_state_or_the_new_one<const PAGE: usize, const WORD: usize>(pages: usize, filled: usize) {
    let config = Config { cases: 60, failure_persistence: None, ..Config::default() };
    let ops = vec((op(), option::weighted(0.5, cut())), 0..40);
    let run = |ops: Vec<(Op, Option<Cut>)>| survives(&fresh::<PAGE, WORD>(pages), filled, &ops);
    TestRunner::new(config).run(&ops, run).unwrap();
}

#[test]
fn cuts_leave_the_old_state_or_the_new_one_whatever_the_geometry() {
    cuts_leave_the_old_state_or_the_new_one::<4096, 4>(6, 0);
    cuts_leave_the_old_state_or_the_new_one::<2048, 8>(8, 0);
    cuts_leave_the_old_state_or_the_new_one::<512, 2>(30, 0);
    cuts_leave_the_old_state_or_the_new_one::<8192, 32>(4, 0);
}

#[test]
fn cuts_leave_the_old_state_or_the_new_one_of_a_full_store() {
    cuts_leave_the_old_state_or_the_new_one::<4096, 4>(6, 40);
    cuts_leave_the_old_state_or_the_new_one::<1024, 1>(22, 40);
}
