//! Fingerprints: enrolled, listed, named, removed (CTAP 2.3 §6.7).

use core::convert::Infallible;

use rand_core::CryptoRng;

use crate::{
    Status,
    cbor::{List, With, Write},
    client::{
        Cause, Requirement,
        authorization::Grant,
        facts::{Facts, Purpose},
        manage::proven,
        operation::{Accepted, First, Forgets, Means, Operation, Room, Sealed},
    },
    crypto::{Crypto, Hash},
    ctap2::{
        Command, ResponseError,
        bio_enrollment::{FINGERPRINT, Params, Request, Response, TemplateInfo, authenticated_head, subcommand},
        decode_response, encode_request, get_info,
    },
    pin_uv::Permissions,
};

/// One request with the permission for fingerprints.
#[derive(Clone, Copy, Debug)]
struct BioEnrollment<'o> {
    sub_command: u64,
    params: Params<'o>,
    command: Command,
}

impl<'o> BioEnrollment<'o> {
    fn new(sub_command: u64, template_id: Option<&'o [u8]>, name: Option<&'o str>) -> Self {
        let params = Params { template_id, template_friendly_name: name, ..Params::default() };
        Self { sub_command, params, command: Command::BIO_ENROLLMENT }
    }

    fn examine(&mut self, facts: &Facts) -> Result<First, Cause> {
        self.command = command(facts)?;
        Ok(First::Authorize)
    }

    fn request<C: Crypto, R>(&self, means: &Means<'_, C, R>, buffer: &mut [u8]) -> Result<Option<usize>, Cause> {
        encode(means.crypto, self.command, self.sub_command, &self.params, means.grant, buffer).map(Some)
    }
}

/// Asks about the sensor. Its outcome is the authenticator's response.
#[derive(Clone, Copy, Debug)]
pub struct SensorInfo {
    management: BioEnrollment<'static>,
}

impl SensorInfo {
    /// A question about the sensor.
    pub fn new() -> Self {
        Self { management: BioEnrollment::new(subcommand::GET_FINGERPRINT_SENSOR_INFO, None, None) }
    }
}

impl Default for SensorInfo {
    fn default() -> Self {
        Self::new()
    }
}

impl Sealed for SensorInfo {}

impl Operation for SensorInfo {
    type Outcome<'b> = Response<'b>;
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Info;

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        self.management.examine(facts)
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<Option<usize>, Cause> {
        self.management.request(means, buffer)
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Accepted, Cause> {
        decode_response::<Response<'_>>(room.response())?;
        Ok(Accepted::Complete)
    }

    fn outcome(self, response: &[u8]) -> Result<Response<'_>, Cause> {
        Ok(decode_response(response)?)
    }
}

/// Lists what is enrolled; the authenticator says it in one piece. Its outcome is the list.
#[derive(Clone, Copy, Debug)]
pub struct ListFingerprints {
    management: BioEnrollment<'static>,
}

impl ListFingerprints {
    /// A question about all templates.
    pub fn new() -> Self {
        Self { management: BioEnrollment::new(subcommand::ENUMERATE_ENROLLMENTS, None, None) }
    }

    fn read(response: &[u8]) -> Result<List<'_, TemplateInfo<'_>>, Cause> {
        match decode_response::<Response<'_>>(response) {
            Ok(response) => response.template_infos.ok_or(Cause::missing(0x07)),
            // So the standard says that nothing is enrolled.
            Err(ResponseError::Status(Status::INVALID_OPTION)) => Ok(List::Slice(&[])),
            Err(error) => Err(error.into()),
        }
    }
}

impl Default for ListFingerprints {
    fn default() -> Self {
        Self::new()
    }
}

impl Sealed for ListFingerprints {}

impl Operation for ListFingerprints {
    type Outcome<'b> = List<'b, TemplateInfo<'b>>;
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Info;

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        self.management.examine(facts)
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::manage(Permissions::BE, Requirement::Required)
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<Option<usize>, Cause> {
        self.management.request(means, buffer)
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Accepted, Cause> {
        Self::read(room.response())?;
        Ok(Accepted::Complete)
    }

    fn outcome(self, response: &[u8]) -> Result<List<'_, TemplateInfo<'_>>, Cause> {
        Self::read(response)
    }
}

/// Names a template, or removes it.
#[derive(Clone, Copy, Debug)]
pub struct ChangeFingerprints<'o> {
    management: BioEnrollment<'o>,
}

impl<'o> ChangeFingerprints<'o> {
    /// Gives a template a name, of at most maxTemplateFriendlyName bytes ([`SensorInfo`]).
    pub fn rename(template_id: &'o [u8], name: &'o str) -> Self {
        Self { management: BioEnrollment::new(subcommand::SET_FRIENDLY_NAME, Some(template_id), Some(name)) }
    }

    /// Removes a template.
    pub fn remove(template_id: &'o [u8]) -> Self {
        Self { management: BioEnrollment::new(subcommand::REMOVE_ENROLLMENT, Some(template_id), None) }
    }
}

impl Sealed for ChangeFingerprints<'_> {}

impl Operation for ChangeFingerprints<'_> {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Info;

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        self.management.examine(facts)
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::manage(Permissions::BE, Requirement::Required)
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<Option<usize>, Cause> {
        self.management.request(means, buffer)
    }

    fn outcome(self, _: &[u8]) -> Result<(), Cause> {
        Ok(())
    }
}

/// Ends an unfinished enrolment. The user is not asked.
#[derive(Clone, Copy, Debug)]
pub struct CancelEnrollment {
    management: BioEnrollment<'static>,
}

impl CancelEnrollment {
    /// Whatever enrolment it is.
    pub fn new() -> Self {
        Self { management: BioEnrollment::new(subcommand::CANCEL_CURRENT_ENROLLMENT, None, None) }
    }
}

impl Default for CancelEnrollment {
    fn default() -> Self {
        Self::new()
    }
}

impl Sealed for CancelEnrollment {}

impl Operation for CancelEnrollment {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Info;

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        self.management.examine(facts)
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<Option<usize>, Cause> {
        self.management.request(means, buffer)
    }

    fn outcome(self, _: &[u8]) -> Result<(), Cause> {
        Ok(())
    }
}

pub(super) fn command(facts: &Facts) -> Result<Command, Cause> {
    match (facts.options.bio_enroll, facts.options.user_verification_mgmt_preview) {
        (Some(_), _) => Ok(Command::BIO_ENROLLMENT),
        (_, Some(_)) => Ok(Command::BIO_ENROLLMENT_PREVIEW),
        _ => Err(Cause::Unsupported),
    }
}

pub(super) fn encode<C: Hash>(
    crypto: &C,
    command: Command,
    sub_command: u64,
    params: &Params<'_>,
    grant: Grant<'_>,
    buffer: &mut [u8],
) -> Result<usize, Cause> {
    let params = (*params != Params::default()).then_some(params as &dyn Write);
    proven::encode(crypto, grant, &authenticated_head(sub_command), params, buffer, |proven, buffer| {
        let request = Request {
            modality: Some(FINGERPRINT),
            sub_command: Some(sub_command),
            sub_command_params: None,
            pin_uv_auth_protocol: proven.protocol,
            pin_uv_auth_param: proven.param,
            get_modality: None,
        };
        encode_request(command, &With(&request, &[(0x03, proven.params)]), buffer)
    })
}
