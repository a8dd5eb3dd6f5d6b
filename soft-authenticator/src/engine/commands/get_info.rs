//! authenticatorGetInfo (CTAP 2.3 §6.4): computed from the configuration and the state.

use keyfob_core::{
    cbor::{MapWriter, Message, Text, Write, Writer},
    cose::Algorithm,
    crypto::Sign,
    ctap2::{CredentialParameters, get_info},
};

use super::authenticator_config::{MAX_RP_IDS, SUBCOMMANDS};
use crate::engine::{
    attestation::Format,
    authenticator::Authenticator,
    call::{Call, Outcome, begin, written},
    config::Version,
    config_error::MAX_LIST,
    extensions::EXTENSIONS,
    platform::Platform,
    wrapping::MAX_CRED_BLOB_LENGTH,
};
use crate::{caps::Caps, store::Store};

#[inline(never)]
pub fn step<P: Platform>(call: &mut Call<'_, '_, P>) -> Outcome {
    let authenticator = &mut *call.authenticator;
    let identifiers = authenticator.encrypted_identifiers()?;
    let remaining = if authenticator.has(Caps::DISCOVERABLE) { authenticator.store.remaining().ok() } else { None };
    let mut w = begin(call.message);
    authenticator.write_info(identifiers.as_ref(), remaining, &mut w);
    written(w.finish())
}

/// When an option is true.
#[derive(Clone, Copy)]
enum Is {
    True,
    False,
    UvConfigured,
    Enrolled,
    PinSet,
    Attesting,
    AlwaysUv,
    WithoutUv,
}

/// The options, in the order of [`get_info::SupportedOptions`]: each with the capabilities that it takes.
const OPTIONS: [(Caps, Is); 20] = [
    (Caps::ENTERPRISE_ATTESTATION, Is::Attesting),
    (Caps::DISCOVERABLE, Is::True),
    (Caps::NONE, Is::True), // up
    (Caps::BUILT_IN_UV, Is::UvConfigured),
    (Caps::NONE, Is::False), // plat
    (Caps::BUILT_IN_UV.with(Caps::CONFIG), Is::True),
    (Caps::ALWAYS_UV, Is::AlwaysUv),
    (Caps::CRED_MGMT, Is::True),
    (Caps::CONFIG, Is::True),
    (Caps::BIO_ENROLL, Is::Enrolled),
    (Caps::CLIENT_PIN, Is::PinSet),
    (Caps::LARGE_BLOBS, Is::True),
    (Caps::BIO_ENROLL, Is::True), // uvBioEnroll
    (Caps::PERSISTENT_CRED_MGMT, Is::True),
    (Caps::TOKEN_PERMISSIONS, Is::True),
    (Caps::CONFIG.with(Caps::CLIENT_PIN), Is::True), // setMinPINLength
    (Caps::MAKE_CRED_UV_NOT_RQD, Is::WithoutUv),
    (Caps::CRED_MGMT, Is::True),      // credentialMgmtPreview
    (Caps::BIO_ENROLL, Is::Enrolled), // userVerificationMgmtPreview
    (Caps::NO_MC_GA_WITH_PIN, Is::True),
];

