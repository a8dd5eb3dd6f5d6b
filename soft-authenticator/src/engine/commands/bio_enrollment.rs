//! authenticatorBioEnrollment, and its prototype (CTAP 2.3 §6.7).

use keyfob_core::{
    Failure, Instant,
    cbor::{MapWriter, Message, Write},
    ctap2::bio_enrollment::{
        FINGERPRINT, Params, Request, Response, SampleStatus, TemplateInfo, authenticated_head, subcommand,
    },
    pin_uv::Permissions,
};

use crate::engine::{
    authenticator::{Authenticator, store_status},
    call::{Call, Next, Outcome, Trigger, begin, decode, ok, valid, written},
    platform::{Platform, USER_ACTION_TIMEOUT},
    state::{MAX_FRIENDLY_NAME, TemplateId},
};
use crate::{caps::Caps, store::Setting};

/// The enrolment under way, if there is one.
#[derive(Default)]
pub struct Run(Option<Enrollment>);

/// A finger that is being enrolled.
#[derive(Clone, Copy)]
struct Enrollment {
    id: TemplateId,
    /// Samples that are still needed.
    remaining: u8,
    /// No sample has been answered yet: the platform does not know the id.
    is_new: bool,
}

/// What goes back to the platform.
enum Answer {
    Empty,
    Sample(u16),
    Modality,
    SensorInfo,
    Enumeration,
}

impl Run {
    /// The fingerprint that is being enrolled.
    pub fn enrolls(&self) -> Option<TemplateId> {
        self.0.map(|enrollment| enrollment.id)
    }

    /// Goes on with the enrolment under way.
    fn enroll_capture_next_sample(&self, params: &Params<'_>) -> Result<Answer, Failure> {
        let same = self.enrolls().is_some_and(|id| params.template_id == Some(&id));
        if same { Ok(Answer::Sample(timeout(params))) } else { Err(Failure::INVALID_PARAMETER) }
    }

    /// The command ends. Whether the next one can go on: not with an enrolment whose id the platform was never told.
    pub fn end(&mut self) -> bool {
        self.0.take_if(|enrollment| enrollment.is_new);
        self.0.is_some()
    }

    #[inline(never)]
    pub fn step<P: Platform>(&mut self, call: &mut Call<'_, '_, P>, cause: Trigger) -> Outcome {
        let Call { now, authenticator, .. } = call;
        if !authenticator.has(Caps::BIO_ENROLL) {
            return Err(Failure::INVALID_COMMAND);
        }
        if let Trigger::Sample(status, remaining) = cause {
            return self.sample(call, status, remaining);
        }
        let request = decode(call.message, call.request);
        let request: &Request<'_> = valid(&request)?;
        match authenticator.bio_enrollment(self, *now, request)? {
            Answer::Empty => ok(call.message),
            Answer::Sample(timeout) => Ok(Next::Sample(timeout)),
            answer => authenticator.write_fingerprints(&answer, call.message),
        }
    }

    /// A sample was taken, or the time for it has passed.
    #[inline(never)]
    fn sample<P: Platform>(&mut self, call: &mut Call<'_, '_, P>, status: SampleStatus, remaining: u8) -> Outcome {
        let enrollment = self.0.as_mut().ok_or(Failure::OTHER)?;
        if status == SampleStatus::GOOD {
            enrollment.remaining = remaining;
        }
        let Enrollment { id, remaining, is_new } = *enrollment;
        enrollment.is_new = false;
        if remaining == 0 {
            self.0 = None;
            call.authenticator.add_fingerprint(id)?;
        }
        let mut w = begin(call.message);
        let mut m = MapWriter::new(&mut w, Response::KEYS, &[]);
        m.skip(3);
        m.bytes(is_new.then_some(&id[..]));
        m.number(Some(status.0));
        m.number(Some(remaining.into()));
        m.end();
        written(w.finish())
    }
}

