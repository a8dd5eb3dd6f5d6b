//! Enrolling a finger (CTAP 2.3 §6.7.3).

use rand_core::CryptoRng;

use super::{CancelEnrollment, fingerprints::question};
use crate::{
    cbor::{Read, Reader},
    client::{
        Cause, Requirement,
        authorization::Grant,
        facts::{Facts, Purpose},
        operation::{Accepted, Forgets, Means, Operation, Room, Sealed},
        question::Question,
    },
    crypto::Crypto,
    ctap2::{
        bio_enrollment::{Params, Response, SampleStatus, subcommand},
        decode_response, response_body,
    },
    pin_uv::Permissions,
};

/// Enrols a finger. Each sample that was taken, good or bad, is an item, a [`Sample`]; the outcome is the template's
/// id. One that is cancelled, or whose time is up, is ended at the authenticator too; one that is dropped leaves an
/// unfinished enrolment behind, which the next one ends, or [`CancelEnrollment`](super::CancelEnrollment).
#[derive(Clone, Copy, Debug)]
pub struct Enroll {
    timeout: Option<u64>,
    begun: bool,
    /// It was given up, and the authenticator told so.
    ended: bool,
}

impl Enroll {
    /// `timeout`: how long the authenticator waits for each sample, in milliseconds; if `None` it decides.
    pub const fn new(timeout: Option<u64>) -> Self {
        Self { timeout, begun: false, ended: false }
    }
}

/// What became of one sample of a finger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Whether it was good, or what was wrong with it.
    pub status: SampleStatus,
    /// How many samples are still needed.
    pub remaining: u64,
}

impl Sample {
    fn of(response: &Response<'_>) -> Result<Self, Cause> {
        Ok(Self {
            status: response.last_enroll_sample_status.ok_or(Cause::missing(0x05))?,
            remaining: response.remaining_samples.ok_or(Cause::missing(0x06))?,
        })
    }
}

/// The template's id in the first response.
fn template_id(response: &[u8]) -> Result<&[u8], Cause> {
    // What follows are other responses.
    let mut r = Reader::tolerant(response_body(response)?);
    Response::read(&mut r)?.template_id.ok_or(Cause::missing(0x04))
}

impl Sealed for Enroll {}

impl Operation for Enroll {
    type Outcome<'b> = &'b [u8];
    type Item<'m> = Sample;
    const FORGETS: Forgets = Forgets::Info;

    fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
        question(facts, subcommand::ENROLL_BEGIN, None) // or the next sample, both with parameters
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::manage(Permissions::BE, Requirement::Required)
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        kept: &[u8],
        buffer: &mut [u8],
    ) -> Result<Option<usize>, Cause> {
        let mut params = Params { timeout_milliseconds: self.timeout, ..Params::default() };
        let mut sub_command = subcommand::ENROLL_BEGIN;
        if self.begun {
            params.template_id = Some(template_id(kept)?);
            sub_command = subcommand::ENROLL_CAPTURE_NEXT_SAMPLE;
        }
        question(means.facts, sub_command, Some(&params))?.encode(means.crypto, means.grant, buffer)
    }

    fn farewell<C: Crypto, R: CryptoRng>(&mut self, means: &mut Means<'_, C, R>, buffer: &mut [u8]) -> Option<usize> {
        if core::mem::replace(&mut self.ended, true) {
            return None;
        }
        CancelEnrollment.question(means.facts).ok()?.encode(means.crypto, Grant::None, buffer).ok()?
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Accepted, Cause> {
        let sample = Sample::of(&decode_response(room.response())?)?;
        let first = !self.begun;
        if first {
            template_id(room.response())?;
            self.begun = true;
        }
        Ok(Accepted::Show { keep: first, last: sample.remaining == 0 })
    }

    fn item(&self, response: &[u8]) -> Option<Sample> {
        Sample::of(&decode_response(response).ok()?).ok()
    }

    fn outcome<'b>(&mut self, response: &'b [u8]) -> Result<&'b [u8], Cause> {
        template_id(response)
    }
}
