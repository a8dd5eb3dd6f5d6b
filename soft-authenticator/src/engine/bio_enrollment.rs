//! authenticatorBioEnrollment, and its prototype (CTAP 2.3 §6.7).

use heapless::Vec;
use keyfob_core::{
    Instant, Status,
    cbor::{self, List},
    ctap2::{
        self,
        bio_enrollment::{
            FINGERPRINT, Params, Request, Response, SampleStatus, TemplateInfo, authenticated_head, subcommand,
        },
    },
    pin_uv::Permissions,
};

use super::{
    Engine, MAX_FRIENDLY_NAME, Next, Outcome, Platform, TemplateId, USER_ACTION_TIMEOUT,
    authenticator::{Authenticator, Sequence, store_status},
    fingerprints::{MAX_FINGERPRINTS, entries},
};
use crate::store::Setting;
use core::time::Duration;

/// A finger that is being enrolled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Enrollment {
    id: TemplateId,
    /// Samples that are still needed.
    remaining: u8,
    /// No sample has been answered yet: the platform does not know the id.
    pub is_new: bool,
}

/// What goes back to the platform.
enum Answer {
    Empty,
    Sample(Duration),
    Enumeration,
    Body(Response<'static>),
}

impl<P: Platform> Engine<'_, P> {
    #[inline(never)]
    pub(super) fn bio_enrollment(&mut self, now: Instant) -> Outcome {
        let (message, _, authenticator) = self.parts();
        let request: Request<'_> = cbor::decode(message).map_err(cbor::Error::status)?;
        match authenticator.bio_enrollment(now, &request)? {
            Answer::Empty => self.ok(),
            Answer::Sample(timeout) => Ok(Next::Sample(timeout)),
            Answer::Enumeration => self.enumerate_enrollments(),
            Answer::Body(response) => self.reply(&response),
        }
    }

    /// The fingerprint that is being enrolled. When it is another one than before, the sensor begins a new template;
    /// when there is none, it drops the one that is not complete.
    pub fn enrolls(&self) -> Option<TemplateId> {
        match &self.authenticator.sequence {
            Some(Sequence::Enrollment(enrollment)) => Some(enrollment.id),
            _ => None,
        }
    }

    /// A sample was taken, or the time for it has passed.
    #[inline(never)]
    pub(super) fn sample(&mut self, status: SampleStatus, remaining: u8) -> Outcome {
        let authenticator = &mut self.authenticator;
        let Some(Sequence::Enrollment(enrollment)) = &mut authenticator.sequence else { return Err(Status::OTHER) };
        if status == SampleStatus::GOOD {
            enrollment.remaining = remaining;
        }
        let Enrollment { id, remaining, is_new } = *enrollment;
        enrollment.is_new = false;
        if remaining == 0 {
            authenticator.forget_sequence();
            authenticator.add_fingerprint(id)?;
        }
        self.reply(&Response {
            template_id: is_new.then_some(&id[..]),
            last_enroll_sample_status: Some(status),
            remaining_samples: Some(remaining.into()),
            ..Response::default()
        })
    }

    fn enumerate_enrollments(&mut self) -> Outcome {
        let mut stored = [0; Setting::MAX_LEN];
        let stored = self.authenticator.stored_fingerprints(&mut stored).map_err(store_status)?;
        let entries = entries(stored).ok_or(Status::OTHER)?;
        let mut infos: Vec<_, MAX_FINGERPRINTS> = Vec::new();
        for (id, name) in &entries {
            // Also an empty one: python-fido2 takes it for granted.
            let info = TemplateInfo { template_id: id, template_friendly_name: Some(name) };
            infos.push(info).map_err(|_| Status::OTHER)?;
        }
        self.reply(&Response { template_infos: Some(List::Slice(&infos)), ..Response::default() })
    }

    fn reply(&mut self, response: &Response<'_>) -> Outcome {
        let (message, _, _) = self.parts_mut();
        ctap2::encode_response(response, message).map(Next::Reply).map_err(|_| Status::OTHER)
    }
}

