//! An authenticator behind CTAPHID: framing and engine as one machine, still without I/O and without a clock.

use core::mem;

use keyfob_core::{
    Instant,
    ctap2::bio_enrollment::SampleStatus,
    transport::{
        KeepAlive,
        hid::{self, Capabilities, Command, DeviceConfig, DeviceEvent, REPORT_LEN},
    },
};

use crate::engine::{ConfigError, Engine, Event, Platform, Progress, Wait};

/// What the driver has to do besides touches and the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HidEvent {
    /// CTAPHID_WINK: blink or beep, so that the user sees which authenticator it is (CTAP 2.3 §11.2.9.2.1). The
    /// transport has answered it.
    Wink,
    /// A vendor command, where [`DeviceConfig::vendor_commands`] allows them: its bytes are the first `len` of
    /// [`HidAuthenticator::vendor_buffer`]. Answer it with [`HidAuthenticator::respond_to_vendor`] or
    /// [`HidAuthenticator::refuse_vendor`]; until then every channel is told CHANNEL_BUSY.
    Vendor {
        /// 40 to 7F.
        command: Command,
        /// Bytes in the request.
        len: usize,
    },
    /// The vendor command under way is given up: do not answer it.
    VendorAborted,
}

/// An engine with CTAPHID around it. Reports go in and come out; the driver passes on touches and the time.
pub struct HidAuthenticator<'b, P: Platform> {
    framing: hid::Device,
    engine: Engine<'b, P>,
    waits_for: Option<Wait>,
    /// The channel of the last request.
    channel: Option<u32>,
    /// A command has ended since the store was last found tidy.
    untidy: bool,
    /// A vendor command is under way.
    vendor: bool,
    /// The engine's last answer is on its way, or has just been sent.
    answers: bool,
}

impl<'b, P: Platform> HidAuthenticator<'b, P> {
    /// An authenticator that has just been plugged in. That it answers U2F or not, INIT says as the engine is configured.
    pub fn new(engine: Engine<'b, P>, config: DeviceConfig) -> Self {
        let capabilities = config.capabilities.without(Capabilities::NMSG);
        let capabilities = if engine.has_u2f() { capabilities } else { capabilities.with(Capabilities::NMSG) };
        let config = DeviceConfig { capabilities, ..config };
        Self {
            framing: hid::Device::new(config),
            engine,
            waits_for: None,
            channel: None,
            untidy: false,
            vendor: false,
            answers: false,
        }
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut Engine<'b, P> {
        &mut self.engine
    }

    /// Unplugs the authenticator and plugs it in again: channels, tokens and pending commands are gone, what is stored
    /// stays. Errors: [`ConfigError::Store`].
    pub fn power_cycle(&mut self, now: Instant) -> Result<(), ConfigError> {
        self.framing.reset();
        self.waits_for = None;
        (self.untidy, self.vendor, self.answers) = (false, false, false);
        self.engine.power_cycle(now)
    }

    /// Takes one report. Returns what the driver has to do about it.
    pub fn receive(&mut self, now: Instant, report: &[u8; REPORT_LEN]) -> Option<HidEvent> {
        self.settle_answer();
        let event = self.framing.receive(now, report, self.engine.whole_buffer());
        if self.answers && self.framing.channel().is_none() {
            // INIT, in the middle of the answer.
            self.answers = false;
            self.engine.abort();
        }
        match event {
            Some(DeviceEvent::Request { command: command @ (Command::CBOR | Command::MSG), len }) => {
                let channel = self.framing.channel();
                if channel != self.channel {
                    self.engine.channel_changed();
                    self.channel = channel;
                }
                let progress = match command {
                    Command::CBOR => self.engine.begin(now, len),
                    _ => self.engine.begin_u2f(now, len),
                };
                self.advance(progress);
            }
            Some(DeviceEvent::Request { command, len }) => {
                self.vendor = true;
                return Some(HidEvent::Vendor { command, len });
            }
            Some(DeviceEvent::Cancel) => self.resume(now, Event::Cancel),
            Some(DeviceEvent::Aborted) => {
                if mem::take(&mut self.vendor) {
                    return Some(HidEvent::VendorAborted);
                }
                self.engine.abort();
                self.waits_for = None;
            }
            Some(DeviceEvent::Wink) => return Some(HidEvent::Wink),
            None => {}
        }
        None
    }

