//! A blocking flash over an asynchronous driver.

use core::{
    hint,
    pin::pin,
    task::{Context, Poll, Waker},
};

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use embedded_storage_async::nor_flash::{NorFlash as AsyncNorFlash, ReadNorFlash as AsyncReadNorFlash};

/// A flash whose driver is asynchronous, for [`FlashStore`](super::FlashStore): every operation is awaited on the spot.
///
/// A store is blocking because a commit has to be on the medium when it returns, and the engine does one thing to it
/// between two keep-alives. The driver is polled with a waker that does nothing, so it has to be one whose operations
/// are finished by the hardware or an interrupt, not by another task of the same executor.
///
/// ```
/// use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
/// use keyfob_core::crypto::RustCrypto;
/// use keyfob_soft_authenticator::store::{FlashStore, flash::{BlockingFlash, FlashError}};
/// # use embedded_storage::nor_flash;
/// # use keyfob_soft_authenticator::store::flash::{PowerIsOff, SimulatedFlash};
/// # struct Driver(SimulatedFlash<4096, 4>);
/// # impl ErrorType for Driver {
/// #     type Error = PowerIsOff;
/// # }
/// # impl ReadNorFlash for Driver {
/// #     const READ_SIZE: usize = 1;
/// #     async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerIsOff> {
/// #         nor_flash::ReadNorFlash::read(&mut self.0, offset, bytes)
/// #     }
/// #     fn capacity(&self) -> usize {
/// #         nor_flash::ReadNorFlash::capacity(&self.0)
/// #     }
/// # }
/// # impl NorFlash for Driver {
/// #     const WRITE_SIZE: usize = 4;
/// #     const ERASE_SIZE: usize = 4096;
/// #     async fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerIsOff> {
/// #         nor_flash::NorFlash::erase(&mut self.0, from, to)
/// #     }
/// #     async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerIsOff> {
/// #         nor_flash::NorFlash::write(&mut self.0, offset, bytes)
/// #     }
/// # }
///
/// fn open(driver: impl NorFlash) -> Result<(), FlashError> {
///     let flash = BlockingFlash::new(driver);
///     let store = FlashStore::<_, _, 50>::new(flash, RustCrypto, &[7; 32])?;
///     // …
/// #   drop(store);
///     Ok(())
/// }
/// # open(Driver(SimulatedFlash::new(16)))?;
/// # Ok::<(), FlashError>(())
/// ```
#[derive(Debug)]
pub struct BlockingFlash<F, W = fn()> {
    flash: F,
    wait: W,
}

impl<F> BlockingFlash<F> {
    /// Spins while the driver is busy.
    pub fn new(flash: F) -> Self {
        Self { flash, wait: hint::spin_loop }
    }
}

impl<F, W: FnMut()> BlockingFlash<F, W> {
    /// Calls `wait` whenever the driver is busy. It may sleep until the next interrupt, if it does not miss one that
    /// comes before it sleeps: on a Cortex-M, `wfe` does not, `wfi` does.
    pub fn with_wait(flash: F, wait: W) -> Self {
        Self { flash, wait }
    }

    /// The flash.
    pub fn into_inner(self) -> F {
        self.flash
    }
}

/// Polls a future until it is ready.
fn block_on<T>(future: impl Future<Output = T>, wait: &mut impl FnMut()) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        wait();
    }
}

impl<F: ErrorType, W> ErrorType for BlockingFlash<F, W> {
    type Error = F::Error;
}

impl<F: AsyncReadNorFlash, W: FnMut()> ReadNorFlash for BlockingFlash<F, W> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        block_on(self.flash.read(offset, bytes), &mut self.wait)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: AsyncNorFlash, W: FnMut()> NorFlash for BlockingFlash<F, W> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        block_on(self.flash.erase(from, to), &mut self.wait)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        block_on(self.flash.write(offset, bytes), &mut self.wait)
    }
}
