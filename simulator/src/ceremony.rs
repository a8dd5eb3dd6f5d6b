//! The client's loop: it does what a ceremony wants, with the world around it, and sees that the ceremony ends.

use std::{collections::VecDeque, time::Duration};

use keyfob_core::{
    Instant,
    client::{Cause, Ceremony, Error, GetAssertion, Input, MakeCredential, Output, manage},
    crypto::Crypto,
    transport::{KeepAlive, Protocol, hid::HostEvent},
};
use rand_core::CryptoRng;

use crate::{Mutation, tap::Backend, world::World};

/// How long after its deadline a ceremony may still take: 3 s for the answer to its cancellation, and a moment for the
/// clock's steps. The user's typing comes on top, for nobody interrupts it.
const GRACE: u64 = 3_000 + 200;

/// What the user enters when asked for the PIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// This.
    Pin(String),
    /// Nothing.
    None,
}

/// How the user and the client's owner behave during one ceremony.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is entered, in order; afterwards nothing.
    pub entries: VecDeque<Entry>,
    /// The new PIN, for when one is asked for.
    pub new_pin: Option<String>,
    /// How long each entry takes, in milliseconds.
    pub typing: u64,
    /// When the caller cancels, in milliseconds from the beginning.
    pub cancel_after: Option<u64>,
    /// Whether the caller can take the power away and give it back.
    pub reconnects: bool,
    /// The ceremony's timeout.
    pub timeout: Duration,
}

/// How a ceremony went.
#[derive(Debug)]
pub struct Course {
    /// How it ended.
    pub result: Result<(), Error>,
    /// What was entered.
    pub entered: Vec<String>,
    /// No new PIN was given, so that the PIN entered last was not tried, or was right.
    pub no_new_pin: bool,
}

/// Any ceremony.
pub trait Machine {
    /// See [`keyfob_core::client::Ceremony::step`].
    fn step(&mut self, now: Instant, input: Input<'_>) -> Result<Output<'_>, Error>;
}

macro_rules! machines {
    ($($machine:ty),*) => {$(
        impl<'o: 'b, 'b, C: Crypto, R: CryptoRng> Machine for $machine {
            fn step(&mut self, now: Instant, input: Input<'_>) -> Result<Output<'_>, Error> {
                self.step(now, input)
            }
        }
    )*};
}
machines!(
    MakeCredential<'o, 'b, C, R>,
    GetAssertion<'o, 'b, C, R>,
    manage::DeleteCredential<'o, 'b, C, R>,
    manage::UpdateUser<'o, 'b, C, R>,
    manage::ReadLargeBlobs<'o, 'b, C, R>,
    manage::WriteLargeBlobs<'o, 'b, C, R>,
    manage::ListFingerprints<'b, C, R>,
    manage::Configure<'o, 'b, C, R>
);

impl<const CHANGE: bool, C: Crypto, R: CryptoRng> Machine for Ceremony<'_, manage::NewPin<CHANGE>, C, R> {
    fn step(&mut self, now: Instant, input: Input<'_>) -> Result<Output<'_>, Error> {
        self.step(now, input)
    }
}

/// Takes what a ceremony shows on the way, and passes on what it wants.
fn without_items<'m, I>(output: Output<'m, I>, take: impl FnOnce(I)) -> Output<'m> {
    match output {
        Output::Item(item) => {
            take(item);
            Output::Show(KeepAlive::Processing)
        }
        Output::Send(exchange) => Output::Send(exchange),
        Output::Wait { buf, limit } => Output::Wait { buf, limit },
        Output::CancelDevice => Output::CancelDevice,
        Output::AskPin(prompt) => Output::AskPin(prompt),
        Output::AskNewPin(prompt) => Output::AskNewPin(prompt),
        Output::AskUv(prompt) => Output::AskUv(prompt),
        Output::Show(status) => Output::Show(status),
        Output::Reconnect => Output::Reconnect,
        Output::Done => Output::Done,
    }
}

/// A list, and the ids in it.
pub struct Listing<'o, 'b, C, R>(pub manage::ListCredentials<'o, 'b, C, R>, pub Vec<Vec<u8>>);

/// An enrolment, and the samples that were taken.
pub struct Sampling<'b, C, R>(pub manage::Enroll<'b, C, R>, pub Vec<manage::Sample>);

impl<C: Crypto, R: CryptoRng> Machine for Sampling<'_, C, R> {
    fn step(&mut self, now: Instant, input: Input<'_>) -> Result<Output<'_>, Error> {
        Ok(without_items(self.0.step(now, input)?, |sample| self.1.push(sample)))
    }
}

impl<'o: 'b, 'b, C: Crypto, R: CryptoRng> Machine for Listing<'o, 'b, C, R> {
    fn step(&mut self, now: Instant, input: Input<'_>) -> Result<Output<'_>, Error> {
        Ok(without_items(self.0.step(now, input)?, |item| self.1.push(item.id.to_vec())))
    }
}

