//! The same loop over an async transport. Its futures are `Send` where transport, user, cryptography, random source and
//! clock are.

use rand_core::CryptoRng;

use super::{
    AssertionSelection, Ceremony, Error, Input, Operation, Output, PinEntry, Prompt, UserInteraction,
    drive::{CANCEL_POLL, done, entered, received},
    session::Memory,
};
use crate::{
    Instant,
    crypto::Crypto,
    transport::{AsyncTransport, KeepAlive},
};

/// [`UserInteraction`] that is awaited, so that a dialog does not hold up the executor. While it is awaited, the
/// authenticator is idle and the ceremony's time is not looked at. The defaults are those of [`UserInteraction`].
#[allow(async_fn_in_trait)] // executors on microcontrollers are single-threaded: Send is not ours to ask for
pub trait AsyncUserInteraction {
    /// See [`UserInteraction::prompt_up`].
    async fn prompt_up(&mut self) {}
    /// See [`UserInteraction::processing`].
    async fn processing(&mut self) {}
    /// See [`UserInteraction::request_pin`].
    async fn request_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        let _ = (prompt, pin);
        false
    }
    /// See [`UserInteraction::request_new_pin`].
    async fn request_new_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        let _ = (prompt, pin);
        false
    }
    /// See [`UserInteraction::request_uv`].
    async fn request_uv(&mut self, prompt: &Prompt<'_>) -> bool {
        let _ = prompt;
        true
    }
    /// See [`UserInteraction::choose_account`].
    async fn choose_account(&mut self, accounts: &AssertionSelection<'_, '_>) -> Option<usize> {
        let _ = accounts;
        Some(0)
    }
    /// See [`UserInteraction::cancelled`]. It is not awaited.
    fn cancelled(&mut self) -> bool {
        false
    }
}

impl<U: AsyncUserInteraction + ?Sized> AsyncUserInteraction for &mut U {
    async fn prompt_up(&mut self) {
        (**self).prompt_up().await;
    }
    async fn processing(&mut self) {
        (**self).processing().await;
    }
    async fn request_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        (**self).request_pin(prompt, pin).await
    }
    async fn request_new_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        (**self).request_new_pin(prompt, pin).await
    }
    async fn request_uv(&mut self, prompt: &Prompt<'_>) -> bool {
        (**self).request_uv(prompt).await
    }
    async fn choose_account(&mut self, accounts: &AssertionSelection<'_, '_>) -> Option<usize> {
        (**self).choose_account(accounts).await
    }
    fn cancelled(&mut self) -> bool {
        (**self).cancelled()
    }
}

/// Makes an [`AsyncUserInteraction`] of a [`UserInteraction`] that answers at once. While it does not answer, the
/// executor waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct BlockingInteraction<U>(pub U);

impl<U: UserInteraction> AsyncUserInteraction for BlockingInteraction<U> {
    async fn prompt_up(&mut self) {
        self.0.prompt_up();
    }
    async fn processing(&mut self) {
        self.0.processing();
    }
    async fn request_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        self.0.request_pin(prompt, pin)
    }
    async fn request_new_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        self.0.request_new_pin(prompt, pin)
    }
    async fn request_uv(&mut self, prompt: &Prompt<'_>) -> bool {
        self.0.request_uv(prompt)
    }
    async fn choose_account(&mut self, accounts: &AssertionSelection<'_, '_>) -> Option<usize> {
        self.0.choose_account(accounts)
    }
    fn cancelled(&mut self) -> bool {
        self.0.cancelled()
    }
}

/// [`run`](super::run) with awaits. The future may be dropped at any time: the next request on the channel
/// resynchronises.
///
/// ```
/// use keyfob_core::client::{self, AsyncUserInteraction, Ceremony, manage::GetInfo};
/// use keyfob_core::crypto::RustCrypto;
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// # let (mut key, mut buffer) = (AsyncKey(Key::default()), [0; 4096]);
/// struct Silent;
/// impl AsyncUserInteraction for Silent {}
///
/// let future = async {
///     let ceremony = Ceremony::new(GetInfo, &mut buffer, RustCrypto, rng());
///     let info = client::run_async(ceremony, &mut key, &mut Silent, clock).await?;
///     assert_eq!(info.options.unwrap_or_default().client_pin, Some(false)); // a PIN can be set, and is not
///     Ok::<(), client::Error>(())
/// };
/// # use std::{pin::pin, task::{Context, Poll, Waker}};
/// # let Poll::Ready(outcome) = Future::poll(pin!(future), &mut Context::from_waker(Waker::noop())) else { panic!() };
/// # outcome?;
/// # Ok::<(), client::Error>(())
/// ```
///
/// # Errors
/// Why the ceremony failed. [`Cause::Transport`](super::Cause::Transport) stands for any error of the transport.
pub async fn run_async<'b, O: Operation, C: Crypto, R: CryptoRng, S: Memory>(
    ceremony: Ceremony<'b, O, C, R, S>,
    transport: &mut impl AsyncTransport,
    user: &mut impl AsyncUserInteraction,
    clock: impl FnMut() -> Instant,
) -> Result<O::Outcome<'b>, Error> {
    run_each_async(ceremony, transport, user, clock, |_| ()).await
}

/// [`run_async`] that gives `each` what the ceremony has to show on the way, one after the other.
///
/// # Errors
/// As [`run_async`].
pub async fn run_each_async<'b, O: Operation, C: Crypto, R: CryptoRng, S: Memory>(
    mut ceremony: Ceremony<'b, O, C, R, S>,
    transport: &mut impl AsyncTransport,
    user: &mut impl AsyncUserInteraction,
    mut clock: impl FnMut() -> Instant,
    mut each: impl FnMut(O::Item<'_>),
) -> Result<O::Outcome<'b>, Error> {
    let mut pin = PinEntry::new();
    let mut input = Input::Start;
    loop {
        let output = ceremony.step(clock(), input)?;
        pin.clear();
        input = Input::Time;
        match output {
            Output::Send(exchange) => {
                input = done(transport.send(exchange.protocol, exchange.request()).await, Input::Time)
            }
            Output::Wait { buf, limit } => {
                input = received(transport.receive(buf, limit.min(CANCEL_POLL)).await, || user.cancelled());
            }
            Output::CancelDevice => input = done(transport.cancel().await, Input::Time),
            Output::Reconnect => input = done(transport.reconnect().await, Input::Reconnected),
            Output::AskPin(prompt) => input = entered(user.request_pin(&prompt, &mut pin).await, &pin),
            Output::AskNewPin(prompt) => input = entered(user.request_new_pin(&prompt, &mut pin).await, &pin),
            Output::AskUv(prompt) => input = Input::UserVerification(user.request_uv(&prompt).await),
            Output::Show(KeepAlive::UpNeeded) => user.prompt_up().await,
            Output::Show(KeepAlive::Processing) => user.processing().await,
            Output::Show(KeepAlive::Other(_)) => {}
            Output::Item(item) => each(item),
            Output::Done => return ceremony.end(),
        }
    }
}
