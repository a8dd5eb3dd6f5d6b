//! The flash log, on flashes of several geometries.

use keyfob_core::crypto::RustCrypto;
use keyfob_soft_authenticator::store::{FlashStore, flash::SimulatedFlash};

use super::suite::Medium;
use crate::suite;

const KEY: [u8; 32] = [0x5E; 32];

type Flash<const PAGE: usize, const WORD: usize> = SimulatedFlash<PAGE, WORD>;
type OnFlash<'m, const PAGE: usize, const WORD: usize> = FlashStore<&'m mut Flash<PAGE, WORD>, RustCrypto, 40, 2>;

fn mount<const PAGE: usize, const WORD: usize>(flash: &mut Flash<PAGE, WORD>) -> OnFlash<'_, PAGE, WORD> {
    FlashStore::new(flash, RustCrypto, &KEY).unwrap()
}

impl<const PAGE: usize, const WORD: usize> Medium for Flash<PAGE, WORD> {
    type Store<'m> = OnFlash<'m, PAGE, WORD>;
    const BOUNDED: bool = true;

    fn open(&mut self) -> Self::Store<'_> {
        mount(self)
    }
}

// nRF52, STM32L4, RP2040, STM32H7, and pages smaller than a credential.
suite!(pages_of_4096_words_of_4, super::Flash::<4096, 4>::new(8));
suite!(pages_of_2048_words_of_8, super::Flash::<2048, 8>::new(16));
suite!(pages_of_4096_words_of_256, super::Flash::<4096, 256>::new(10));
suite!(pages_of_131072_words_of_32, super::Flash::<131_072, 32>::new(3));
suite!(pages_of_1024_words_of_1, super::Flash::<1024, 1>::new(30));
suite!(pages_of_512_words_of_2, super::Flash::<512, 2>::new(60));
