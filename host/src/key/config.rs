//! The configuration that the switches describe, or why they do not go together.

use clap::ValueEnum;
use keyfob_core::{cose::Algorithm, crypto::Sign};
use keyfob_soft_authenticator::{
    Caps,
    devices::{self, VIRTUAL_KEY_AAGUID, VIRTUAL_VENDOR_COMMANDS, VirtualCrypto, VirtualPlatform},
    engine::{AttestationMode, AuthenticatorPolicy, Config, Enterprise, Platform},
};

use super::{AttestationChoice, KeyArguments, PolicyChoice, Profile, UvPolicy};

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
    let (name, value) = text.split_once('=').unwrap_or((text, "true"));
    let (name, value) = (name.trim(), value.trim());
    let on: bool = value.parse().map_err(|_| format!("an option is true or false, not {value}"))?;
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
    let text = text.trim();
    let plain = |name: &str| name.replace(['-', '_'], "").to_ascii_lowercase();
    let named = algorithms().find(|algorithm| plain(&format!("{algorithm:?}")) == plain(text));
    let numbered = text.parse().ok().map(Algorithm).filter(|algorithm| Caps::of(*algorithm).is_some());
    named.or(numbered).ok_or_else(|| {
        let known: Vec<String> = algorithms().map(|algorithm| format!("{algorithm:?}")).collect();
        format!("the algorithms are {}", known.join(", "))
    })
}

/// Reads an RP ID of `--enterprise`.
pub fn rp_id(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() { Err("an RP ID has at least one character".into()) } else { Ok(text.into()) }
}

/// The configuration that the switches describe.
///
/// # Errors
/// What does not go together, in a sentence.
pub fn config<'a>(arguments: &'a KeyArguments, rp_ids: &'a [&'a str]) -> Result<Config<'a>, String> {
    let config = described(arguments, rp_ids);
    check(arguments, &config).map(|()| config).map_err(|why| contradiction(arguments, &why))
}

/// # Errors
/// Why the switches do not go together.
fn check(arguments: &KeyArguments, config: &Config<'_>) -> Result<(), String> {
    check_is_in_force(arguments, config)?;
    let checked = config.check(VirtualPlatform::COMPILED);
    let checked = checked.and_then(|()| config.check_backend(VirtualCrypto::default().algorithms()));
    checked.map_err(|error| error.to_string())
}

