//! A ceremony on a thread of its own, so that it can be cancelled meanwhile: Windows answers when it is over.

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use keyfob_core::client::{Cause, Error, UserInteraction};

use crate::{
    Library,
    abi::GUID,
    library::{self, failed},
};

/// How often the caller is asked whether to cancel.
const CANCEL_POLL: Duration = Duration::from_millis(50);

/// What every ceremony is given besides its options.
#[derive(Clone, Copy)]
pub struct Call<'l> {
    pub library: &'l Library,
    /// The window over which Windows shows its dialog, as a number.
    pub window: usize,
    /// What cancels it.
    pub cancellation: GUID,
    /// Whether the salts of hmac-secret may be used as they are.
    pub allow_hmac_secret: bool,
}

impl<'l> Call<'l> {
    /// `handle` is a window, the one in front if `None`.
    pub fn new(library: &'l Library, handle: Option<usize>, allow_hmac_secret: bool) -> Self {
        let window = handle.unwrap_or_else(window_in_front);
        Self { library, window, cancellation: GUID::default(), allow_hmac_secret }
    }

    /// Runs `ceremony` on another thread, and cancels it when `user` says so.
    ///
    /// # Errors
    /// Why it failed.
    pub fn run<T: Send>(
        mut self,
        user: &mut impl UserInteraction,
        ceremony: impl FnOnce(Self) -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        // SAFETY: there is room for the result.
        library::succeeded(unsafe { (self.library.cancellation_id)(&mut self.cancellation) }).map_err(failed)?;
        thread::scope(|scope| {
            let (sender, receiver) = channel();
            thread::Builder::new()
                .spawn_scoped(scope, move || sender.send(ceremony(self)))
                .map_err(|_| failed(Cause::Transport))?;
            loop {
                match receiver.recv_timeout(CANCEL_POLL) {
                    Ok(result) => return result,
                    // Again and again, because it has no effect before Windows has begun.
                    Err(RecvTimeoutError::Timeout) if user.cancelled() => {
                        // SAFETY: the number is there.
                        unsafe { (self.library.cancel)(&self.cancellation) };
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return Err(failed(Cause::Transport)),
                }
            }
        })
    }
}

/// The window that the user looks at.
fn window_in_front() -> usize {
    #[cfg(windows)]
    // SAFETY: it takes nothing, and null is an answer too.
    return unsafe { windows_sys::Win32::UI::WindowsAndMessaging::GetForegroundWindow() }.expose_provenance();
    #[cfg(not(windows))]
    0
}
