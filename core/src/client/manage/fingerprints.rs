//! Fingerprints: enrolled, listed, named, removed (CTAP 2.3 §6.7).

use core::convert::Infallible;

use rand_core::CryptoRng;

use crate::{
    Status,
    cbor::{List, Read, Reader, Write},
    client::{
        Cause, Requirement,
        authorization::Grant,
        facts::{Facts, Purpose},
        operation::{Accepted, Forgets, Means, Operation, Room},
        question::Question,
    },
    crypto::Crypto,
    ctap2::{
        Command, ResponseError,
        bio_enrollment::{Params, Response, SampleStatus, TemplateInfo, subcommand},
        decode_response, response_body,
    },
    pin_uv::Permissions,
};

/// A subcommand of authenticatorBioEnrollment.
///
/// # Errors
/// [`Cause::Unsupported`].
fn question<'a>(facts: &Facts, sub_command: u32, params: Option<&'a Params<'_>>) -> Result<Question<'a>, Cause> {
    let command = match (facts.options.bio_enroll, facts.options.user_verification_mgmt_preview) {
        (Some(_), _) => Command::BIO_ENROLLMENT,
        (_, Some(_)) => Command::BIO_ENROLLMENT_PREVIEW,
        _ => return Err(Cause::Unsupported),
    };
    let params = params.filter(|params| **params != Params::default());
    Ok(Question::Subcommand(command, sub_command, params.map(|params| params as &dyn Write)))
}

/// Asks about the sensor. Its outcome is the authenticator's response.
#[derive(Clone, Copy, Debug, Default)]
pub struct SensorInfo;

impl SensorInfo {
    /// A question about the sensor.
    pub const fn new() -> Self {
        Self
    }
}

impl Operation for SensorInfo {
    type Outcome<'b> = Response<'b>;
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Info;

    fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
        question(facts, subcommand::GET_FINGERPRINT_SENSOR_INFO, None)
    }

    fn outcome<'b>(&mut self, response: &'b [u8]) -> Result<Response<'b>, Cause> {
        Ok(decode_response(response)?)
    }
}

/// Enrols a finger. Each sample that was taken, good or bad, is an item, a [`Sample`]; the outcome is the template's
/// id. One that is cancelled, or whose time is up, is ended at the authenticator too; one that is dropped leaves an
/// unfinished enrolment behind, which the next one ends, or [`CancelEnrollment`].
///
/// ```
/// use keyfob_core::client::{self, Ceremony, PinEntry, Prompt, UserInteraction, manage::Enroll};
/// use keyfob_core::crypto::RustCrypto;
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// # struct Dialog;
/// # impl UserInteraction for Dialog {
/// #     fn request_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool { pin.set("1234"); true }
/// # }
/// # let (mut key, mut buffer) = (Key::with_pin(), [0; 4096]);
/// let ceremony = Ceremony::new(Enroll::new(None), &mut buffer, RustCrypto, rng());
/// let mut left = Vec::new();
/// let template = client::run_each(ceremony, &mut key, &mut Dialog, clock, |sample| left.push(sample.remaining))?;
/// assert_eq!((template, left), (&[1][..], vec![1, 0]));
/// # Ok::<(), client::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Enroll {
    timeout: Option<u32>,
    begun: bool,
    /// It was given up, and the authenticator told so.
    ended: bool,
}

impl Enroll {
    /// `timeout`: how long the authenticator waits for each sample, in milliseconds; if `None` it decides.
    pub const fn new(timeout: Option<u32>) -> Self {
        Self { timeout, begun: false, ended: false }
    }
}

/// What became of one sample of a finger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Whether it was good, or what was wrong with it.
    pub status: SampleStatus,
    /// How many samples are still needed.
    pub remaining: u32,
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
    // Other responses lie behind it.
    let mut r = Reader::tolerant(response_body(response)?);
    Response::read(&mut r)?.template_id.ok_or(Cause::missing(0x04))
}

impl Operation for Enroll {
    type Outcome<'b> = &'b [u8];
    type Item<'m> = Sample;
    const FORGETS: Forgets = Forgets::Info;
    const PURPOSE: Purpose<'static> = Purpose::manage(Permissions::BE, Requirement::Required);

    fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
        // Only for `examine`, which asks whether the command is supported. `request` writes the real one.
        question(facts, subcommand::ENROLL_BEGIN, None)
    }

    fn request<C: Crypto, R: CryptoRng>(&mut self, means: &mut Means<'_, C, R>) -> Result<Option<usize>, Cause> {
        let mut params = Params { timeout_milliseconds: self.timeout, ..Params::default() };
        let mut sub_command = subcommand::ENROLL_BEGIN;
        if self.begun {
            params.template_id = Some(template_id(means.kept)?);
            sub_command = subcommand::ENROLL_CAPTURE_NEXT_SAMPLE;
        }
        question(means.facts, sub_command, Some(&params))?.encode(means.crypto, means.grant, means.buffer)
    }

    fn farewell<C: Crypto, R>(&mut self, means: &mut Means<'_, C, R>) -> Option<usize> {
        if core::mem::replace(&mut self.ended, true) {
            return None;
        }
        CancelEnrollment.question(means.facts).ok()?.encode(means.crypto, Grant::None, means.buffer).ok()?
    }

    fn accept<C: Crypto, R>(&mut self, _: &Means<'_, C, R>, room: &mut Room<'_>) -> Result<Accepted, Cause> {
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

/// Lists what is enrolled; the authenticator says it in one piece. Its outcome is the list.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListFingerprints;

impl ListFingerprints {
    /// A question about all templates.
    pub const fn new() -> Self {
        Self
    }
}

impl Operation for ListFingerprints {
    type Outcome<'b> = List<'b, TemplateInfo<'b>>;
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Info;
    const PURPOSE: Purpose<'static> = Purpose::manage(Permissions::BE, Requirement::Required);

    fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
        question(facts, subcommand::ENUMERATE_ENROLLMENTS, None)
    }

    fn outcome<'b>(&mut self, response: &'b [u8]) -> Result<List<'b, TemplateInfo<'b>>, Cause> {
        match decode_response::<Response<'_>>(response) {
            Ok(response) => response.template_infos.ok_or(Cause::missing(0x07)),
            // The standard's answer when nothing is enrolled.
            Err(ResponseError::Status(Status::INVALID_OPTION)) => Ok(List::Slice(&[])),
            Err(error) => Err(error.into()),
        }
    }
}

/// Names a template, or removes it.
#[derive(Clone, Copy, Debug)]
pub struct ChangeFingerprints<'o> {
    sub_command: u32,
    params: Params<'o>,
}

impl<'o> ChangeFingerprints<'o> {
    /// Gives a template a name, of at most maxTemplateFriendlyName bytes ([`SensorInfo`]).
    pub fn rename(template_id: &'o [u8], name: &'o str) -> Self {
        Self::new(subcommand::SET_FRIENDLY_NAME, template_id, Some(name))
    }

    /// Removes a template.
    pub fn remove(template_id: &'o [u8]) -> Self {
        Self::new(subcommand::REMOVE_ENROLLMENT, template_id, None)
    }

    fn new(sub_command: u32, template_id: &'o [u8], template_friendly_name: Option<&'o str>) -> Self {
        let params = Params { template_id: Some(template_id), template_friendly_name, ..Params::default() };
        Self { sub_command, params }
    }
}

impl Operation for ChangeFingerprints<'_> {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Info;
    const PURPOSE: Purpose<'static> = Purpose::manage(Permissions::BE, Requirement::Required);

    fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
        question(facts, self.sub_command, Some(&self.params))
    }

    fn outcome(&mut self, response: &[u8]) -> Result<(), Cause> {
        Ok(response_body(response).map(drop)?)
    }
}

/// Ends an unfinished enrolment. The user is not asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct CancelEnrollment;

impl CancelEnrollment {
    /// Whatever enrolment it is.
    pub const fn new() -> Self {
        Self
    }
}

impl Operation for CancelEnrollment {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Info;

    fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
        question(facts, subcommand::CANCEL_CURRENT_ENROLLMENT, None)
    }

    fn outcome(&mut self, response: &[u8]) -> Result<(), Cause> {
        Ok(response_body(response).map(drop)?)
    }
}
