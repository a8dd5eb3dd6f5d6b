//! What one kind of ceremony asks an authenticator for, and makes of the answers.

use core::time::Duration;

use rand_core::CryptoRng;

use super::{
    Cause, DEFAULT_TIMEOUT,
    authorization::{Encapsulated, Grant},
    facts::{Facts, Purpose},
    question::Question,
};
use crate::{bytes, crypto::Crypto, ctap2::get_info};

/// What a [`Ceremony`](super::Ceremony) does: [`MakeCredential`](super::MakeCredential),
/// [`GetAssertion`](super::GetAssertion), or an operation of [`manage`](super::manage). Nothing outside this crate
/// implements it. A driver that is generic over it serves them all, as [`run`](super::run) does.
///
/// A ceremony calls `check`, `examine`, `measure`, `request`, `accept`, `item` and `outcome` in this order; `purpose`
/// at any time, and `farewell` when it is given up. `question` is called by the defaults of `examine` and `request`.
pub trait Operation {
    /// What the ceremony yields. It borrows from the ceremony's buffer.
    type Outcome<'b>;

    /// What the ceremony shows on the way ([`Output::Item`](super::Output::Item)), borrowing from the buffer;
    /// [`Infallible`](core::convert::Infallible) when it shows nothing.
    type Item<'m>: Copy;

    /// Whether it can be done with an authenticator of version 1.
    #[doc(hidden)]
    const CTAP1: bool = false;

    /// What a session has to forget when the operation is authorized. Its type cannot be named outside this crate, so
    /// that nothing there implements the trait.
    #[doc(hidden)]
    const FORGETS: Forgets;

    /// What authorization is for, where that does not depend on the options.
    #[doc(hidden)]
    const PURPOSE: Purpose<'static> = Purpose::NONE;

    /// Checks the options before anything is sent, and says how long the ceremony may take.
    #[doc(hidden)]
    fn check(&self) -> Result<Duration, Cause> {
        Ok(DEFAULT_TIMEOUT)
    }
    /// Checks the options against getInfo, before the user is asked for anything, and says what is first.
    #[doc(hidden)]
    fn examine(&mut self, _info: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        self.question(facts).map(|_| First::Authorize)
    }
    /// What authorization is for.
    #[doc(hidden)]
    fn purpose(&self) -> Purpose<'_> {
        Self::PURPOSE
    }
    /// Writes a placeholder request of the final length, to compare with maxMsgSize before the user is asked for
    /// anything.
    #[doc(hidden)]
    fn measure<C: Crypto, R: CryptoRng>(&mut self, means: &mut Means<'_, C, R>) -> Result<Option<usize>, Cause> {
        self.request(means)
    }
    /// The request, where it follows from the options and `facts` alone. `examine` uses it to find out whether the
    /// authenticator supports the operation.
    ///
    /// # Errors
    /// [`Cause::Unsupported`].
    #[doc(hidden)]
    fn question(&self, _facts: &Facts) -> Result<Question<'_>, Cause> {
        Ok(Question::None)
    }
    /// Writes the next request, and returns its length; `None` when there is nothing left to ask. By default the
    /// request is that of `question`.
    #[doc(hidden)]
    fn request<C: Crypto, R: CryptoRng>(&mut self, means: &mut Means<'_, C, R>) -> Result<Option<usize>, Cause> {
        self.question(means.facts)?.encode(means.crypto, means.grant, means.buffer)
    }
    /// Checks a response and says how to go on. It may rewrite what is kept of the response. By default the response is
    /// complete, and is checked by `outcome`.
    #[doc(hidden)]
    fn accept<C: Crypto, R>(&mut self, _means: &Means<'_, C, R>, room: &mut Room<'_>) -> Result<Accepted, Cause> {
        self.outcome(room.response()).map(|_| Accepted::Complete)
    }
    /// What there is to show of an accepted response.
    #[doc(hidden)]
    fn item<'m>(&self, _response: &'m [u8]) -> Option<Self::Item<'m>> {
        None
    }
    /// Writes the request that tells the authenticator that the ceremony is given up, once; `None` when there is
    /// nothing to tell.
    #[doc(hidden)]
    fn farewell<C: Crypto, R>(&mut self, _means: &mut Means<'_, C, R>) -> Option<usize> {
        None
    }
    /// The outcome from all kept responses, one after the other. The default `accept` calls it too, to check the
    /// response: an operation whose `outcome` takes something out of `self` needs an `accept` of its own.
    #[doc(hidden)]
    fn outcome<'b>(&mut self, responses: &'b [u8]) -> Result<Self::Outcome<'b>, Cause>;
}

