//! authenticatorGetInfo (CTAP 2.3 §6.4): computed from the configuration and the state.

use heapless::Vec;
use keyfob_core::{
    Status,
    cbor::{List, Text},
    cose::Algorithm,
    crypto::Sign,
    ctap2::{self, CredentialParameters, get_info},
};

use super::{Attestation, Engine, Next, Outcome, Platform};
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
        let algorithms: Vec<_, MAX_ALGORITHMS> = authenticator
            .crypto
            .algorithms()
            .iter()
            .filter(|algorithm: &&Algorithm| authenticator.signs_with(**algorithm))
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
            make_cred_uv_not_rqd: authenticator.has(Caps::MAKE_CRED_UV_NOT_RQD).then_some(true),
            no_mc_ga_permissions_with_client_pin: authenticator.has(Caps::NO_MC_GA_WITH_PIN).then_some(true),
            ..get_info::Options::default()
        };
        let formats: &[Text<'_>] = match config.attestation {
            Attestation::None => &[Text::new("none")],
            _ => &[Text::new("packed")],
        };
        let response = get_info::Response {
            versions: List::Slice(&[Text::new("FIDO_2_0")]),
            extensions: None,
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
            min_pin_length: pin.then_some(usize::from(config.min_pin_length)),
            firmware_version: config.firmware_version.map(u64::from),
            max_cred_blob_length: None,
            max_rp_ids_for_set_min_pin_length: None,
            preferred_platform_uv_attempts: None,
            uv_modality: None,
            certifications: None,
            remaining_discoverable_credentials: remaining,
            vendor_prototype_config_commands: None,
            attestation_formats: Some(List::Slice(formats)),
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
