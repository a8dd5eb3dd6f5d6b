//! authenticatorGetInfo (CTAP 2.3 §6.4): computed from the configuration and the state.

use heapless::Vec;
use keyfob_core::{
    Status,
    cbor::{List, Text},
    cose::Algorithm,
    crypto::Sign,
    ctap2::{self, CredentialParameters, get_info},
};

use super::{
    Engine, MAX_CRED_BLOB_LENGTH, Next, Outcome, Platform, Version, attestation::Format, authenticator::Authenticator,
    authenticator_config::MAX_RP_IDS, config::MAX_LIST, extensions::EXTENSIONS,
};
use crate::{caps::Caps, store::Store};

impl<P: Platform> Engine<'_, P> {
    #[inline(never)]
    pub(super) fn get_info(&mut self) -> Outcome {
        let (message, _, authenticator) = self.parts_mut();
        let config = authenticator.config;
        let uv = config.user_verification;
        let remaining = if authenticator.has(Caps::DISCOVERABLE) {
            authenticator.store.remaining().ok().map(u64::from)
        } else {
            None
        };
        let algorithms: Vec<_, MAX_LIST> = config
            .algorithms
            .unwrap_or(authenticator.crypto.algorithms())
            .iter()
            .filter(|algorithm: &&Algorithm| authenticator.signs_with(**algorithm))
            .take(MAX_LIST)
            .map(|algorithm| CredentialParameters::new(*algorithm))
            .collect();
        let mut protocols: Vec<u64, 2> = Vec::from([2, 1]);
        protocols.retain(|number| authenticator.protocol(*number).is_some());
        let pin = authenticator.has(Caps::CLIENT_PIN);
        let state = authenticator.options;
        let large_blobs = authenticator.large_blobs_capacity();
        let mut commands: Vec<u64, 8> = Vec::new();
        for command in authenticator.config_subcommands() {
            let _ = commands.push(command); // five at most
        }
        let has_config = authenticator.has(Caps::CONFIG);
        let min_pin_can_be_set = has_config && pin;
        let long_touch = authenticator.has(Caps::LONG_TOUCH_FOR_RESET);
        let complexity = authenticator.has(Caps::PIN_COMPLEXITY);
        let identifiers = authenticator.encrypted_identifiers()?;
        let built_in_uv = authenticator.has(Caps::BUILT_IN_UV);
        let bio_enroll = authenticator.has(Caps::BIO_ENROLL).then_some(!authenticator.fingerprints.is_empty());
        let options = get_info::Options {
            uv: built_in_uv.then_some(authenticator.uv_is_configured()),
            uv_acfg: (built_in_uv && authenticator.has(Caps::CONFIG)).then_some(true),
            bio_enroll,
            uv_bio_enroll: bio_enroll.map(|_| true),
            user_verification_mgmt_preview: bio_enroll,
            rk: authenticator.has(Caps::DISCOVERABLE).then_some(true),
            up: Some(true),
            plat: Some(false),
            client_pin: pin.then_some(authenticator.pin.is_set),
            pin_uv_auth_token: authenticator.has(Caps::TOKEN_PERMISSIONS).then_some(true),
            ep: authenticator.is_enterprise_capable().then_some(state.enterprise_attestation),
            always_uv: authenticator.has(Caps::ALWAYS_UV).then_some(state.always_uv),
            authnr_cfg: has_config.then_some(true),
            set_min_pin_length: min_pin_can_be_set.then_some(true),
            large_blobs: (large_blobs > 0).then_some(true),
            per_cred_mgmt_ro: authenticator.has(Caps::PERSISTENT_CRED_MGMT).then_some(true),
            cred_mgmt: authenticator.has(Caps::CRED_MGMT).then_some(true),
            credential_mgmt_preview: authenticator.has(Caps::CRED_MGMT).then_some(true),
            make_cred_uv_not_rqd: authenticator
                .has(Caps::MAKE_CRED_UV_NOT_RQD)
                .then_some(authenticator.make_cred_uv_not_rqd()),
            no_mc_ga_permissions_with_client_pin: authenticator.has(Caps::NO_MC_GA_WITH_PIN).then_some(true),
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
        let mut versions: Vec<Text<'_>, 4> = Vec::new();
        for (version, is_spoken) in [
            (Text::new("U2F_V2"), authenticator.u2f_is_on()),
            (Text::new("FIDO_2_0"), true),
            (Text::new("FIDO_2_1"), authenticator.speaks(Version::Fido2_1)),
            (Text::new("FIDO_2_3"), authenticator.speaks(Version::Fido2_3)),
        ] {
            if is_spoken {
                let _ = versions.push(version); // there is room for all
            }
        }
        let response = get_info::Response {
            versions: List::Slice(&versions),
            extensions: Some(List::Slice(&extensions)).filter(|list| !list.is_empty()),
            aaguid: &config.aaguid,
            options: Some(options),
            max_msg_size: Some(config.max_msg_size),
            pin_uv_auth_protocols: authenticator.issues_tokens().then_some(List::Slice(&protocols)),
            max_credential_count_in_list: Some(usize::from(config.max_credential_count_in_list)),
            max_credential_id_length: Some(config.max_credential_id_length()),
            transports: Some(List::Slice(config.transports)),
            algorithms: Some(List::Slice(&algorithms)),
            max_serialized_large_blob_array: (large_blobs > 0).then_some(large_blobs),
            force_pin_change: min_pin_can_be_set.then_some(state.force_pin_change),
            min_pin_length: pin.then_some(usize::from(state.min_pin_length)),
            firmware_version: config.firmware_version.map(u64::from),
            max_cred_blob_length: authenticator.has(Caps::CRED_BLOB).then_some(MAX_CRED_BLOB_LENGTH),
            max_rp_ids_for_set_min_pin_length: min_pin_can_be_set.then_some(MAX_RP_IDS),
            preferred_platform_uv_attempts: built_in_uv.then_some(uv.preferred_platform_attempts.into()),
            uv_modality: built_in_uv.then_some(uv.modality.into()),
            certifications: None,
            remaining_discoverable_credentials: remaining,
            vendor_prototype_config_commands: (!config.vendor_commands.is_empty())
                .then_some(List::Slice(config.vendor_commands)),
            // "none" alone is not told.
            attestation_formats: (supported != [Format::None]).then_some(List::Slice(&formats)),
            uv_count_since_last_pin_entry: None,
            long_touch_for_reset: long_touch.then_some(state.long_touch_for_reset),
            enc_identifier: identifiers.as_ref().map(|[identifier, _]| &identifier[..]),
            transports_for_reset: config.transports_for_reset.map(List::Slice),
            pin_complexity_policy: complexity.then_some(state.pin_complexity),
            pin_complexity_policy_url: config.pin_complexity_policy_url.map(str::as_bytes),
            max_pin_length: pin.then_some(usize::from(config.max_pin_length)),
            enc_cred_store_state: identifiers.as_ref().map(|[_, state]| &state[..]),
            authenticator_config_commands: has_config.then_some(List::Slice(&commands)),
        };
        ctap2::encode_response(&response, message).map(Next::Reply).map_err(|_| Status::OTHER)
    }
}

impl<P: Platform> Authenticator<'_, P> {
    /// Whether all that a version after 2.0 requires is here, and it is wanted.
    fn speaks(&self, version: Version) -> bool {
        let required =
            Caps::TOKEN_PERMISSIONS.with(Caps::PROTOCOL_TWO).with(Caps::HMAC_SECRET).with(Caps::CRED_PROTECT);
        let manageable = !self.has(Caps::DISCOVERABLE) || self.has(Caps::CRED_MGMT);
        let wanted = version <= self.config.newest_version && !self.config.policy.rules_2_0;
        wanted && self.has(required) && manageable
    }
}
