//! What the machine does not know: what one kind of ceremony asks for and makes of the answers.

use core::time::Duration;

use rand_core::CryptoRng;

use super::{
    Cause, DEFAULT_TIMEOUT,
    authorization::{Agreement, Grant},
    facts::{Facts, Method, Purpose},
};
use crate::{crypto::Crypto, ctap2::get_info, pin_uv::Token};

/// What one kind of ceremony asks for and makes of the answers.
pub trait Operation {
    /// What the ceremony yields, borrowing from its options and its buffer.
    type Outcome<'b>
    where
        Self: 'b;

    /// What it shows on the way, borrowing from the buffer; [`Infallible`](core::convert::Infallible) when nothing.
    type Item<'m>: Copy;

    /// Whether it can be done with an authenticator of version 1.
    const CTAP1: bool = false;

    /// Whether what getInfo answered is kept, as the first of the responses.
    const KEEPS_INFO: bool = false;

    /// What a session has to forget when it is done.
    const FORGETS: Forgets = Forgets::Nothing;

    /// Checks the options before anything is sent.
    fn check(&self) -> Result<(), Cause> {
        Ok(())
    }
    /// Checks the options against getInfo, before the user is bothered.
    fn examine(&mut self, info: &get_info::Response<'_>, facts: &Facts) -> Result<(), Cause>;
    /// Checks the options against an authenticator of version 1.
    fn examine_ctap1(&mut self, facts: &Facts) -> Result<(), Cause> {
        let _ = facts;
        Err(Cause::Unsupported)
    }
    /// What user verification is for.
    fn purpose(&self) -> Purpose<'_>;
    /// Whether and how the user is verified.
    fn method(&self, facts: &Facts) -> Result<Option<Method>, Cause> {
        facts.choose(&self.purpose())
    }
    /// A token the caller has kept, in place of user verification.
    fn stored_token(&self) -> Option<&Token> {
        None
    }
    /// How long it may take.
    fn timeout(&self) -> Duration {
        DEFAULT_TIMEOUT
    }
    /// Whether there are requests before authorization is asked for, until [`Progress::Authorize`].
    fn prelude(&mut self, facts: &Facts) -> bool {
        let _ = facts;
        false
    }
    /// Whether the request under way only asks whether a credential is there.
    fn searches(&self) -> bool {
        false
    }
    /// Writes the request that tells the authenticator that the ceremony is given up, once; `None` when there is nothing
    /// to tell.
    fn farewell<C: Crypto, R: CryptoRng>(&mut self, means: &mut Means<'_, C, R>, buffer: &mut [u8]) -> Option<usize> {
        let _ = (means, buffer);
        None
    }
    /// Takes note of the grant, and says whether there is a command to send.
    fn granted<C: Crypto>(&mut self, crypto: &C, grant: Grant<'_>) -> bool {
        let _ = (crypto, grant);
        true
    }
    /// Writes a request as long as the longest that matters, before the user is bothered: what it is made with is void, but
    /// has its length.
    fn measure<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        self.request(means, &[], buffer)
    }
    /// Writes the next request. `kept`: the accepted responses.
    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        kept: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Cause>;
    /// Checks a response and says how to go on. What is kept of it may be another than came.
    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Progress, Cause>;
    /// What there is to show of an accepted response.
    fn item<'m>(&self, response: &'m [u8]) -> Option<Self::Item<'m>> {
        let _ = response;
        None
    }
    /// Whether the responses accepted so far are worth returning when no more can be had.
    fn suffices(&self) -> bool {
        false
    }
    /// The outcome from all kept responses, one after the other.
    fn outcome<'b>(self, responses: &'b [u8]) -> Result<Self::Outcome<'b>, Cause>
    where
        Self: 'b;
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

/// What a request is made with, and a response opened with.
pub struct Means<'a, C, R> {
    pub crypto: &'a C,
    pub rng: &'a mut R,
    pub facts: &'a Facts,
    pub grant: Grant<'a>,
    /// A token that is refused is renewed.
    pub renews: bool,
    /// Where [`Purpose::agreement`] wants it; before it is granted there is none.
    pub agreement: Option<&'a Agreement>,
}

/// A response at the front of the room there is.
pub struct Room<'a> {
    pub bytes: &'a mut [u8],
    /// Of the response.
    pub len: usize,
    /// The authenticator has asked for a touch.
    pub touched: bool,
}

impl Room<'_> {
    pub fn response(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// What becomes of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is kept; there is another request.
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
