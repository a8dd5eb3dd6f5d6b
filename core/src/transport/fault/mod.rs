//! Fault injection for tests: a transport around another transport that loses, repeats, delays and corrupts what it
//! carries. The same seed causes the same faults.
//!
//! `mod.rs` decides which faults happen, `io.rs` applies them to blocking and async transports.

use super::{Protocol, Received, hid::REPORT_LEN};
use crate::{Status, bytes};

mod io;
#[cfg(test)]
mod tests;

type Report = [u8; REPORT_LEN];

/// The probability of each fault in thousandths: per report, or per message if the inner transport carries messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults<'c> {
    /// A report or a response is lost. If a response is lost, the next [`receive`](super::Transport::receive) asks the
    /// inner transport again, although it has already given the response.
    pub drop: u16,
    /// A report comes twice. Applies to reports only.
    pub duplicate: u16,
    /// One bit of a report or of a response is flipped.
    pub corrupt: u16,
    /// A report comes after the next one, or after a wait in which no report came. A response comes one
    /// [`receive`](super::Transport::receive) later; the delayed `receive` returns at once with nothing.
    pub delay: u16,
    /// The cable is cut: every call fails with [`FaultError::Cut`] until [`FaultInjector::mend`] or a reconnect.
    pub cut: u16,
    /// A response loses its end. Applies to messages only.
    pub truncate: u16,
    /// A request whose command is in [`Self::statuses`] does not reach the authenticator. Applies to messages only.
    pub refuse: u16,
    /// The command bytes that [`Self::refuse`] applies to, each with the status of the answer.
    pub statuses: &'c [(u8, Status)],
}

/// How often each fault in [`Faults`] has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // as in `Faults`
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FaultCounts {
    pub dropped: u32,
    pub duplicated: u32,
    pub corrupted: u32,
    pub delayed: u32,
    pub cut: u32,
    pub truncated: u32,
    pub refused: u32,
}

/// Why a transport under faults failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FaultError<E> {
    /// The cable is cut.
    Cut,
    /// The inner transport failed.
    Inner(E),
}

/// Injects faults into the inner transport or pipe of reports. With [`Faults::default`] it changes nothing.
///
/// ```
/// # #[cfg(feature = "rustcrypto")] {
/// use keyfob_core::transport::{Protocol, Transport, fault::{FaultError, FaultInjector, Faults}};
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// # let key = Key::default();
/// let faults = Faults { cut: 1_000, ..Faults::default() }; // in thousandths: always
/// let mut key = FaultInjector::new(key, faults, 7);
/// assert_eq!(key.send(Protocol::Ctap2, &[0x04]), Err(FaultError::Cut));
///
/// key.set_faults(Faults::default());
/// key.mend();
/// assert_eq!(key.send(Protocol::Ctap2, &[0x04]), Ok(()));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FaultInjector<'c, T> {
    inner: T,
    wire: Wire<'c>,
}

impl<'c, T> FaultInjector<'c, T> {
    /// Injects faults into `inner`. The same `seed` and the same calls cause the same faults.
    pub fn new(inner: T, faults: Faults<'c>, seed: u64) -> Self {
        Self { inner, wire: Wire::new(faults, seed) }
    }

    /// Changes the probabilities from now on.
    pub const fn set_faults(&mut self, faults: Faults<'c>) {
        self.wire.faults = faults;
    }

    /// The faults so far.
    pub const fn counts(&self) -> FaultCounts {
        self.wire.counts
    }

    /// Repairs a cut cable.
    pub const fn mend(&mut self) {
        self.wire.is_cut = false;
    }

    /// The inner transport.
    pub const fn inner(&mut self) -> &mut T {
        &mut self.inner
    }
}

/// Decides the faults, without any reading or writing.
#[derive(Clone, Debug, Default)]
struct Wire<'c> {
    faults: Faults<'c>,
    counts: FaultCounts,
    /// The generator's state, never zero.
    state: u64,
    is_cut: bool,
    /// A delayed report to the authenticator.
    late_out: Option<Report>,
    /// Whether `late_out` is due, because a wait has passed.
    due: bool,
    /// A delayed report to the client.
    late_in: Option<Report>,
    /// A report that the client reads a second time, or after the report it was delayed behind.
    again: Option<Report>,
    /// The status that answers the pending request in the authenticator's place.
    refusal: Option<Status>,
    /// Whether the last attempt to receive a response was delayed. The next one is then not delayed.
    delayed: bool,
}

impl<'c> Wire<'c> {
    fn new(faults: Faults<'c>, seed: u64) -> Self {
        // An odd factor keeps seeds apart; xorshift must not start from zero.
        let state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x2545_F491_4F6C_DD1D;
        let state = if state == 0 { 1 } else { state };
        Self { faults, state, ..Self::default() }
    }

