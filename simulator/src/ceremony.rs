//! The client's loop: it drives a ceremony in the simulated world and checks that the ceremony ends.

use std::{collections::VecDeque, time::Duration};

use keyfob_core::{
    client::{Cause, Ceremony, Error, Input, Operation, Output},
    crypto::Crypto,
    transport::Protocol,
};
use rand_core::CryptoRng;

use crate::{
    Mutation,
    link::{Client, ClientEvent},
    tap::Backend,
    world::World,
};

/// How long a ceremony may continue after its deadline: 3 s for the answer to its cancellation, and 200 ms for the
/// clock's steps. The time of the user's typing is added, because nothing interrupts it.
const GRACE: u64 = 3_000 + 200;

/// What the user enters when asked for the PIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// This PIN.
    Pin(String),
    /// Nothing: the user declines.
    None,
}

/// How the user and the client's owner behave during one ceremony.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The entries in order. Afterwards the user enters nothing.
    pub entries: VecDeque<Entry>,
    /// The new PIN, if the ceremony asks for one.
    pub new_pin: Option<String>,
    /// How long each entry takes, in milliseconds.
    pub typing: u64,
    /// When the caller cancels, in milliseconds from the start.
    pub cancel_after: Option<u64>,
    /// Whether the caller can power-cycle the authenticator.
    pub reconnects: bool,
    /// The ceremony's timeout.
    pub timeout: Duration,
}

/// How a ceremony went.
#[derive(Debug)]
pub struct Course {
    /// How it ended.
    pub result: Result<(), Error>,
    /// The PINs that were entered.
    pub entered: Vec<String>,
    /// Whether the ceremony asked for a new PIN and got none. Then the PIN that was entered last was not tried, or was
    /// right.
    pub no_new_pin: bool,
}

impl<C: Backend> World<'_, C> {
    /// Runs a ceremony to its end, and calls `each` with every item that it shows.
    ///
    /// # Errors
    /// The ceremony does not end, or has an output that it must not have.
    pub fn conduct<O: Operation, B: Crypto, R: CryptoRng>(
        &mut self,
        ceremony: &mut Ceremony<'_, O, B, R>,
        mut plan: Plan,
        mut each: impl FnMut(O::Item<'_>),
    ) -> Result<Course, String> {
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
            let output = match ceremony.step(self.instant(), input) {
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
                        Some(ClientEvent::KeepAlive(status)) => Input::KeepAlive(status),
                        Some(ClientEvent::Response(len)) => Input::Response(len),
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
                Output::Item(item) => {
                    each(item);
                    Input::Time
                }
                Output::Reconnect if plan.reconnects => {
                    self.replug();
                    Input::Reconnected
                }
                Output::Reconnect => Input::TransportFailed,
                Output::Done => return Ok(Course { result: Ok(()), entered, no_new_pin }),
                other => return Err(format!("an output that the simulator does not know: {other:?}")),
            };
        }
    }

    /// Sends one request without a ceremony and returns the answer, if one comes within `limit` milliseconds.
    pub fn exchange(&mut self, protocol: Protocol, request: &[u8], limit: u64) -> Option<Vec<u8>> {
        let mut buffer = vec![0; self.config.max_msg_size];
        buffer[..request.len()].copy_from_slice(request);
        self.turns = 0;
        self.begin(protocol, request);
        let until = self.now + limit;
        loop {
            match self.advance(until, &mut buffer) {
                Some(ClientEvent::KeepAlive(_)) => {}
                Some(ClientEvent::Response(len)) => {
                    buffer.truncate(len);
                    return Some(buffer);
                }
                _ => return None,
            }
        }
    }

    /// Unplugs the key and plugs it in again. For the client it is a new device without a channel.
    pub fn replug(&mut self) {
        self.power_cycle();
        self.host = Client::new(self.medium);
        self.idle(20);
    }
}
