//! An engine behind the framing of a transport: the part that all transports share.

use keyfob_core::{
    Instant,
    ctap2::bio_enrollment::SampleStatus,
    transport::{KeepAlive, Protocol},
};

use crate::engine::{ConfigError, Engine, Event, Platform, Progress, Wait};

/// The device end of a transport.
pub(crate) trait Framing {
    /// Answers the pending request with this many bytes of the buffer.
    fn respond(&mut self, len: usize);
    /// Sets what the pending request waits for.
    fn keep_alive(&mut self, status: KeepAlive);
    /// Whether a transaction is pending: a request that arrives or waits, or an answer that is not all sent.
    fn is_busy(&self) -> bool;
    /// When there is something to send if nothing comes in.
    fn deadline(&self) -> Option<Instant>;
}

/// An engine and the framing around it.
pub(crate) struct Served<'b, P: Platform, F> {
    pub framing: F,
    pub engine: Engine<'b, P>,
    pub waits_for: Option<Wait>,
    /// Whether a command has ended, or was given up, since the store was last tidy.
    untidy: bool,
    /// Whether the engine's last answer is being sent, or was sent and the engine does not know yet.
    answers: bool,
}

impl<'b, P: Platform, F: Framing> Served<'b, P, F> {
    pub const fn new(framing: F, engine: Engine<'b, P>) -> Self {
        Self { framing, engine, waits_for: None, untidy: false, answers: false }
    }

    pub fn power_cycle(&mut self, now: Instant) -> Result<(), ConfigError> {
        self.waits_for = None;
        (self.untidy, self.answers) = (false, false);
        self.engine.power_cycle(now)
    }

    /// Begins a request.
    pub fn begin(&mut self, now: Instant, protocol: Protocol, len: usize) {
        let progress = match protocol {
            Protocol::Ctap1 => self.engine.begin_u2f(now, len),
            _ => self.engine.begin(now, len),
        };
        self.advance(progress);
    }

    /// The pending request is given up by its client.
    pub fn give_up(&mut self) {
        self.engine.abort();
        (self.waits_for, self.untidy) = (None, true);
    }

    /// The client has begun something else in the middle of an answer.
    pub fn interrupt_answer(&mut self) {
        if core::mem::take(&mut self.answers) {
            self.engine.abort();
        }
    }

    /// The user touched the authenticator, or declined.
    pub fn touch(&mut self, now: Instant, consent: bool) {
        let touched = match self.waits_for {
            Some(Wait::Touch) => Event::Touched,
            Some(Wait::LongTouch) => Event::LongTouched,
            // A touch does not verify the user, but the user can decline.
            Some(Wait::UserVerification | Wait::Sample) if consent => return,
            Some(Wait::UserVerification | Wait::Sample) => Event::Denied,
            Some(Wait::Processing) | None => return self.engine.touch_for_u2f(now, consent),
        };
        self.resume(now, if consent { touched } else { Event::Denied });
    }

    pub fn verify(&mut self, now: Instant, matched: bool) {
        if self.waits_for == Some(Wait::UserVerification) {
            self.resume(now, Event::Verified(matched));
        }
    }

    pub fn sample(&mut self, now: Instant, status: SampleStatus, remaining: u8) {
        if self.waits_for == Some(Wait::Sample) {
            self.resume(now, Event::Sample { status, remaining });
        }
    }

    /// Tells the engine that the last piece of an answer was sent. Returns whether the engine had something to do.
    pub fn settle_answer(&mut self) -> bool {
        if !self.answers || self.framing.is_busy() {
            return false;
        }
        self.answers = false;
        self.engine.response_sent()
    }

    /// Continues a pending command, or applies its timeout. While no command is pending, tidies the store up.
    pub fn tick(&mut self, now: Instant) {
        if self.waits_for.is_some() {
            self.resume(now, Event::Tick);
        } else if self.settle_answer() {
            // That was one piece of work.
        } else if self.is_untidy() {
            self.untidy = self.engine.tidy();
        }
    }

    /// Whether nothing is pending, and the last command may have left something to tidy up.
    fn is_untidy(&self) -> bool {
        self.untidy && !self.framing.is_busy()
    }

    pub fn deadline(&self) -> Option<Instant> {
        let engine = match self.waits_for {
            Some(Wait::Processing) => Some(Instant::default()),
            None if self.is_untidy() => Some(Instant::default()),
            _ => self.engine.deadline(),
        };
        match (self.framing.deadline(), engine) {
            (Some(framing), Some(engine)) => Some(framing.min(engine)),
            (framing, engine) => framing.or(engine),
        }
    }

    pub fn resume(&mut self, now: Instant, event: Event) {
        let progress = self.engine.resume(now, event);
        self.advance(progress);
    }

    fn advance(&mut self, progress: Progress) {
        match progress {
            Progress::Reply(len) => {
                self.waits_for = None;
                self.untidy = true;
                self.framing.respond(len);
                self.answers = self.framing.is_busy();
            }
            Progress::Pending(wait) => {
                self.waits_for = Some(wait);
                self.framing.keep_alive(match wait {
                    Wait::Touch | Wait::LongTouch | Wait::UserVerification | Wait::Sample => KeepAlive::UpNeeded,
                    Wait::Processing => KeepAlive::Processing,
                });
            }
        }
    }
}