    /// xorshift64 (Marsaglia 2003), its upper half scaled to `0..n`.
    fn below(&mut self, n: u32) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        ((self.state >> 32).wrapping_mul(n.into()) >> 32) as u32
    }

    /// Whether a fault happens; counts it.
    fn happens(&mut self, thousandths: u16, count: fn(&mut FaultCounts) -> &mut u32) -> bool {
        let happens = self.below(1000) < u32::from(thousandths);
        if happens {
            let count = count(&mut self.counts);
            *count = count.saturating_add(1);
        }
        happens
    }

    fn flip(&mut self, bytes: &mut [u8]) {
        let bits = u32::try_from(bytes.len()).unwrap_or(u32::MAX).saturating_mul(8);
        let bit = self.below(bits);
        if let Some(byte) = bytes.get_mut((bit >> 3) as usize) {
            *byte ^= 1 << (bit & 7);
        }
    }

    /// Fails if the cable is cut.
    const fn connected<E>(&self) -> Result<(), FaultError<E>> {
        if self.is_cut { Err(FaultError::Cut) } else { Ok(()) }
    }

    /// Fails if the cable is cut, or is cut now.
    fn holds<E>(&mut self) -> Result<(), FaultError<E>> {
        self.connected()?;
        self.is_cut = self.happens(self.faults.cut, |counts| &mut counts.cut);
        self.connected()
    }

    /// The reports that are written in place of `report`.
    fn outgoing<E>(&mut self, mut report: Report) -> Result<[Option<Report>; 2], FaultError<E>> {
        self.holds()?;
        if self.happens(self.faults.drop, |counts| &mut counts.dropped) {
            return Ok([None, self.late_out.take()]);
        }
        if self.happens(self.faults.corrupt, |counts| &mut counts.corrupted) {
            self.flip(&mut report);
        }
        if let Some(late) = self.late_out.take() {
            return Ok([Some(report), Some(late)]);
        }
        if self.happens(self.faults.delay, |counts| &mut counts.delayed) {
            (self.late_out, self.due) = (Some(report), false);
            return Ok([None, None]);
        }
        let again = self.happens(self.faults.duplicate, |counts| &mut counts.duplicated);
        Ok([Some(report), again.then_some(report)])
    }

    /// The delayed report, if it must be written before the next read.
    fn due(&self) -> Option<Report> {
        self.late_out.filter(|_| self.due)
    }

    /// The report that is read in place of `report`.
    fn incoming<E>(&mut self, report: Option<Report>) -> Result<Option<Report>, FaultError<E>> {
        let Some(mut report) = report else {
            self.due = true;
            return Ok(self.late_in.take());
        };
        self.holds()?;
        if self.happens(self.faults.drop, |counts| &mut counts.dropped) {
            return Ok(None);
        }
        if self.happens(self.faults.corrupt, |counts| &mut counts.corrupted) {
            self.flip(&mut report);
        }
        if self.late_in.is_some() {
            self.again = self.late_in.take();
        } else if self.happens(self.faults.delay, |counts| &mut counts.delayed) {
            self.late_in = Some(report);
            return Ok(None);
        } else if self.happens(self.faults.duplicate, |counts| &mut counts.duplicated) {
            self.again = Some(report);
        }
        Ok(Some(report))
    }

    /// Whether a request reaches the authenticator.
    fn sending<E>(&mut self, protocol: Protocol, request: &[u8]) -> Result<bool, FaultError<E>> {
        self.holds()?;
        (self.refusal, self.delayed) = (None, false);
        let mut listed = self.faults.statuses.iter().filter(|_| protocol == Protocol::Ctap2);
        if let Some((_, status)) = listed.find(|(command, _)| Some(command) == request.first())
            && self.happens(self.faults.refuse, |counts| &mut counts.refused)
        {
            self.refusal = Some(*status);
        }
        Ok(self.refusal.is_none())
    }

    /// What `receive` returns without asking the inner transport: nothing (a delay), or the status of a refused
    /// request. `None`: the inner transport is asked.
    fn receiving<E>(&mut self, buffer: &mut [u8]) -> Result<Option<Received>, FaultError<E>> {
        self.connected()?;
        self.delayed = !self.delayed && self.happens(self.faults.delay, |counts| &mut counts.delayed);
        if self.delayed {
            return Ok(Some(Received::Nothing));
        }
        Ok(self.refusal.zip(buffer.first_mut()).map(|(status, first)| {
            *first = status.0;
            self.refusal = None;
            Received::Response(1)
        }))
    }

    /// Applies faults to a response in `buffer`. One that is dropped becomes `Nothing`.
    fn received(&mut self, received: Received, buffer: &mut [u8]) -> Received {
        let Received::Response(len) = received else { return received };
        if self.happens(self.faults.drop, |counts| &mut counts.dropped) {
            return Received::Nothing;
        }
        let response = bytes::front_mut(buffer, len);
        if !response.is_empty() && self.happens(self.faults.corrupt, |counts| &mut counts.corrupted) {
            self.flip(response);
        }
        if len > 0 && self.happens(self.faults.truncate, |counts| &mut counts.truncated) {
            return Received::Response(self.below(u32::try_from(len).unwrap_or(u32::MAX)) as usize);
        }
        received
    }
}
