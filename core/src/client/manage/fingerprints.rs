//! Fingerprints: enrolled, listed, named, removed (CTAP 2.3 §6.7).

use core::{convert::Infallible, marker::PhantomData};

use rand_core::CryptoRng;

use crate::{
    Status,
    cbor::{List, Read, Reader, Write, Writer},
    client::{
        Cause, Ceremony, Requirement,
        authorization::Grant,
        facts::{Facts, Purpose},
        manage::proven,
        operation::{Forgets, Means, Operation, Progress, Room},
    },
    crypto::{Crypto, Hash},
    ctap2::{
        Command, ResponseError,
        bio_enrollment::{
            FINGERPRINT, Params, Request, Response, SampleStatus, TemplateInfo, authenticated_head, subcommand,
        },
        decode_response, encode_request, get_info, response_body,
    },
    pin_uv::Permissions,
};

/// The operation that enrols a finger. Each sample that was taken, good or bad, is an item, a [`Sample`]; the outcome is
/// the template's id. One that is cancelled, or whose time is up, is ended at the authenticator too; one that is dropped
/// leaves an unfinished enrolment behind, which the next one ends, or [`ChangeFingerprints::cancel_enrollment`].
pub type Enroll<'b, C, R> = Ceremony<'b, Enrollment, C, R>;

/// The operation that asks about the sensor. Its outcome is the authenticator's response.
pub type SensorInfo<'b, C, R> = Ceremony<'b, BioEnrollment<'b, Sensor>, C, R>;

/// The operation that lists what is enrolled; the authenticator says it in one piece. Its outcome is the list.
pub type ListFingerprints<'b, C, R> = Ceremony<'b, BioEnrollment<'b, Templates>, C, R>;

/// The operations that name a template, remove it, or end an unfinished enrolment.
pub type ChangeFingerprints<'o, 'b, C, R> = Ceremony<'b, BioEnrollment<'o, Done>, C, R>;

impl<'b, C: Crypto, R: CryptoRng> Enroll<'b, C, R> {
    /// An operation that has not begun. `timeout`: how long the authenticator waits for each sample, in milliseconds; if
    /// `None` it decides. `buffer` has at least [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes.
    pub fn new(timeout: Option<u64>, buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        Self::with(
            Enrollment { timeout, command: Command::BIO_ENROLLMENT, begun: false, ended: false },
            buffer,
            crypto,
            rng,
        )
    }
}

impl<'b, C: Crypto, R: CryptoRng> SensorInfo<'b, C, R> {
    /// An operation that has not begun. `buffer` has at least [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes.
    pub fn new(buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        let sub_command = subcommand::GET_FINGERPRINT_SENSOR_INFO;
        Self::with(BioEnrollment::new(sub_command, Params::default()), buffer, crypto, rng)
    }
}

impl<'b, C: Crypto, R: CryptoRng> ListFingerprints<'b, C, R> {
    /// An operation that has not begun. `buffer` has at least [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes.
    pub fn new(buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        let sub_command = subcommand::ENUMERATE_ENROLLMENTS;
        Self::with(BioEnrollment::new(sub_command, Params::default()), buffer, crypto, rng)
    }
}

impl<'o: 'b, 'b, C: Crypto, R: CryptoRng> ChangeFingerprints<'o, 'b, C, R> {
    /// Gives a template a name, of at most maxTemplateFriendlyName bytes ([`SensorInfo`]).
    pub fn rename(template_id: &'o [u8], name: &'o str, buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        let params = Params { template_id: Some(template_id), template_friendly_name: Some(name), ..Params::default() };
        Self::with(BioEnrollment::new(subcommand::SET_FRIENDLY_NAME, params), buffer, crypto, rng)
    }

    /// Removes a template.
    pub fn remove(template_id: &'o [u8], buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        let params = Params { template_id: Some(template_id), ..Params::default() };
        Self::with(BioEnrollment::new(subcommand::REMOVE_ENROLLMENT, params), buffer, crypto, rng)
    }

    /// Ends an unfinished enrolment, for which nobody is asked.
    pub fn cancel_enrollment(buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        let sub_command = subcommand::CANCEL_CURRENT_ENROLLMENT;
        Self::with(BioEnrollment::new(sub_command, Params::default()), buffer, crypto, rng)
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

/// The operation of [`Enroll`].
#[derive(Debug)]
pub struct Enrollment {
    timeout: Option<u64>,
    command: Command,
    begun: bool,
    /// It was given up, and the authenticator told so.
    ended: bool,
}

/// The template's id in the first response.
fn template_id(response: &[u8]) -> Result<&[u8], Cause> {
    // What follows are other responses.
    let mut r = Reader::tolerant(response_body(response)?);
    Response::read(&mut r)?.template_id.ok_or(Cause::missing(0x04))
}

impl Operation for Enrollment {
    type Outcome<'b> = &'b [u8];
    type Item<'m> = Sample;
    const FORGETS: Forgets = Forgets::Info;

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<(), Cause> {
        self.command = command(facts)?;
        Ok(())
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::manage(Permissions::BE, Requirement::Required)
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        kept: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        let mut params = Params { timeout_milliseconds: self.timeout, ..Params::default() };
        let mut sub_command = subcommand::ENROLL_BEGIN;
        if self.begun {
            params.template_id = Some(template_id(kept)?);
            sub_command = subcommand::ENROLL_CAPTURE_NEXT_SAMPLE;
        }
        encode(means.crypto, self.command, sub_command, &params, means.grant, buffer)
    }

    fn farewell<C: Crypto, R: CryptoRng>(&mut self, means: &mut Means<'_, C, R>, buffer: &mut [u8]) -> Option<usize> {
        if core::mem::replace(&mut self.ended, true) {
            return None;
        }
        let sub_command = subcommand::CANCEL_CURRENT_ENROLLMENT;
        encode(means.crypto, self.command, sub_command, &Params::default(), Grant::None, buffer).ok()
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Progress, Cause> {
        let sample = Sample::of(&decode_response(room.response())?)?;
        let first = !self.begun;
        if first {
            template_id(room.response())?;
            self.begun = true;
        }
        Ok(Progress::Show { keep: first, last: sample.remaining == 0 })
    }

    fn item(&self, response: &[u8]) -> Option<Sample> {
        Sample::of(&decode_response(response).ok()?).ok()
    }

    fn outcome<'b>(self, response: &'b [u8]) -> Result<&'b [u8], Cause>
    where
        Self: 'b,
    {
        template_id(response)
    }
}

/// What an answer is read as.
pub trait Answer {
    /// The outcome.
    type Outcome<'b>;

    /// Reads the answer.
    fn read<'b>(response: &'b [u8]) -> Result<Self::Outcome<'b>, Cause>;
}