impl<P: Platform> Authenticator<'_, P> {
    /// Writes the response, member by member in the order of [`get_info::Response`].
    fn write_info(&self, identifiers: Option<&[[u8; 32]; 2]>, remaining: Option<u32>, w: &mut Writer<'_>) {
        let (config, state, uv) = (&self.config, self.options, self.config.user_verification);
        let (pin, has_config) = (self.has(Caps::CLIENT_PIN), self.has(Caps::CONFIG));
        let min_pin_can_be_set = has_config && pin;
        let number = |is_there: bool, number: u32| is_there.then_some(number);
        let mut m = MapWriter::new(w, get_info::Response::KEYS, &[]);
        self.write_versions(&mut m);
        self.write_extensions(&mut m);
        m.bytes(Some(&config.aaguid));
        self.write_info_options(m.value());
        m.number(Some(config.max_msg_size as u32));
        self.write_protocols(&mut m);
        m.number(Some(config.max_credential_count_in_list.into()));
        m.number(Some(config.max_credential_id_length() as u32));
        write_texts(&mut m, Some(config.transports));
        self.write_algorithms(&mut m);
        let large_blobs = self.large_blobs_capacity() as u32;
        m.number(number(large_blobs > 0, large_blobs));
        m.flag(min_pin_can_be_set.then_some(state.force_pin_change));
        m.number(number(pin, state.min_pin_length.into()));
        m.number(config.firmware_version);
        m.number(number(self.has(Caps::CRED_BLOB), MAX_CRED_BLOB_LENGTH as u32));
        m.number(number(min_pin_can_be_set, MAX_RP_IDS as u32));
        m.number(number(self.has(Caps::BUILT_IN_UV), uv.preferred_platform_attempts.into()));
        m.number(number(self.has(Caps::BUILT_IN_UV), uv.modality));
        m.number(None); // certifications
        m.number(remaining);
        self.write_vendor_commands(&mut m);
        self.write_formats(&mut m);
        m.number(None); // uvCountSinceLastPinEntry
        m.flag(self.has(Caps::LONG_TOUCH_FOR_RESET).then_some(state.long_touch_for_reset));
        m.bytes(identifiers.map(|[identifier, _]| &identifier[..]));
        write_texts(&mut m, config.transports_for_reset);
        m.flag(self.has(Caps::PIN_COMPLEXITY).then_some(state.pin_complexity));
        m.bytes(config.pin_complexity_policy_url.map(str::as_bytes));
        m.number(number(pin, config.max_pin_length.into()));
        m.bytes(identifiers.map(|[_, state]| &state[..]));
        self.write_subcommands(&mut m);
        m.end();
    }

    fn write_versions(&self, m: &mut MapWriter<'_, '_>) {
        m.begin_list(true);
        if self.u2f_is_on() {
            m.text_item("U2F_V2");
        }
        m.text_item("FIDO_2_0");
        if self.speaks(Version::Fido2_1) {
            m.text_item("FIDO_2_1");
        }
        if self.speaks(Version::Fido2_3) {
            m.text_item("FIDO_2_3");
        }
        m.end_list();
    }

    fn write_extensions(&self, m: &mut MapWriter<'_, '_>) {
        if m.begin_list(self.has_extensions()) {
            for (id, caps) in EXTENSIONS {
                if self.has_extension(id, caps) {
                    m.text_item(id);
                }
            }
            m.end_list();
        }
    }

    fn write_protocols(&self, m: &mut MapWriter<'_, '_>) {
        if m.begin_list(self.issues_tokens()) {
            for number in [2, 1] {
                if self.protocol(number).is_some() {
                    m.number_item(number);
                }
            }
            m.end_list();
        }
    }

    fn write_algorithms(&self, m: &mut MapWriter<'_, '_>) {
        m.begin_list(true);
        let algorithms = self.config.algorithms.unwrap_or(self.crypto.algorithms()).iter();
        for algorithm in algorithms.filter(|algorithm| self.signs_with(**algorithm)).take(MAX_LIST) {
            CredentialParameters::new(*algorithm).write(m.item());
        }
        m.end_list();
    }

    fn write_vendor_commands(&self, m: &mut MapWriter<'_, '_>) {
        if m.begin_list(!self.config.vendor_commands.is_empty()) {
            for command in self.config.vendor_commands {
                m.item().unsigned(*command);
            }
            m.end_list();
        }
    }

    fn write_formats(&self, m: &mut MapWriter<'_, '_>) {
        let supported = Format::supported(&self.config, Algorithm::ES256);
        // "none" alone is left out.
        if m.begin_list(supported != [Format::None]) {
            for format in supported {
                m.text_item(format.name());
            }
            m.end_list();
        }
    }

    fn write_subcommands(&self, m: &mut MapWriter<'_, '_>) {
        if m.begin_list(self.has(Caps::CONFIG)) {
            for number in SUBCOMMANDS {
                if self.has_config_subcommand(number) {
                    m.number_item(number);
                }
            }
            m.end_list();
        }
    }

    fn write_info_options(&self, w: &mut Writer<'_>) {
        let mut m = MapWriter::new(w, get_info::SupportedOptions::KEYS, &[]);
        for (caps, is) in OPTIONS {
            let is_there = match caps {
                Caps::ENTERPRISE_ATTESTATION => self.is_enterprise_capable(),
                Caps::LARGE_BLOBS => self.has_large_blob_key(),
                caps => self.has(caps),
            };
            let value = match is {
                Is::True => true,
                Is::False => false,
                Is::UvConfigured => self.uv_is_configured(),
                Is::Enrolled => !self.fingerprints.is_empty(),
                Is::PinSet => self.pin.is_set,
                Is::Attesting => self.options.enterprise_attestation,
                Is::AlwaysUv => self.options.always_uv,
                Is::WithoutUv => self.make_cred_uv_not_rqd(),
            };
            m.flag(is_there.then_some(value));
        }
        m.end();
    }

    /// Whether everything that a version after 2.0 requires is switched on, and the configuration wants this version.
    fn speaks(&self, version: Version) -> bool {
        let required =
            Caps::TOKEN_PERMISSIONS.with(Caps::PROTOCOL_TWO).with(Caps::HMAC_SECRET).with(Caps::CRED_PROTECT);
        let manageable = !self.has(Caps::DISCOVERABLE) || self.has(Caps::CRED_MGMT);
        let wanted = version <= self.config.newest_version && !self.config.policy.rules_2_0;
        wanted && self.has(required) && manageable
    }
}

fn write_texts(m: &mut MapWriter<'_, '_>, texts: Option<&[Text<'_>]>) {
    if m.begin_list(texts.is_some()) {
        for text in texts.unwrap_or_default() {
            text.write(m.item());
        }
        m.end_list();
    }
}
