//! What a command's handler is called with, and what it answers.

use keyfob_core::{
    Failure, Instant, Status, bytes,
    cbor::{self, Overflow, Writer},
    ctap2::bio_enrollment::SampleStatus,
    pin_uv::UserVerified,
};

use super::{authenticator::Authenticator, ceremony::UserPresent, platform::Platform};

/// What a handler works on.
pub(super) struct Call<'e, 'c, P: Platform> {
    pub now: Instant,
    /// The message: the request at its front, until the response is written over it.
    pub message: &'e mut [u8],
    /// The length of the request, in bytes.
    pub request: usize,
    /// Room for the credential at hand.
    pub scratch: &'e mut [u8],
    pub authenticator: &'e mut Authenticator<'c, P>,
}

/// Why a handler is called.
#[derive(Clone, Copy)]
pub(super) enum Trigger {
    /// The request has come.
    Begin,
    /// The user is verified, as the handler has asked. It begins again.
    Verified(UserVerified),
    /// The user has touched, as the handler has asked.
    Present(UserPresent),
    /// A sample of a finger was taken: its quality, and how many are still needed.
    Sample(SampleStatus, u8),
    /// There is more work.
    Work,
}

impl Trigger {
    /// The evidence of a user who is verified.
    pub const fn verified(self) -> Option<UserVerified> {
        match self {
            Self::Verified(verified) => Some(verified),
            Self::Begin | Self::Present(_) | Self::Sample(..) | Self::Work => None,
        }
    }
}

/// What a handler wants next. Four bytes with its error, so that an outcome is returned in a register.
#[derive(Clone, Copy)]
pub(super) enum Next {
    /// The response is written: this many bytes.
    Reply(u16),
    /// A touch.
    Touch,
    /// A long touch.
    LongTouch,
    /// The user to be verified, who may try again this often.
    Verification { more: u8 },
    /// The result of an attempt to be looked at, now that it is counted.
    Attempt,
    /// A sample of a finger, for so many milliseconds.
    Sample(u16),
    /// To be called again.
    Work,
}

pub(super) type Outcome = Result<Next, Failure>;

/// Decodes the request, which takes the first `len` bytes of the message, the command first.
pub(super) fn decode<'m, T: cbor::Read<'m>>(message: &'m [u8], len: usize) -> Result<T, cbor::Error> {
    cbor::decode(bytes::rest(bytes::front(message, len), 1))
}

/// The decoded request by reference: moving it would take code and stack.
#[inline(always)]
pub(super) fn valid<T>(decoded: &Result<T, cbor::Error>) -> Result<&T, Failure> {
    decoded.as_ref().map_err(|error| (*error).into())
}

/// A response with the status OK and no members.
#[inline(never)]
pub(super) fn ok(message: &mut [u8]) -> Outcome {
    *message.first_mut().ok_or(Failure::OTHER)? = Status::OK.0;
    Ok(Next::Reply(1))
}

/// Begins a response over the request.
#[inline(never)]
pub(super) fn begin(message: &mut [u8]) -> Writer<'_> {
    let mut w = Writer::new(message);
    w.byte(Status::OK.0);
    w
}

/// A response that was written, if there was room for it.
#[inline(never)]
pub(super) fn written(len: Result<usize, Overflow>) -> Outcome {
    reply(len.map_err(|_| Failure::OTHER)?)
}

/// A response of so many bytes.
#[inline(never)]
pub(super) fn reply(len: usize) -> Outcome {
    u16::try_from(len).map(Next::Reply).map_err(|_| Failure::OTHER)
}