/// An [`Operation`] without its type, for what a ceremony does with all of them alike.
pub trait AnyOperation<C, R> {
    fn ctap1(&self) -> bool;
    fn forgets(&self) -> Forgets;
    fn check(&self) -> Result<Duration, Cause>;
    fn examine(&mut self, info: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause>;
    fn purpose(&self) -> Purpose<'_>;
    fn measure(&mut self, means: &mut Means<'_, C, R>) -> Result<Option<usize>, Cause>;
    fn request(&mut self, means: &mut Means<'_, C, R>) -> Result<Option<usize>, Cause>;
    fn accept(&mut self, means: &Means<'_, C, R>, room: &mut Room<'_>) -> Result<Accepted, Cause>;
    fn farewell(&mut self, means: &mut Means<'_, C, R>) -> Option<usize>;
}

impl<O: Operation, C: Crypto, R: CryptoRng> AnyOperation<C, R> for O {
    fn ctap1(&self) -> bool {
        O::CTAP1
    }

    fn forgets(&self) -> Forgets {
        O::FORGETS
    }

    fn check(&self) -> Result<Duration, Cause> {
        Operation::check(self)
    }

    fn examine(&mut self, info: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        Operation::examine(self, info, facts)
    }

    fn purpose(&self) -> Purpose<'_> {
        Operation::purpose(self)
    }

    fn measure(&mut self, means: &mut Means<'_, C, R>) -> Result<Option<usize>, Cause> {
        Operation::measure(self, means)
    }

    fn request(&mut self, means: &mut Means<'_, C, R>) -> Result<Option<usize>, Cause> {
        Operation::request(self, means)
    }

    fn accept(&mut self, means: &Means<'_, C, R>, room: &mut Room<'_>) -> Result<Accepted, Cause> {
        Operation::accept(self, means, room)
    }

    fn farewell(&mut self, means: &mut Means<'_, C, R>) -> Option<usize> {
        Operation::farewell(self, means)
    }
}

/// What comes first after getInfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Authorization. It may involve no user.
    Authorize,
    /// A request that needs no authorization.
    Ask,
    /// Nothing: the answer to getInfo is the outcome.
    Done,
}

/// What a session has to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgets {
    Nothing,
    /// What getInfo said.
    Info,
    /// Also the PIN: it may be another by now.
    Pin,
    /// Also the token.
    All,
}

/// What an operation needs to write a request or to read a response.
pub struct Means<'a, C, R> {
    pub crypto: &'a C,
    pub rng: &'a mut R,
    pub facts: &'a Facts,
    pub grant: Grant<'a>,
    /// The responses that were kept.
    pub kept: &'a [u8],
    /// Where the request is written. Empty in `accept`, where the response is in [`Room`].
    pub buffer: &'a mut [u8],
    /// A token that is refused is renewed.
    pub renews: bool,
    /// Where [`Purpose::agreement`] wants it; before it is granted there is none.
    pub agreement: Option<&'a Encapsulated>,
}

/// A response at the front of the buffer that is left.
pub struct Room<'a> {
    pub bytes: &'a mut [u8],
    /// Of the response.
    pub len: usize,
    /// The authenticator has asked for a touch.
    pub touched: bool,
}

impl Room<'_> {
    pub fn response(&self) -> &[u8] {
        bytes::front(self.bytes, self.len)
    }
}

/// What becomes of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is kept; there is another request, and what is kept suffices if that one has no answer.
    More,
    /// It is kept; it was the last.
    Complete,
    /// It is used up; there is another request.
    Next,
    /// Nothing is left to do.
    Enough,
    /// The authenticator waits for a touch: the same request, after a while.
    Again,
    /// It is used up, and was only a preparation: authorization can still help.
    Prepared,
    /// It is used up, and was the last that needs no authorization.
    Authorize,
    /// It is shown.
    Show {
        /// It is kept, not used up.
        keep: bool,
        /// It was the last.
        last: bool,
    },
}