impl<P: Platform> Authenticator<'_, P> {
    fn bio_enrollment(&mut self, now: Instant, request: &Request<'_>) -> Result<Answer, Status> {
        if request.get_modality == Some(true) {
            return Ok(Answer::Body(Response { modality: Some(FINGERPRINT), ..Response::default() }));
        }
        let sub_command = request.sub_command.ok_or(Status::MISSING_PARAMETER)?;
        if request.modality.ok_or(Status::MISSING_PARAMETER)? != FINGERPRINT {
            return Err(Status::INVALID_PARAMETER);
        }
        match sub_command {
            subcommand::GET_FINGERPRINT_SENSOR_INFO => Ok(Answer::Body(self.fingerprint_sensor_info())),
            subcommand::CANCEL_CURRENT_ENROLLMENT => {
                self.forget_sequence();
                Ok(Answer::Empty)
            }
            subcommand::ENROLL_BEGIN => {
                let params = self.authorized(now, request, |_| Ok(()))?;
                self.enroll_begin(&params)
            }
            subcommand::ENROLL_CAPTURE_NEXT_SAMPLE => {
                let params = self.authorized(now, request, |params| template_id(params).map(drop))?;
                self.enroll_capture_next_sample(&params)
            }
            subcommand::ENUMERATE_ENROLLMENTS => {
                self.authorized(now, request, |_| Ok(()))?;
                if self.fingerprints.is_empty() { Err(Status::INVALID_OPTION) } else { Ok(Answer::Enumeration) }
            }
            subcommand::SET_FRIENDLY_NAME => {
                let params = self.authorized(now, request, |params| {
                    template_id(params)?;
                    let name = params.template_friendly_name.ok_or(Status::MISSING_PARAMETER)?;
                    if name.len() > MAX_FRIENDLY_NAME { Err(Status::INVALID_LENGTH) } else { Ok(()) }
                })?;
                self.name_fingerprint(template_id(&params)?, params.template_friendly_name.unwrap_or_default())?;
                Ok(Answer::Empty)
            }
            subcommand::REMOVE_ENROLLMENT => {
                let params = self.authorized(now, request, |params| template_id(params).map(drop))?;
                self.remove_fingerprint(template_id(&params)?)?;
                Ok(Answer::Empty)
            }
            _ => Err(Status::INVALID_SUBCOMMAND),
        }
    }

    /// The parameters of a subcommand whose platform has proved that it may enrol. `check` looks for mandatory ones,
    /// before the proof is looked at.
    fn authorized<'r>(
        &mut self,
        now: Instant,
        request: &Request<'r>,
        check: impl FnOnce(&Params<'r>) -> Result<(), Status>,
    ) -> Result<Params<'r>, Status> {
        let (param, protocol) = (request.pin_uv_auth_param, request.pin_uv_auth_protocol);
        self.presented(param, protocol)?;
        let params = request.params().map_err(cbor::Error::status)?;
        check(&params)?;
        let head = authenticated_head(request.sub_command.unwrap_or_default());
        let raw = request.sub_command_params.map_or(&[][..], |params| params.0);
        self.authorize(now, param, protocol, &[&head, raw], Permissions::BE)?;
        Ok(params)
    }

    fn fingerprint_sensor_info(&self) -> Response<'static> {
        let sensor = &self.config.user_verification;
        Response {
            fingerprint_kind: Some(sensor.fingerprint_kind),
            max_capture_samples_required_for_enroll: Some(sensor.samples.into()),
            max_template_friendly_name: Some(MAX_FRIENDLY_NAME as u64),
            ..Response::default()
        }
    }

    /// Begins an enrolment; one that was under way ends.
    fn enroll_begin(&mut self, params: &Params<'_>) -> Result<Answer, Status> {
        if self.fingerprints.is_full() {
            return Err(Status::FP_DATABASE_FULL);
        }
        let id = self.new_template_id()?;
        let remaining = self.config.user_verification.samples;
        self.sequence = Some(Sequence::Enrollment(Enrollment { id, remaining, is_new: true }));
        Ok(Answer::Sample(timeout(params)))
    }

    fn enroll_capture_next_sample(&mut self, params: &Params<'_>) -> Result<Answer, Status> {
        match &self.sequence {
            Some(Sequence::Enrollment(Enrollment { id, .. })) if *id == *template_id(params)? => {
                Ok(Answer::Sample(timeout(params)))
            }
            _ => Err(Status::INVALID_PARAMETER),
        }
    }
}

fn template_id<'p>(params: &Params<'p>) -> Result<&'p [u8], Status> {
    params.template_id.ok_or(Status::MISSING_PARAMETER)
}

/// How long a sample may take: what the platform says, within the engine's own limit.
fn timeout(params: &Params<'_>) -> Duration {
    let asked = params.timeout_milliseconds.map(Duration::from_millis);
    asked.unwrap_or(USER_ACTION_TIMEOUT).min(USER_ACTION_TIMEOUT)
}
