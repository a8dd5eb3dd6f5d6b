//! Fingerprints: enrolled, listed, named, removed (CTAP 2.3 §6.7).

use core::convert::Infallible;

use crate::{
    Status,
    cbor::{List, Write},
    client::{
        Cause, Requirement,
        facts::{Facts, Purpose},
        operation::{Forgets, Operation, Sealed},
        question::Question,
    },
    ctap2::{
        Command, ResponseError,
        bio_enrollment::{Params, Response, TemplateInfo, subcommand},
        decode_response, response_body,
    },
    pin_uv::Permissions,
};

/// A subcommand of authenticatorBioEnrollment. Errors: [`Cause::Unsupported`].
pub(super) fn question<'a>(
    facts: &Facts,
    sub_command: u64,
    params: Option<&'a Params<'_>>,
) -> Result<Question<'a>, Cause> {
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

impl Sealed for SensorInfo {}

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

/// Lists what is enrolled; the authenticator says it in one piece. Its outcome is the list.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListFingerprints;

impl ListFingerprints {
    /// A question about all templates.
    pub const fn new() -> Self {
        Self
    }
}

impl Sealed for ListFingerprints {}

impl Operation for ListFingerprints {
    type Outcome<'b> = List<'b, TemplateInfo<'b>>;
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Info;

    fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
        question(facts, subcommand::ENUMERATE_ENROLLMENTS, None)
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::manage(Permissions::BE, Requirement::Required)
    }

    fn outcome<'b>(&mut self, response: &'b [u8]) -> Result<List<'b, TemplateInfo<'b>>, Cause> {
        match decode_response::<Response<'_>>(response) {
            Ok(response) => response.template_infos.ok_or(Cause::missing(0x07)),
            // So the standard says that nothing is enrolled.
            Err(ResponseError::Status(Status::INVALID_OPTION)) => Ok(List::Slice(&[])),
            Err(error) => Err(error.into()),
        }
    }
}

/// Names a template, or removes it.
#[derive(Clone, Copy, Debug)]
pub struct ChangeFingerprints<'o> {
    sub_command: u64,
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

    fn new(sub_command: u64, template_id: &'o [u8], template_friendly_name: Option<&'o str>) -> Self {
        let params = Params { template_id: Some(template_id), template_friendly_name, ..Params::default() };
        Self { sub_command, params }
    }
}

impl Sealed for ChangeFingerprints<'_> {}

impl Operation for ChangeFingerprints<'_> {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Info;

    fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
        question(facts, self.sub_command, Some(&self.params))
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::manage(Permissions::BE, Requirement::Required)
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

impl Sealed for CancelEnrollment {}

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