/// The answer to a question about the sensor.
#[derive(Debug)]
pub struct Sensor;

impl Answer for Sensor {
    type Outcome<'b> = Response<'b>;

    fn read<'b>(response: &'b [u8]) -> Result<Response<'b>, Cause> {
        Ok(decode_response(response)?)
    }
}

/// A list of templates.
#[derive(Debug)]
pub struct Templates;

impl Answer for Templates {
    type Outcome<'b> = List<'b, TemplateInfo<'b>>;

    fn read<'b>(response: &'b [u8]) -> Result<List<'b, TemplateInfo<'b>>, Cause> {
        match decode_response::<Response<'b>>(response) {
            Ok(response) => response.template_infos.ok_or(Cause::missing(0x07)),
            // So the standard says that nothing is enrolled.
            Err(ResponseError::Status(Status::INVALID_OPTION)) => Ok(List::Slice(&[])),
            Err(error) => Err(error.into()),
        }
    }
}

/// An answer of which only the status matters.
#[derive(Debug)]
pub struct Done;

impl Answer for Done {
    type Outcome<'b> = ();

    fn read(response: &[u8]) -> Result<(), Cause> {
        Ok(response_body(response).map(drop)?)
    }
}

/// The operation of everything about fingerprints that takes one request.
#[derive(Debug)]
pub struct BioEnrollment<'o, A> {
    sub_command: u64,
    params: Params<'o>,
    command: Command,
    answer: PhantomData<fn() -> A>,
}

impl<'o, A> BioEnrollment<'o, A> {
    const fn new(sub_command: u64, params: Params<'o>) -> Self {
        Self { sub_command, params, command: Command::BIO_ENROLLMENT, answer: PhantomData }
    }
}

impl<A: Answer> Operation for BioEnrollment<'_, A> {
    type Outcome<'b>
        = A::Outcome<'b>
    where
        Self: 'b;
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Info;

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<(), Cause> {
        self.command = command(facts)?;
        Ok(())
    }

    fn purpose(&self) -> Purpose<'_> {
        match self.sub_command {
            subcommand::CANCEL_CURRENT_ENROLLMENT | subcommand::GET_FINGERPRINT_SENSOR_INFO => Purpose::NONE,
            _ => Purpose::manage(Permissions::BE, Requirement::Required),
        }
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        encode(means.crypto, self.command, self.sub_command, &self.params, means.grant, buffer)
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Progress, Cause> {
        A::read(room.response()).map(|_| Progress::Complete)
    }

    fn outcome<'b>(self, response: &'b [u8]) -> Result<A::Outcome<'b>, Cause>
    where
        Self: 'b,
    {
        A::read(response)
    }
}

fn command(facts: &Facts) -> Result<Command, Cause> {
    match (facts.options.bio_enroll, facts.options.user_verification_mgmt_preview) {
        (Some(_), _) => Ok(Command::BIO_ENROLLMENT),
        (_, Some(_)) => Ok(Command::BIO_ENROLLMENT_PREVIEW),
        _ => Err(Cause::Unsupported),
    }
}

fn encode<C: Hash>(
    crypto: &C,
    command: Command,
    sub_command: u64,
    params: &Params<'_>,
    grant: Grant<'_>,
    buffer: &mut [u8],
) -> Result<usize, Cause> {
    let write = |w: &mut Writer<'_>| {
        if *params != Params::default() {
            params.write(w);
        }
    };
    proven::encode(crypto, grant, &authenticated_head(sub_command), write, buffer, |proven, buffer| {
        let request = Request {
            modality: Some(FINGERPRINT),
            sub_command: Some(sub_command),
            sub_command_params: proven.params,
            pin_uv_auth_protocol: proven.protocol,
            pin_uv_auth_param: proven.param,
            get_modality: None,
        };
        encode_request(command, &request, buffer)
    })
}