impl<C: Backend> World<'_, C> {
    /// Runs a ceremony to its end. Errors: it does not end, or says what it must not say.
    pub fn conduct(&mut self, machine: &mut dyn Machine, mut plan: Plan) -> Result<Course, String> {
        let begun = self.now;
        let bound = begun + plan.timeout.as_millis() as u64 + plan.typing + GRACE;
        let cancel_at = plan.cancel_after.map(|after| begun + after);
        let cuts = self.cuts;
        let mut cancelled = false;
        let mut entered = Vec::new();
        let mut no_new_pin = false;
        let mut new_pin;
        let mut input = Input::Start;
        self.turns = 0;
        loop {
            self.turns += 1;
            if self.now > bound || self.exhausted() {
                let took = self.now - begun;
                return Err(format!("a ceremony does not end: {took} ms, {} turns", self.turns));
            }
            let output = match machine.step(self.instant(), input) {
                Ok(output) => output,
                Err(error) if error.cause == Cause::WrongState => {
                    return Err(format!("the ceremony refuses an input it asked for: {error}"));
                }
                Err(error) => return Ok(Course { result: Err(error), entered, no_new_pin }),
            };
            input = match output {
                Output::Send(exchange) => {
                    self.begin(exchange.protocol, exchange.request());
                    Input::Time
                }
                Output::Wait { buf, limit } => {
                    let until = self.now + limit.as_millis() as u64;
                    let stop = cancel_at.filter(|_| !cancelled).map_or(until, |at| until.min(at));
                    let stop = if self.mutation == Some(Mutation::NeverEnds) { bound + 1 } else { stop };
                    match self.advance(stop, buf) {
                        Some(HostEvent::KeepAlive(status)) => Input::KeepAlive(status),
                        Some(HostEvent::Response { len, .. }) => Input::Response(len),
                        Some(_) => Input::TransportFailed,
                        None if !cancelled && cancel_at.is_some_and(|at| at <= self.now) => {
                            cancelled = true;
                            self.note(|| "the caller cancels".into());
                            Input::Cancel
                        }
                        None => Input::Time,
                    }
                }
                Output::CancelDevice if self.cancel() => Input::Time,
                Output::CancelDevice => Input::TransportFailed,
                Output::AskPin(prompt) => {
                    if prompt.retries == Some(0) {
                        return Err("the user is asked for a PIN that is blocked".into());
                    }
                    let stored = self.flash.retries();
                    if self.disturbed == 0 && self.cuts == cuts && prompt.retries != stored {
                        return Err(format!("PIN retries are {stored:?}, the user is told {:?}", prompt.retries));
                    }
                    self.idle(plan.typing);
                    match plan.entries.pop_front() {
                        Some(Entry::Pin(pin)) => {
                            self.note(|| format!("user enters {pin:?}"));
                            self.secrets.add(pin.as_bytes());
                            entered.push(pin);
                            Input::Pin(entered.last().expect("it was just pushed"))
                        }
                        Some(Entry::None) | None => Input::NoPin,
                    }
                }
                Output::AskNewPin(_) => {
                    self.idle(plan.typing);
                    new_pin = plan.new_pin.take();
                    no_new_pin |= new_pin.is_none();
                    new_pin.as_deref().map_or(Input::NoPin, Input::Pin)
                }
                Output::AskUv(_) if self.flash.ledger().fingerprints > 0 => Input::UserVerification(true),
                Output::AskUv(_) if self.corrupted > 0 => Input::UserVerification(self.dice.percent(50)),
                Output::AskUv(_) => return Err("built-in user verification where there is none".into()),
                Output::Show(_) => Input::Time,
                Output::Reconnect if plan.reconnects => {
                    self.replug();
                    Input::Reconnected
                }
                Output::Reconnect => Input::TransportFailed,
                Output::Done => return Ok(Course { result: Ok(()), entered, no_new_pin }),
            };
        }
    }

    /// Sends one request of the caller's own and returns the answer, if one comes within `limit` milliseconds.
    pub fn exchange(&mut self, protocol: Protocol, request: &[u8], limit: u64) -> Option<Vec<u8>> {
        let mut buffer = vec![0; self.config.max_msg_size];
        buffer[..request.len()].copy_from_slice(request);
        self.turns = 0;
        self.begin(protocol, request);
        let until = self.now + limit;
        loop {
            match self.advance(until, &mut buffer) {
                Some(HostEvent::KeepAlive(_)) => {}
                Some(HostEvent::Response { len, .. }) => {
                    buffer.truncate(len);
                    return Some(buffer);
                }
                _ => return None,
            }
        }
    }

    /// Pulls the plug and puts it back: a new device for the client, without a channel.
    pub fn replug(&mut self) {
        self.power_cycle();
        self.host = keyfob_core::transport::hid::Host::new();
        self.idle(20);
    }
}
