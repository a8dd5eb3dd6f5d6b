//! authenticatorGetInfo (CTAP 2.3 §6.4): computed from the configuration and the state.

use heapless::Vec;
use keyfob_core::{
    Status,
    cbor::{List, Text},
    cose::Algorithm,
    crypto::Sign,
    ctap2::{self, CredentialParameters, get_info},
};

use super::{Engine, MAX_CRED_BLOB_LENGTH, Next, Outcome, Platform, attestation::Format, extensions::EXTENSIONS};
use crate::{caps::Caps, store::Store};

/// More algorithms than this are not listed.
const MAX_ALGORITHMS: usize = 16;

impl<P: Platform> Engine<'_, P> {
    pub(super) fn get_info(&mut self) -> Outcome {
        let (message, _, authenticator) = self.parts_mut();
        let config = authenticator.config;
        let remaining = if authenticator.has(Caps::DISCOVERABLE) {
            authenticator.store.remaining().ok().map(u64::from)
        } else {
            None
        };
        let allowed = |algorithm: &&Algorithm| (P::COMPILED.allows(**algorithm)) && config.caps.allows(**algorithm);
        let algorithms: Vec<_, MAX_ALGORITHMS> = authenticator
            .crypto
            .algorithms()
            .iter()
            .filter(allowed)
            .take(MAX_ALGORITHMS)
            .map(|algorithm| CredentialParameters::new(*algorithm))
            .collect();
        let mut protocols: Vec<u64, 2> = Vec::from([2, 1]);
        protocols.retain(|number| authenticator.protocol(*number).is_some());
        let pin = authenticator.has(Caps::CLIENT_PIN);
        let options = get_info::Options {
            rk: authenticator.has(Caps::DISCOVERABLE).then_some(true),
            up: Some(true),
            plat: Some(false),
            client_pin: pin.then_some(authenticator.pin.is_set),
            pin_uv_auth_token: authenticator.has(Caps::TOKEN_PERMISSIONS).then_some(true),
            ep: authenticator.is_enterprise_capable().then_some(authenticator.options.enterprise_attestation),
            always_uv: authenticator.has(Caps::ALWAYS_UV).then_some(authenticator.options.always_uv),
            make_cred_uv_not_rqd: authenticator
                .has(Caps::MAKE_CRED_UV_NOT_RQD)
                .then_some(authenticator.make_cred_uv_not_rqd()),
            no_mc_ga_permissions_with_client_pin: authenticator.has(Caps::NO_MC_GA_WITH_PIN).then_some(true),
            ..get_info::Options::default()
        };
        let mut extensions: Vec<Text<'_>, { EXTENSIONS.len() }> = Vec::new();
        for (id, caps) in EXTENSIONS {
            if authenticator.has_extension(id, caps) {
                let _ = extensions.push(Text::new(id)); // there is room for all
            }
        }
        let supported = Format::supported(&config, Algorithm::ES256);
        let mut formats: Vec<Text<'_>, 3> = Vec::new();
        for format in supported {
            let _ = formats.push(Text::new(format.name())); // there is room for all
        }
        let response = get_info::Response {
            versions: List::Slice(&[Text::new("FIDO_2_0")]),
            extensions: Some(List::Slice(&extensions)).filter(|list| !list.is_empty()),
            aaguid: &config.aaguid,
            options: Some(options),
            max_msg_size: Some(config.max_msg_size),
            pin_uv_auth_protocols: pin.then_some(List::Slice(&protocols)),
            max_credential_count_in_list: Some(usize::from(config.max_credential_count_in_list)),
            max_credential_id_length: Some(config.max_credential_id_length()),
            transports: Some(List::Slice(config.transports)),
            algorithms: Some(List::Slice(&algorithms)),
            max_serialized_large_blob_array: None,
            force_pin_change: None,
            min_pin_length: pin.then_some(usize::from(authenticator.options.min_pin_length)),
            firmware_version: config.firmware_version.map(u64::from),
            max_cred_blob_length: authenticator.has(Caps::CRED_BLOB).then_some(MAX_CRED_BLOB_LENGTH),
            max_rp_ids_for_set_min_pin_length: None,
            preferred_platform_uv_attempts: None,
            uv_modality: None,
            certifications: None,
            remaining_discoverable_credentials: remaining,
            vendor_prototype_config_commands: None,
            // "none" alone is not told.
            attestation_formats: (supported != [Format::None]).then_some(List::Slice(&formats)),
            uv_count_since_last_pin_entry: None,
            long_touch_for_reset: None,
            enc_identifier: None,
            transports_for_reset: None,
            pin_complexity_policy: None,
            pin_complexity_policy_url: None,
            max_pin_length: None,
            enc_cred_store_state: None,
            authenticator_config_commands: None,
        };
        ctap2::encode_response(&response, message).map(Next::Reply).map_err(|_| Status::OTHER)
    }
}
