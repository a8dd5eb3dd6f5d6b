//! authenticatorGetInfo (CTAP 2.3 §6.4): computed from the configuration and the state.

use heapless::Vec;
use keyfob_core::{
    cbor::{List, Text},
    cose::Algorithm,
    crypto::Sign,
    ctap2::{CredentialParameters, get_info},
};

use super::authenticator_config::MAX_RP_IDS;
use crate::engine::{
    attestation::Format,
    authenticator::Authenticator,
    call::{Call, Outcome, reply},
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
    let remaining = authenticator.has(Caps::DISCOVERABLE).then(|| authenticator.store.remaining());
    let identifiers = authenticator.encrypted_identifiers()?;
    let (config, state, uv) = (authenticator.config, authenticator.options, authenticator.config.user_verification);
    let there = |caps| authenticator.has(caps);
    let (pin, built_in_uv, has_config) = (there(Caps::CLIENT_PIN), there(Caps::BUILT_IN_UV), there(Caps::CONFIG));
    let min_pin_can_be_set = has_config && pin;
    let large_blobs = authenticator.large_blobs_capacity();
    let (versions, extensions) = (authenticator.versions(), authenticator.extensions());
    let algorithms = authenticator.algorithms();
    let protocols: Vec<u32, 2> = list([2, 1].into_iter().filter(|number| authenticator.protocol(*number).is_some()));
    let commands: Vec<u32, 8> = list(authenticator.config_subcommands());
    let supported = Format::supported(&config, Algorithm::ES256);
    let formats: Vec<Text<'_>, 3> = list(supported.iter().map(|format| Text::new(format.name())));
    let response = get_info::Response {
        versions: List::Slice(&versions),
        extensions: Some(List::Slice(&extensions)).filter(|list| !list.is_empty()),
        aaguid: &config.aaguid,
        options: Some(authenticator.get_info_options()),
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
        max_cred_blob_length: there(Caps::CRED_BLOB).then_some(MAX_CRED_BLOB_LENGTH),
        max_rp_ids_for_set_min_pin_length: min_pin_can_be_set.then_some(MAX_RP_IDS),
        preferred_platform_uv_attempts: built_in_uv.then_some(uv.preferred_platform_attempts.into()),
        uv_modality: built_in_uv.then_some(uv.modality.into()),
        certifications: None,
        remaining_discoverable_credentials: remaining.and_then(Result::ok),
        vendor_prototype_config_commands: (!config.vendor_commands.is_empty())
            .then_some(List::Slice(config.vendor_commands)),
        // "none" alone is not told.
        attestation_formats: (supported != [Format::None]).then_some(List::Slice(&formats)),
        uv_count_since_last_pin_entry: None,
        long_touch_for_reset: there(Caps::LONG_TOUCH_FOR_RESET).then_some(state.long_touch_for_reset),
        enc_identifier: identifiers.as_ref().map(|[identifier, _]| &identifier[..]),
        transports_for_reset: config.transports_for_reset.map(List::Slice),
        pin_complexity_policy: there(Caps::PIN_COMPLEXITY).then_some(state.pin_complexity),
        pin_complexity_policy_url: config.pin_complexity_policy_url.map(str::as_bytes),
        max_pin_length: pin.then_some(usize::from(config.max_pin_length)),
        enc_cred_store_state: identifiers.as_ref().map(|[_, state]| &state[..]),
        authenticator_config_commands: has_config.then_some(List::Slice(&commands)),
    };
    reply(&response, call.message)
}

/// A list of the items. It has room for all.
fn list<T, const N: usize>(items: impl Iterator<Item = T>) -> Vec<T, N> {
    let mut list = Vec::new();
    for item in items {
        let full = list.push(item).is_err();
        debug_assert!(!full);
    }
    list
}

impl<P: Platform> Authenticator<'_, P> {
    fn get_info_options(&self) -> get_info::Options {
        let on = |caps| self.has(caps).then_some(true);
        let pin = self.has(Caps::CLIENT_PIN);
        let bio_enroll = self.has(Caps::BIO_ENROLL).then_some(!self.fingerprints.is_empty());
        get_info::Options {
            uv: self.has(Caps::BUILT_IN_UV).then_some(self.uv_is_configured()),
            uv_acfg: on(Caps::BUILT_IN_UV.with(Caps::CONFIG)),
            bio_enroll,
            uv_bio_enroll: bio_enroll.map(|_| true),
            user_verification_mgmt_preview: bio_enroll,
            rk: on(Caps::DISCOVERABLE),
            up: Some(true),
            plat: Some(false),
            client_pin: pin.then_some(self.pin.is_set),
            pin_uv_auth_token: on(Caps::TOKEN_PERMISSIONS),
            ep: self.is_enterprise_capable().then_some(self.options.enterprise_attestation),
            always_uv: self.has(Caps::ALWAYS_UV).then_some(self.options.always_uv),
            authnr_cfg: on(Caps::CONFIG),
            set_min_pin_length: on(Caps::CONFIG.with(Caps::CLIENT_PIN)),
            large_blobs: (self.large_blobs_capacity() > 0).then_some(true),
            per_cred_mgmt_ro: on(Caps::PERSISTENT_CRED_MGMT),
            cred_mgmt: on(Caps::CRED_MGMT),
            credential_mgmt_preview: on(Caps::CRED_MGMT),
            make_cred_uv_not_rqd: self.has(Caps::MAKE_CRED_UV_NOT_RQD).then_some(self.make_cred_uv_not_rqd()),
            no_mc_ga_permissions_with_client_pin: on(Caps::NO_MC_GA_WITH_PIN),
        }
    }

    fn versions(&self) -> Vec<Text<'static>, 4> {
        let versions = [
            (Text::new("U2F_V2"), self.u2f_is_on()),
            (Text::new("FIDO_2_0"), true),
            (Text::new("FIDO_2_1"), self.speaks(Version::Fido2_1)),
            (Text::new("FIDO_2_3"), self.speaks(Version::Fido2_3)),
        ];
        list(versions.into_iter().filter(|(_, spoken)| *spoken).map(|(version, _)| version))
    }

    fn extensions(&self) -> Vec<Text<'static>, { EXTENSIONS.len() }> {
        let there = EXTENSIONS.iter().filter(|(id, caps)| self.has_extension(id, *caps));
        list(there.map(|(id, _)| Text::new(id)))
    }

    fn algorithms(&self) -> Vec<CredentialParameters<'static>, MAX_LIST> {
        let all = self.config.algorithms.unwrap_or(self.crypto.algorithms());
        let there = all.iter().filter(|algorithm| self.signs_with(**algorithm)).take(MAX_LIST);
        list(there.map(|algorithm| CredentialParameters::new(*algorithm)))
    }

    /// Whether all that a version after 2.0 requires is here, and it is wanted.
    fn speaks(&self, version: Version) -> bool {
        let required =
            Caps::TOKEN_PERMISSIONS.with(Caps::PROTOCOL_TWO).with(Caps::HMAC_SECRET).with(Caps::CRED_PROTECT);
        let manageable = !self.has(Caps::DISCOVERABLE) || self.has(Caps::CRED_MGMT);
        let wanted = version <= self.config.newest_version && !self.config.policy.rules_2_0;
        wanted && self.has(required) && manageable
    }
}
