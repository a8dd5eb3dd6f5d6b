//! authenticatorBioEnrollment, 0x09, and its prototype 0x40 with the same maps (CTAP 2.3 §6.7).

use crate::{
    cbor::{Error, List, RawMap, items},
    message,
};

/// The only modality there is.
pub const FINGERPRINT: u32 = 0x01;
/// fingerprintKind of a sensor that is touched.
pub const TOUCH_SENSOR: u32 = 0x01;
/// fingerprintKind of a sensor that is swiped.
pub const SWIPE_SENSOR: u32 = 0x02;

subcommands! {
    ENROLL_BEGIN = 0x01 "enrollBegin";
    ENROLL_CAPTURE_NEXT_SAMPLE = 0x02 "enrollCaptureNextSample";
    CANCEL_CURRENT_ENROLLMENT = 0x03 "cancelCurrentEnrollment" "; needs no pinUvAuthParam";
    ENUMERATE_ENROLLMENTS = 0x04 "enumerateEnrollments";
    SET_FRIENDLY_NAME = 0x05 "setFriendlyName";
    REMOVE_ENROLLMENT = 0x06 "removeEnrollment";
    GET_FINGERPRINT_SENSOR_INFO = 0x07 "getFingerprintSensorInfo" "; needs no pinUvAuthParam";
}

/// What became of a fingerprint sample. Values this version does not name are kept as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SampleStatus(pub u32);

impl SampleStatus {
    /// Good.
    pub const GOOD: SampleStatus = SampleStatus(0x00);
    /// Too high.
    pub const TOO_HIGH: SampleStatus = SampleStatus(0x01);
    /// Too low.
    pub const TOO_LOW: SampleStatus = SampleStatus(0x02);
    /// Too far left.
    pub const TOO_LEFT: SampleStatus = SampleStatus(0x03);
    /// Too far right.
    pub const TOO_RIGHT: SampleStatus = SampleStatus(0x04);
    /// Too fast.
    pub const TOO_FAST: SampleStatus = SampleStatus(0x05);
    /// Too slow.
    pub const TOO_SLOW: SampleStatus = SampleStatus(0x06);
    /// Of poor quality.
    pub const POOR_QUALITY: SampleStatus = SampleStatus(0x07);
    /// Too skewed.
    pub const TOO_SKEWED: SampleStatus = SampleStatus(0x08);
    /// Too short.
    pub const TOO_SHORT: SampleStatus = SampleStatus(0x09);
    /// The samples could not be merged.
    pub const MERGE_FAILURE: SampleStatus = SampleStatus(0x0A);
    /// The finger is enrolled already.
    pub const EXISTS: SampleStatus = SampleStatus(0x0B);
    /// The user did not touch the sensor in time.
    pub const NO_USER_ACTIVITY: SampleStatus = SampleStatus(0x0D);
    /// The finger was not lifted between two samples.
    pub const NO_USER_PRESENCE_TRANSITION: SampleStatus = SampleStatus(0x0E);
}

items! { SampleStatus: number as SampleStatus; }

message! {
    /// The request.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub int struct Request<'a> {
        /// [`FINGERPRINT`].
        0x01 => modality: optional u32,
        /// One of [`subcommand`]; absent when only the modality is asked for.
        0x02 => sub_command: optional u32,
        /// Its parameters, as they came: pinUvAuthParam covers these bytes. [`Request::params`] reads them.
        0x03 => sub_command_params: optional RawMap<'a>,
        /// The PIN/UV auth protocol of the proof.
        0x04 => pin_uv_auth_protocol: optional u32,
        /// Proof of the permission `be` over [`authenticated_head`] and the bytes of subCommandParams.
        0x05 => pin_uv_auth_param: optional &'a [u8],
        /// Asks for the modality.
        0x06 => get_modality: optional bool,
    }
}

message! {
    /// Parameters of the subcommands.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub int struct Params<'a> {
        /// The template.
        0x01 => template_id: optional &'a [u8],
        /// Its name; at most maxTemplateFriendlyName bytes.
        0x02 => template_friendly_name: optional &'a str,
        /// How long to wait for a sample, in milliseconds.
        0x03 => timeout_milliseconds: optional u32,
    }
}

impl<'a> Request<'a> {
    /// The parameters of the subcommand; absent ones are an empty map.
    ///
    /// # Errors
    /// What is wrong in them, at an offset from their start.
    pub fn params(&self) -> Result<Params<'a>, Error> {
        super::params(self.sub_command_params, 0x03)
    }
}

/// What stands before the bytes of subCommandParams in the message that pinUvAuthParam authenticates.
pub const fn authenticated_head(sub_command: u32) -> [u8; 2] {
    [FINGERPRINT as u8, sub_command as u8]
}

message! {
    /// The response.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub int struct Response<'a> {
        /// [`FINGERPRINT`].
        0x01 => modality: optional u32,
        /// [`TOUCH_SENSOR`] or [`SWIPE_SENSOR`].
        0x02 => fingerprint_kind: optional u32,
        /// The most samples that an enrolment takes.
        0x03 => max_capture_samples_required_for_enroll: optional u32,
        /// The template that is being enrolled.
        0x04 => template_id: optional &'a [u8],
        /// What became of the last sample.
        0x05 => last_enroll_sample_status: optional SampleStatus,
        /// Samples that are still needed.
        0x06 => remaining_samples: optional u32,
        /// What is enrolled.
        0x07 => template_infos: optional List<'a, TemplateInfo<'a>>,
        /// The longest name of a template, in bytes (2.1).
        0x08 => max_template_friendly_name: optional u32,
    }
}

message! {
    /// An enrolled fingerprint.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub int struct TemplateInfo<'a> {
        /// The template.
        0x01 => template_id: required &'a [u8],
        /// Its name.
        0x02 => template_friendly_name: optional &'a str,
    }
}