/// Checks that the key does what each switch asks for. The configuration itself cannot tell: a policy takes precedence
/// over an option, and a key that speaks U2F only leaves everything of CTAP2 aside.
///
/// # Errors
/// What takes precedence.
fn check_is_in_force(arguments: &KeyArguments, config: &Config<'_>) -> Result<(), &'static str> {
    let asks = |caps| arguments.options.iter().any(|option| option.on && option.caps == caps);
    let is_both = |option: &OptionSwitch| !option.on && asks(option.caps);
    let lists = |algorithm| arguments.algorithms.is_empty() || arguments.algorithms.contains(&algorithm);
    let u2f_only = arguments.profile == Profile::U2fOnly;
    let refused: [(bool, &str); 13] = [
        (arguments.options.iter().any(is_both), "an option is switched on and off"),
        (
            asks(Caps::ENTERPRISE_ATTESTATION) && config.enterprise.is_none(),
            "the option ep needs --enterprise, with a relying party that gets enterprise attestation",
        ),
        (
            asks(Caps::MAKE_CRED_UV_NOT_RQD) && config.policy.rules_2_0,
            "makeCredUvNotRqd lets a site register without the PIN, and by the rules of version 2.0 each registration \
             needs the PIN that is set",
        ),
        (
            arguments.attestation == Some(AttestationChoice::FidoU2f) && !lists(Algorithm::ES256),
            "the format fido-u2f is for ES256, which the list of algorithms leaves out",
        ),
        (u2f_only && arguments.options.iter().any(|option| option.on), "U2F has no options"),
        (u2f_only && arguments.policy.is_some(), "the policies are for CTAP2"),
        (u2f_only && arguments.uv() != UvPolicy::None, "U2F does not verify its user"),
        (
            arguments.finger.is_some() && arguments.uv() == UvPolicy::None,
            "a finger is enrolled on a sensor, and --uv none is a key without one",
        ),
        (arguments.pin.is_some() && (u2f_only || !config.caps.has(Caps::CLIENT_PIN)), "the key takes no PIN"),
        (arguments.large_blobs.is_some() && !config.caps.has(Caps::LARGE_BLOBS), "the key has no large-blob array"),
        (u2f_only && arguments.firmware_version.is_some(), "U2F has no getInfo, which tells the firmware version"),
        (u2f_only && arguments.algorithms.iter().any(|one| *one != Algorithm::ES256), "U2F has ES256 only"),
        (u2f_only && arguments.attestation == Some(AttestationChoice::None), "each registration of U2F is attested"),
    ];
    refused.iter().find(|(contradicts, _)| *contradicts).map_or(Ok(()), |(_, why)| Err(*why))
}

fn described<'a>(arguments: &'a KeyArguments, rp_ids: &'a [&'a str]) -> Config<'a> {
    let profile = match arguments.profile {
        Profile::Full => Config::fido2_3_full,
        Profile::Yubikey5 => Config::yubikey5_like,
        Profile::Arculus => Config::arculus_like,
        Profile::U2fOnly => Config::u2f_only,
        Profile::Minimal => Config::minimal_2_0,
        Profile::Workstation => Config::workstation,
    };
    let mut config = profile(VIRTUAL_KEY_AAGUID);
    config.firmware_version = arguments.firmware_version.or(config.firmware_version);
    match arguments.policy {
        Some(PolicyChoice::Strict) => config.policy = AuthenticatorPolicy::STRICT,
        Some(PolicyChoice::Yubikey) => config.policy = AuthenticatorPolicy::YUBIKEY,
        Some(PolicyChoice::Ctap20) => config.policy = AuthenticatorPolicy::CTAP2_0,
        None => {}
    }
    config.attestation = match arguments.attestation() {
        AttestationChoice::Own => AttestationMode::Own,
        AttestationChoice::Certified => AttestationMode::Certified(devices::virtual_key_certificate()),
        AttestationChoice::FidoU2f => AttestationMode::FidoU2f(devices::virtual_key_certificate()),
        AttestationChoice::None => AttestationMode::None,
    };
    if matches!(config.attestation, AttestationMode::Certified(_) | AttestationMode::FidoU2f(_)) {
        config.caps = config.caps.with(Caps::CERTIFIED_ATTESTATION);
    }
    if !rp_ids.is_empty() {
        config.enterprise = Some(Enterprise { certified: devices::virtual_key_enterprise_certificate(), rp_ids });
    }
    let options = |on| arguments.options.iter().filter(move |option| option.on == on).map(|option| option.caps);
    let algorithms = arguments.algorithms.iter().filter_map(|algorithm| Caps::of(*algorithm));
    let mut asked = options(true).chain(algorithms).fold(Caps::NONE, Caps::with);
    let uv = Caps::BUILT_IN_UV.with(Caps::BIO_ENROLL);
    if arguments.uv() != UvPolicy::None {
        // The finger of a profile is there where it can be, as the profile's other capabilities.
        config.caps = config.caps.with(uv);
    }
    if arguments.finger.is_some() || arguments.uv.is_some_and(|uv| uv != UvPolicy::None) {
        asked = asked.with(uv);
    }
    // What was asked for does not go with what is switched off: it contradicts that, and the check says so.
    let left = options(false).fold(config.caps.with(asked), Caps::without).consistent();
    config.caps = left.with(asked);
    if !arguments.algorithms.is_empty() {
        config.algorithms = Some(&arguments.algorithms);
    }
    if arguments.vendor_commands {
        config.vendor_commands = VIRTUAL_VENDOR_COMMANDS;
    }
    config
}

/// Undoes a switch.
type LeaveOut = fn(&mut KeyArguments);

/// Names what does not go together: the profile, and each switch without which the key could be made.
fn contradiction(arguments: &KeyArguments, why: &str) -> String {
    let switches: [(&str, LeaveOut); 11] = [
        ("--policy", |arguments| arguments.policy = None),
        ("--uv", |arguments| arguments.uv = None),
        ("--finger", |arguments| arguments.finger = None),
        ("--pin", |arguments| arguments.pin = None),
        ("--attestation", |arguments| arguments.attestation = None),
        ("--enterprise", |arguments| arguments.enterprise.clear()),
        ("--options", |arguments| arguments.options.clear()),
        ("--algorithms", |arguments| arguments.algorithms.clear()),
        ("--large-blobs", |arguments| arguments.large_blobs = None),
        ("--firmware-version", |arguments| arguments.firmware_version = None),
        ("--vendor-commands", |arguments| arguments.vendor_commands = false),
    ];
    let is_to_blame = |leave_out: LeaveOut| {
        let mut others = arguments.clone();
        leave_out(&mut others);
        let rp_ids: Vec<&str> = others.enterprise.iter().map(String::as_str).collect();
        check(&others, &described(&others, &rp_ids)).is_ok()
    };
    let mut blamed: Vec<&str> =
        switches.iter().filter(|(_, leave_out)| is_to_blame(*leave_out)).map(|(name, _)| *name).collect();
    if blamed.is_empty() {
        blamed.push("these switches"); // several of them contradict the profile
    }
    let profile = arguments.profile.to_possible_value();
    let profile = profile.as_ref().map_or("", |value| value.get_name());
    format!("--profile {profile} and {} do not go together: {why}", blamed.join(", "))
}

#[cfg(test)]
mod tests;
