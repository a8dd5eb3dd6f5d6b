//! The key that the switches of `keyfob serve` describe, or why they do not go together.

use clap::ValueEnum;
use keyfob_core::{cose::Algorithm, crypto::Sign};
use keyfob_soft_authenticator::{
    Caps,
    devices::{self, VIRTUAL_KEY_AAGUID, VIRTUAL_VENDOR_COMMANDS, VirtualCrypto, VirtualPlatform},
    engine::{Attestation, Config, ConfigError, Enterprise, Platform, Policy},
};

use super::{Arguments, AttestationChoice, PolicyChoice, Profile, UvPolicy};

/// The options of getInfo that a switch can change, and the capabilities behind them.
const OPTIONS: [(&str, Caps); 11] = [
    ("rk", Caps::DISCOVERABLE),
    ("clientPin", Caps::CLIENT_PIN),
    ("pinUvAuthToken", Caps::TOKEN_PERMISSIONS),
    ("makeCredUvNotRqd", Caps::MAKE_CRED_UV_NOT_RQD),
    ("noMcGaPermissionsWithClientPin", Caps::NO_MC_GA_WITH_PIN),
    ("alwaysUv", Caps::ALWAYS_UV),
    ("credMgmt", Caps::CRED_MGMT),
    ("perCredMgmtRO", Caps::PERSISTENT_CRED_MGMT),
    ("largeBlobs", Caps::LARGE_BLOBS),
    ("authnrCfg", Caps::CONFIG),
    ("ep", Caps::ENTERPRISE_ATTESTATION),
];

/// An option that is switched on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionSwitch {
    caps: Caps,
    on: bool,
}

/// Reads one of `--options`.
pub fn option(text: &str) -> Result<OptionSwitch, String> {
    let (name, on) = match text.split_once('=') {
        None => (text, true),
        Some((name, "true")) => (name, true),
        Some((name, "false")) => (name, false),
        Some((_, value)) => return Err(format!("an option is true or false, not {value}")),
    };
    let found = OPTIONS.iter().find(|(known, _)| *known == name);
    found.map(|(_, caps)| OptionSwitch { caps: *caps, on }).ok_or_else(|| {
        let known: Vec<&str> = OPTIONS.iter().map(|(known, _)| *known).collect();
        format!("the options are {}", known.join(", "))
    })
}

/// The algorithms that a key can have: all of them have small negative numbers.
fn algorithms() -> impl Iterator<Item = Algorithm> {
    (-300..0).rev().map(Algorithm).filter(|algorithm| Caps::of(*algorithm).is_some())
}

/// Reads one of `--algorithms`: a name, however it is written, or a COSE number.
pub fn algorithm(text: &str) -> Result<Algorithm, String> {
    let plain = |name: &str| name.replace(['-', '_'], "").to_ascii_lowercase();
    let named = algorithms().find(|algorithm| plain(&format!("{algorithm:?}")) == plain(text));
    let numbered = text.parse().ok().map(Algorithm).filter(|algorithm| Caps::of(*algorithm).is_some());
    named.or(numbered).ok_or_else(|| {
        let known: Vec<String> = algorithms().map(|algorithm| format!("{algorithm:?}")).collect();
        format!("the algorithms are {}", known.join(", "))
    })
}

/// The configuration that the switches describe.
///
/// # Errors
/// What does not go together, in a sentence.
pub fn config<'a>(arguments: &'a Arguments, rp_ids: &'a [&'a str]) -> Result<Config<'a>, String> {
    let config = described(arguments, rp_ids);
    check(&config).map(|()| config).map_err(|error| contradiction(arguments, error))
}

fn check(config: &Config<'_>) -> Result<(), ConfigError> {
    config.check(VirtualPlatform::COMPILED)?;
    config.check_backend(VirtualCrypto::default().algorithms())
}

fn described<'a>(arguments: &'a Arguments, rp_ids: &'a [&'a str]) -> Config<'a> {
    let profile = match arguments.profile {
        Profile::Full => Config::fido2_3_full,
        Profile::Yubikey5 => Config::yubikey5_like,
        Profile::Arculus => Config::arculus_like,
        Profile::U2fOnly => Config::u2f_only,
        Profile::Minimal => Config::minimal_2_0,
    };
    let mut config = profile(VIRTUAL_KEY_AAGUID);
    match arguments.policy {
        Some(PolicyChoice::Strict) => config.policy = Policy::STRICT,
        Some(PolicyChoice::Yubikey) => config.policy = Policy::YUBIKEY,
        Some(PolicyChoice::Ctap20) => config.policy = Policy::CTAP2_0,
        None => {}
    }
    config.attestation = match arguments.attestation {
        AttestationChoice::Own => Attestation::Own,
        AttestationChoice::Certified => Attestation::Certified(devices::virtual_key_certificate()),
        AttestationChoice::FidoU2f => Attestation::FidoU2f(devices::virtual_key_certificate()),
        AttestationChoice::None => Attestation::None,
    };
    if matches!(config.attestation, Attestation::Certified(_) | Attestation::FidoU2f(_)) {
        config.caps = config.caps.with(Caps::CERTIFIED_ATTESTATION);
    }
    if !rp_ids.is_empty() {
        config.enterprise = Some(Enterprise { certified: devices::virtual_key_enterprise_certificate(), rp_ids });
    }
    for option in &arguments.options {
        let caps = config.caps;
        config.caps = if option.on { caps.with(option.caps) } else { caps.without(option.caps).consistent() };
    }
    if arguments.uv != UvPolicy::None {
        config.caps = config.caps.with(Caps::BUILT_IN_UV).with(Caps::BIO_ENROLL);
    }
    if !arguments.algorithms.is_empty() {
        let caps = arguments.algorithms.iter().filter_map(|algorithm| Caps::of(*algorithm));
        config.caps = caps.fold(config.caps, Caps::with);
        config.algorithms = Some(&arguments.algorithms);
    }
    if arguments.vendor_commands {
        config.vendor_commands = VIRTUAL_VENDOR_COMMANDS;
    }
    config
}

/// Undoes a switch.
type LeaveOut = fn(&mut Arguments);

/// Names what does not go together: the profile, and each switch without which the key could be made.
fn contradiction(arguments: &Arguments, error: ConfigError) -> String {
    let switches: [(&str, LeaveOut); 7] = [
        ("--policy", |arguments| arguments.policy = None),
        ("--uv", |arguments| arguments.uv = UvPolicy::None),
        ("--attestation", |arguments| arguments.attestation = AttestationChoice::Own),
        ("--enterprise", |arguments| arguments.enterprise.clear()),
        ("--options", |arguments| arguments.options.clear()),
        ("--algorithms", |arguments| arguments.algorithms.clear()),
        ("--vendor-commands", |arguments| arguments.vendor_commands = false),
    ];
    let is_to_blame = |leave_out: LeaveOut| {
        let mut others = arguments.clone();
        leave_out(&mut others);
        let rp_ids: Vec<&str> = others.enterprise.iter().map(String::as_str).collect();
        check(&described(&others, &rp_ids)).is_ok()
    };
    let mut blamed: Vec<&str> =
        switches.iter().filter(|(_, leave_out)| is_to_blame(*leave_out)).map(|(name, _)| *name).collect();
    if blamed.is_empty() {
        blamed.push("these switches"); // several of them contradict the profile
    }
    let profile = arguments.profile.to_possible_value();
    let profile = profile.as_ref().map_or("", |value| value.get_name());
    format!("--profile {profile} and {} do not go together: {error}", blamed.join(", "))
}

#[cfg(test)]
mod tests;
