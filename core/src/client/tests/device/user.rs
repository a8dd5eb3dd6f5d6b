//! The user in front of the small authenticator.

use std::collections::VecDeque;

use super::RP_ID;
use crate::client::{PinEntry, Prompt, Reason, UserInteraction};

/// The user: what is entered, one after the other, and what was shown.
#[derive(Default)]
pub struct User {
    pub pins: VecDeque<&'static str>,
    pub new_pins: VecDeque<&'static str>,
    /// Is asked for nothing that is of one relying party.
    pub manages: bool,
    pub refuses_uv: bool,
    pub cancels: bool,
    /// Cancels while this request is under way, counted from 1.
    pub cancels_at: Option<usize>,
    pub prompts: Vec<(Reason, Option<u8>)>,
    pub new_prompts: Vec<Reason>,
    pub uv_prompts: Vec<(Reason, Option<u8>)>,
    pub touches: usize,
    pub processings: usize,
}

impl User {
    pub fn with_pins<const N: usize>(pins: [&'static str; N]) -> Self {
        Self { pins: pins.into(), ..Self::default() }
    }

    pub fn manager<const N: usize>(pins: [&'static str; N]) -> Self {
        Self { manages: true, ..Self::with_pins(pins) }
    }
}

impl UserInteraction for User {
    fn prompt_up(&mut self) {
        self.touches += 1;
    }

    fn processing(&mut self) {
        self.processings += 1;
    }

    fn request_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        assert_eq!(prompt.rp_id, (!self.manages).then_some(RP_ID));
        self.prompts.push((prompt.reason, prompt.retries));
        self.pins.pop_front().map(|entered| pin.set(entered)).is_some()
    }

    fn request_new_pin(&mut self, prompt: &Prompt<'_>, pin: &mut PinEntry) -> bool {
        self.new_prompts.push(prompt.reason);
        self.new_pins.pop_front().map(|entered| pin.set(entered)).is_some()
    }

    fn request_uv(&mut self, prompt: &Prompt<'_>) -> bool {
        self.uv_prompts.push((prompt.reason, prompt.retries));
        !self.refuses_uv
    }

    fn cancelled(&mut self) -> bool {
        self.cancels || self.cancels_at.is_some_and(|request| self.processings >= request)
    }
}