    /// Where a vendor command lies and its response is written: the engine's whole buffer. Only between
    /// [`HidEvent::Vendor`] and the answer is it the driver's.
    pub fn vendor_buffer(&mut self) -> &mut [u8] {
        self.engine.whole_buffer()
    }

    /// Answers the vendor command under way with the first `len` bytes of [`HidAuthenticator::vendor_buffer`], at most
    /// [`hid::MAX_MESSAGE`] bytes. Without such a command nothing happens.
    pub fn respond_to_vendor(&mut self, len: usize) {
        if mem::take(&mut self.vendor) {
            self.framing.respond(len);
        }
    }

    /// Refuses the vendor command under way. Without such a command nothing happens.
    pub fn refuse_vendor(&mut self, code: hid::ErrorCode) {
        if mem::take(&mut self.vendor) {
            self.framing.refuse(code);
        }
    }

    /// The next report to send, if there is one now. The one before has been sent then.
    pub fn transmit(&mut self, now: Instant) -> Option<[u8; REPORT_LEN]> {
        self.framing.transmit(now, self.engine.whole_buffer())
    }

    /// What the pending command waits for. While it is [`Wait::Processing`], call [`HidAuthenticator::tick`] as soon as
    /// no report is waiting to be received.
    pub const fn waits_for(&self) -> Option<Wait> {
        self.waits_for
    }

    /// Whether U2F has asked for a touch, for its next request.
    pub fn u2f_awaits_touch(&self, now: Instant) -> bool {
        self.engine.u2f_awaits_touch(now)
    }

    /// The user touched the authenticator, or declined. Where [`HidAuthenticator::waits_for`] says [`Wait::LongTouch`],
    /// the touch must have lasted [`LONG_TOUCH`](crate::engine::LONG_TOUCH). Without a command or a platform that waits
    /// for it nothing happens.
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

    /// The user tried to be verified: see [`Event::Verified`]. Without a command that waits for it nothing happens.
    pub fn verify(&mut self, now: Instant, matched: bool) {
        if self.waits_for == Some(Wait::UserVerification) {
            self.resume(now, Event::Verified(matched));
        }
    }

    /// The sensor has taken a sample: see [`Event::Sample`]. Without a command that waits for it nothing happens.
    pub fn sample(&mut self, now: Instant, status: SampleStatus, remaining: u8) {
        if self.waits_for == Some(Wait::Sample) {
            self.resume(now, Event::Sample { status, remaining });
        }
    }

    /// Tells the engine when the last report of an answer is out. Returns whether the engine had something to do.
    fn settle_answer(&mut self) -> bool {
        if !self.answers || self.framing.channel().is_some() {
            return false;
        }
        self.answers = false;
        self.engine.response_sent()
    }

    /// Goes on with a pending command, or applies its timeout. While there is none, tidies the store up, a piece at a time.
    /// Reports that [`HidAuthenticator::transmit`] has given must have been sent.
    pub fn tick(&mut self, now: Instant) {
        if self.waits_for.is_some() {
            self.resume(now, Event::Tick);
        } else if self.settle_answer() {
            // That was one piece of work.
        } else if self.is_untidy() {
            self.untidy = self.engine.tidy();
        }
    }

    /// Whether nothing is under way, and the last command may have left something to tidy up.
    const fn is_untidy(&self) -> bool {
        self.untidy && self.framing.channel().is_none()
    }

    /// When to call [`HidAuthenticator::tick`] and [`HidAuthenticator::transmit`] though nothing came in; in the past
    /// when there is something to do now.
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

    fn resume(&mut self, now: Instant, event: Event) {
        let progress = self.engine.resume(now, event);
        self.advance(progress);
    }

    fn advance(&mut self, progress: Progress) {
        match progress {
            Progress::Reply(len) => {
                self.waits_for = None;
                self.untidy = true;
                self.framing.respond(len);
                self.answers = self.framing.channel().is_some();
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