impl<P: Platform> Authenticator<'_, P> {
    fn bio_enrollment(&mut self, run: &mut Run, now: Instant, request: &Request<'_>) -> Result<Answer, Failure> {
        if request.get_modality == Some(true) {
            return Ok(Answer::Modality);
        }
        let sub_command = request.sub_command.ok_or(Failure::MISSING_PARAMETER)?;
        if request.modality.ok_or(Failure::MISSING_PARAMETER)? != FINGERPRINT {
            return Err(Failure::INVALID_PARAMETER);
        }
        match sub_command {
            subcommand::GET_FINGERPRINT_SENSOR_INFO => return Ok(Answer::SensorInfo),
            subcommand::CANCEL_CURRENT_ENROLLMENT => {
                run.0 = None;
                return Ok(Answer::Empty);
            }
            subcommand::ENROLL_BEGIN..=subcommand::REMOVE_ENROLLMENT => {}
            _ => return Err(Failure::INVALID_SUBCOMMAND),
        }
        self.presented(request.pin_uv_auth_param, request.pin_uv_auth_protocol)?;
        let params = request.params();
        let params = valid(&params)?;
        let (id, name) = self.authorized(now, request, sub_command, params)?;
        match sub_command {
            subcommand::ENROLL_BEGIN => self.enroll_begin(run, params),
            subcommand::ENROLL_CAPTURE_NEXT_SAMPLE => run.enroll_capture_next_sample(params),
            subcommand::ENUMERATE_ENROLLMENTS if self.fingerprints.is_empty() => Err(Failure::INVALID_OPTION),
            subcommand::ENUMERATE_ENROLLMENTS => Ok(Answer::Enumeration),
            subcommand::SET_FRIENDLY_NAME => self.name_fingerprint(id, name).map(|()| Answer::Empty),
            subcommand::REMOVE_ENROLLMENT => self.remove_fingerprint(id).map(|()| Answer::Empty),
            _ => Err(Failure::OTHER),
        }
    }

    /// The id and the name of a subcommand whose platform has proved that it may enrol. They are looked for before the
    /// proof is looked at.
    fn authorized<'r>(
        &mut self,
        now: Instant,
        request: &Request<'r>,
        sub_command: u32,
        params: &Params<'r>,
    ) -> Result<(&'r [u8], &'r str), Failure> {
        let given = mandatory(sub_command, params)?;
        let head = authenticated_head(sub_command);
        let raw = request.sub_command_params.map_or(&[][..], |params| params.0);
        let (param, protocol) = (request.pin_uv_auth_param, request.pin_uv_auth_protocol);
        self.authorize(now, param, protocol, &[&head, raw], Permissions::BE)?;
        Ok(given)
    }

    /// Begins an enrolment; one that was under way ends.
    fn enroll_begin(&mut self, run: &mut Run, params: &Params<'_>) -> Result<Answer, Failure> {
        if self.fingerprints.is_full() {
            return Err(Failure::FP_DATABASE_FULL);
        }
        let id = self.new_template_id()?;
        let remaining = self.config.user_verification.samples;
        run.0 = Some(Enrollment { id, remaining, is_new: true });
        Ok(Answer::Sample(timeout(params)))
    }

    /// Writes what was asked for, in the order of the response's table.
    fn write_fingerprints(&mut self, answer: &Answer, message: &mut [u8]) -> Outcome {
        let mut w = begin(message);
        let mut m = MapWriter::new(&mut w, Response::KEYS, &[]);
        match answer {
            Answer::Empty | Answer::Sample(_) => return Err(Failure::OTHER),
            Answer::Modality => m.number(Some(FINGERPRINT)),
            Answer::SensorInfo => {
                let sensor = &self.config.user_verification;
                m.skip(1);
                m.number(Some(sensor.fingerprint_kind));
                m.number(Some(sensor.samples.into()));
                m.skip(4);
                m.number(Some(MAX_FRIENDLY_NAME as u32));
            }
            Answer::Enumeration => {
                let mut stored = [0; Setting::MAX_LEN];
                m.skip(6);
                m.begin_list(true);
                for (id, name) in &self.stored_fingerprints(&mut stored).map_err(store_status)? {
                    // An empty name is written too: python-fido2 expects the member.
                    TemplateInfo { template_id: id, template_friendly_name: Some(name) }.write(m.item());
                }
                m.end_list();
            }
        }
        m.end();
        written(w.finish())
    }
}

/// The id and the name that a subcommand cannot do without. They are empty for one that takes none.
fn mandatory<'p>(sub_command: u32, params: &Params<'p>) -> Result<(&'p [u8], &'p str), Failure> {
    if matches!(sub_command, subcommand::ENROLL_BEGIN | subcommand::ENUMERATE_ENROLLMENTS) {
        return Ok((&[], ""));
    }
    let id = params.template_id.ok_or(Failure::MISSING_PARAMETER)?;
    if sub_command != subcommand::SET_FRIENDLY_NAME {
        return Ok((id, ""));
    }
    let name = params.template_friendly_name.ok_or(Failure::MISSING_PARAMETER)?;
    if name.len() > MAX_FRIENDLY_NAME { Err(Failure::INVALID_LENGTH) } else { Ok((id, name)) }
}

/// How long a sample may take, in milliseconds: what the platform says, within the engine's own limit.
fn timeout(params: &Params<'_>) -> u16 {
    const LONGEST: u16 = USER_ACTION_TIMEOUT.as_millis() as u16;
    const { assert!(USER_ACTION_TIMEOUT.as_millis() == LONGEST as u128) };
    params.timeout_milliseconds.and_then(|asked| u16::try_from(asked).ok()).map_or(LONGEST, |asked| asked.min(LONGEST))
}
