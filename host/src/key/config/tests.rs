//! Every switch with every other: each key serves, or is refused in a sentence that names both sides.

use clap::Parser;
use keyfob_core::{
    Failure, Instant,
    ctap2::{decode_response, get_info},
};
use keyfob_soft_authenticator::{
    devices::{KeyOptions, VirtualKey},
    engine::Progress,
};

use super::*;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    key: KeyArguments,
}

fn parse(switches: &[&str]) -> KeyArguments {
    let command = [&["keyfob"], switches].concat();
    Command::try_parse_from(command).unwrap_or_else(|error| panic!("{error}")).key
}

/// Makes the key, asks it for its getInfo, and compares that with what was asked for.
fn serve(arguments: &KeyArguments) -> Result<(), String> {
    let rp_ids: Vec<&str> = arguments.enterprise.iter().map(String::as_str).collect();
    let config = config(arguments, &rp_ids)?;
    if arguments.profile == Profile::U2fOnly {
        return Ok(()); // it does not answer getInfo
    }
    get_info(config, |info| assert_is_as_asked(arguments, info));
    Ok(())
}

/// What getInfo of a key with this configuration says.
fn get_info<T>(config: Config<'_>, look: impl FnOnce(&get_info::Response<'_>) -> T) -> T {
    let mut buffer = vec![0; config.buffer_len()];
    let mut key = VirtualKey::new(&mut buffer, KeyOptions { seed: Some(1), ..KeyOptions::new(config) }).unwrap();
    let engine = key.authenticator().expect("it is plugged in").engine();
    engine.buffer()[0] = 4;
    let Progress::Reply(len) = engine.begin(Instant::default(), 1) else { panic!("getInfo waits for nothing") };
    look(&decode_response(&engine.buffer()[..len]).unwrap())
}

/// Nothing that a switch asks for is overridden in silence.
fn assert_is_as_asked(arguments: &KeyArguments, info: &get_info::Response<'_>) {
    let said = info.options.unwrap();
    for option in &arguments.options {
        let (name, _) = OPTIONS.iter().find(|(_, caps)| *caps == option.caps).unwrap();
        let said = match *name {
            "rk" => said.rk == Some(true),
            "clientPin" => said.client_pin.is_some(),
            "pinUvAuthToken" => said.pin_uv_auth_token == Some(true),
            "makeCredUvNotRqd" => said.make_cred_uv_not_rqd == Some(true),
            "noMcGaPermissionsWithClientPin" => said.no_mc_ga_permissions_with_client_pin == Some(true),
            "alwaysUv" => said.always_uv.is_some(),
            "credMgmt" => said.cred_mgmt == Some(true),
            "perCredMgmtRO" => said.per_cred_mgmt_ro == Some(true),
            "largeBlobs" => said.large_blobs == Some(true),
            "authnrCfg" => said.authnr_cfg == Some(true),
            "ep" => said.ep.is_some(),
            name => panic!("the test does not know {name}"),
        };
        assert_eq!(said, option.on, "{name}");
    }
    let has_uv = said.uv.is_some() && said.bio_enroll.is_some();
    let is_asked_for = arguments.finger.is_some() || arguments.uv.is_some_and(|uv| uv != UvPolicy::None);
    assert!(has_uv || !is_asked_for);
    assert!(said.large_blobs == Some(true) || arguments.large_blobs.is_none());
    assert!(arguments.firmware_version.is_none_or(|version| info.firmware_version == Some(version.into())));
    assert!(said.ep.is_some() || arguments.enterprise.is_empty());
    let listed: Vec<_> = info.algorithms.unwrap().iter().map(|one| one.algorithm).collect();
    assert!(arguments.algorithms.is_empty() || arguments.algorithms == listed);
    let newer = info.versions.iter().any(|version| version != "U2F_V2" && version != "FIDO_2_0");
    assert!(!newer || arguments.policy != Some(PolicyChoice::Ctap20));
    let commands = info.authenticator_config_commands;
    let has_vendor_commands = commands.is_some_and(|commands| commands.iter().any(|command| command == 0xFF));
    assert_eq!(has_vendor_commands, arguments.vendor_commands);
    let formats: Vec<_> = info.attestation_formats.iter().flat_map(|formats| formats.iter()).collect();
    match arguments.attestation() {
        AttestationChoice::None => assert!(formats.is_empty()),
        AttestationChoice::FidoU2f => assert_eq!(formats[0], "fido-u2f"),
        AttestationChoice::Own | AttestationChoice::Certified => assert_eq!(formats[0], "packed"),
    }
}

/// The sentence of a refusal names the profile and switches of the command.
fn assert_names_both_sides(switches: &[&str], sentence: &str) {
    let (sides, why) = sentence.split_once(" do not go together: ").unwrap();
    let (left, right) = sides.split_once(" and ").unwrap();
    assert_eq!([left.split_once(' ').unwrap().0, left.split_once(' ').unwrap().1], switches[..2]);
    let known = |one: &str| one == "these switches" || switches.contains(&one);
    assert!(right.split(", ").all(known), "{switches:?}: {sentence}");
    assert!(why.contains(' ') && !why.contains("ConfigError"), "{switches:?}: {sentence}");
}

const PROFILES: [&str; 6] = ["fido2_3_full", "workstation", "yubikey5_like", "arculus_like", "u2f_only", "minimal_2_0"];

#[test]
fn all_switches_combine_or_are_refused_with_a_sentence_that_names_both() {
    const NONE: &[&str] = &[];
    let choices: [&[&[&str]]; 8] = [
        &[NONE, &["--uv", "auto"]],
        &[NONE, &["--attestation", "certified"], &["--attestation", "fido-u2f"], &["--attestation", "none"]],
        &[NONE, &["--policy", "strict"], &["--policy", "yubikey"], &["--policy", "ctap2_0"]],
        &[NONE, &["--enterprise", "example.com"]],
        &[
            NONE,
            &["--options", "makeCredUvNotRqd=false"],
            &["--options", "makeCredUvNotRqd"],
            &["--options", "clientPin=false"],
            &["--options", "credMgmt,rk"],
            &["--options", "authnrCfg=false"],
            &["--options", "pinUvAuthToken"],
        ],
        &[NONE, &["--algorithms", "es256"], &["--algorithms", "EdDSA"], &["--algorithms", "ES256,-8,ml-dsa-87"]],
        &[NONE, &["--vendor-commands"]],
        &[NONE, &["--large-blobs", "2048"]],
    ];
    let combinations = choices.iter().map(|choices| choices.len()).product::<usize>();
    let (mut served, mut refused) = (0, 0);
    for profile in PROFILES {
        for mut number in 0..combinations {
            let mut switches = vec!["--profile", profile];
            for choices in choices {
                switches.extend(choices[number % choices.len()]);
                number /= choices.len();
            }
            match serve(&parse(&switches)) {
                Ok(()) => served += 1,
                Err(sentence) => {
                    refused += 1;
                    assert_names_both_sides(&switches, &sentence);
                }
            }
        }
    }
    println!("{served} served, {refused} refused");
    assert!(served > 1000 && refused > 1000);
}

/// Each option with each other, on and off, under each profile and policy.
#[test]
fn an_option_is_as_it_was_asked_for_or_refused() {
    let policies: [&[&str]; 4] = [&[], &["--policy=strict"], &["--policy=yubikey"], &["--policy=ctap2_0"]];
    let switched = |number: usize| format!("{}={}", OPTIONS[number / 2].0, number.is_multiple_of(2));
    let (mut served, mut refused) = (0, 0);
    for profile in PROFILES {
        for policy in policies {
            for (one, other) in (0..2 * OPTIONS.len()).flat_map(|one| (0..one).map(move |other| (one, other))) {
                let both = format!("{},{}", switched(one), switched(other));
                let switches = [&["--profile", profile, "--options", &both], policy].concat();
                match serve(&parse(&switches)) {
                    Ok(()) => served += 1,
                    Err(sentence) => {
                        refused += 1;
                        let names: Vec<&str> =
                            switches.iter().map(|switch| switch.split('=').next().unwrap_or(switch)).collect();
                        assert_names_both_sides(&names, &sentence);
                    }
                }
            }
        }
    }
    assert!(served > 1000 && refused > 1000, "{served} served, {refused} refused");
}

#[test]
fn the_switches_that_contradict_a_profile_are_named() {
    for (switches, sentence) in [
        (
            &["--profile", "minimal_2_0", "--uv", "auto"][..],
            "--profile minimal_2_0 and --uv do not go together: \
             built-in user verification cannot work without all of these: tokens with permissions",
        ),
        (
            &["--profile", "u2f_only", "--uv", "auto"],
            "--profile u2f_only and --uv do not go together: U2F does not verify its user",
        ),
        (
            &["--profile", "u2f_only", "--finger"],
            "--profile u2f_only and --finger do not go together: U2F does not verify its user",
        ),
        (
            &["--finger", "left thumb", "--uv", "none"],
            "--profile fido2_3_full and --uv, --finger do not go together: \
             a finger is enrolled on a sensor, and --uv none is a key without one",
        ),
        (
            &["--profile", "u2f_only", "--pin", "1234"],
            "--profile u2f_only and --pin do not go together: the key takes no PIN",
        ),
        (
            &["--options", "clientPin=false", "--pin", "random"],
            "--profile fido2_3_full and --pin, --options do not go together: the key takes no PIN",
        ),
        (
            &["--profile", "u2f_only", "--options", "rk"],
            "--profile u2f_only and --options do not go together: U2F has no options",
        ),
        (
            &["--profile", "u2f_only", "--policy", "ctap2_0"],
            "--profile u2f_only and --policy do not go together: the policies are for CTAP2",
        ),
        (
            &["--policy", "ctap2_0", "--options", "makeCredUvNotRqd"],
            "--profile fido2_3_full and --policy, --options do not go together: makeCredUvNotRqd lets a site register \
             without the PIN, and by the rules of version 2.0 each registration needs the PIN that is set",
        ),
        (
            &["--options", "clientPin=false", "--uv", "auto"],
            "--profile fido2_3_full and --uv, --options do not go together: \
             fingerprints cannot work without all of these: a PIN, built-in user verification",
        ),
        (
            &["--profile", "workstation", "--options", "clientPin=false", "--pin", "123456"],
            "--profile workstation and --pin, --options do not go together: the key takes no PIN",
        ),
        (
            &["--profile", "workstation", "--options", "clientPin=false", "--finger"],
            "--profile workstation and --finger, --options do not go together: \
             fingerprints cannot work without all of these: a PIN, built-in user verification",
        ),
        (
            &["--profile", "minimal_2_0", "--large-blobs", "2048"],
            "--profile minimal_2_0 and --large-blobs do not go together: the key has no large-blob array",
        ),
        (
            &["--options", "largeBlobs=false", "--large-blobs", "2048"],
            "--profile fido2_3_full and --options, --large-blobs do not go together: the key has no large-blob array",
        ),
        (
            &["--profile", "u2f_only", "--firmware-version", "1"],
            "--profile u2f_only and --firmware-version do not go together: \
             U2F has no getInfo, which tells the firmware version",
        ),
        (
            &["--options", "credMgmt,rk=false"],
            "--profile fido2_3_full and --options do not go together: \
             credential management cannot work without all of these: discoverable credentials, tokens with permissions",
        ),
        (
            &["--options", "rk,rk=false"],
            "--profile fido2_3_full and --options do not go together: an option is switched on and off",
        ),
        (
            &["--options", "ep"],
            "--profile fido2_3_full and --options do not go together: \
             the option ep needs --enterprise, with a relying party that gets enterprise attestation",
        ),
        (
            &["--profile", "minimal_2_0", "--attestation", "fido-u2f", "--algorithms", "EdDSA"],
            "--profile minimal_2_0 and --attestation, --algorithms do not go together: \
             the format fido-u2f is for ES256, which the list of algorithms leaves out",
        ),
        (
            &["--algorithms", "ES256,ES256"],
            "--profile fido2_3_full and --algorithms do not go together: \
             the list of algorithms has to name 1 to 16, each once",
        ),
        (
            &["--profile", "minimal_2_0", "--enterprise", "example.com", "--attestation", "certified"],
            "--profile minimal_2_0 and --enterprise do not go together: \
             enterprise attestation is configured, but its capability is switched off",
        ),
        (
            &["--profile", "arculus_like", "--algorithms", "ML-DSA-44,ES256"],
            "--profile arculus_like and --algorithms do not go together: the list of algorithms has ML-DSA-44, whose \
             registrations are longer than the longest message",
        ),
    ] {
        assert_eq!(serve(&parse(switches)).unwrap_err(), sentence);
    }
}

#[test]
fn an_option_or_algorithm_that_is_not_known_is_a_usage_error() {
    for (switch, value, said) in [
        ("--options", "uv", "the options are rk, clientPin"),
        ("--options", "rk=maybe", "an option is true or false, not maybe"),
        ("--algorithms", "ES1", "the algorithms are ES256"),
        ("--algorithms", "-99999", "the algorithms are ES256"),
        ("--enterprise", "", "an RP ID has at least one character"),
        ("--enterprise", " ", "an RP ID has at least one character"),
        ("--touch", "sideways", "it is auto, deny, never, prompt, or after= with milliseconds"),
        ("--touch", "after=soon", "it is auto, deny, never, prompt, or after= with milliseconds"),
        ("--pin", "123", "the PIN is too short: it takes at least 4 characters"),
        ("--large-blobs", "1000", "1000 is not in 1024..=65536"),
    ] {
        let argument = format!("{switch}={value}");
        let error = Command::try_parse_from(["keyfob", &argument]).map(drop).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn spaces_beside_the_commas_of_a_list_do_not_matter() {
    let spaced =
        parse(&["--options", "rk, credMgmt = false", "--algorithms", " ES256 , -8", "--enterprise", " a.example "]);
    let plain = parse(&["--options", "rk,credMgmt=false", "--algorithms", "ES256,-8", "--enterprise", "a.example"]);
    assert_eq!(spaced.options, plain.options);
    assert_eq!((spaced.algorithms, spaced.enterprise), (plain.algorithms, plain.enterprise));
}

/// What getInfo of the key with these switches says.
fn told<T>(switches: &[&str], look: impl FnOnce(&get_info::Response<'_>) -> T) -> T {
    let arguments = parse(switches);
    let rp_ids: Vec<&str> = arguments.enterprise.iter().map(String::as_str).collect();
    get_info(config(&arguments, &rp_ids).unwrap(), look)
}

#[test]
fn get_info_tells_what_the_switches_ask_for() {
    let commands =
        |switches| told(switches, |info| info.authenticator_config_commands.unwrap().iter().collect::<Vec<_>>());
    assert_eq!(commands(&[]), [2, 3, 4]);
    assert_eq!(commands(&["--enterprise", "example.com", "--vendor-commands"]), [1, 2, 3, 4, 0xFF]);
    told(&["--vendor-commands"], |info| {
        assert!(info.vendor_prototype_config_commands.unwrap().iter().eq(VIRTUAL_VENDOR_COMMANDS.iter().copied()));
    });
    told(&["--options", "makeCredUvNotRqd=false,clientPin=false"], |info| {
        let options = info.options.unwrap();
        assert_eq!((options.make_cred_uv_not_rqd, options.client_pin, options.pin_uv_auth_token), (None, None, None));
        assert!(info.pin_uv_auth_protocols.is_none(), "what needs a PIN goes with it");
    });
    for (switches, pin, uv) in [
        ("clientPin=false", None, Some(true)),
        ("pinUvAuthToken=false", Some(false), None),
        ("clientPin=false,pinUvAuthToken=false", None, None),
    ] {
        told(&["--profile", "workstation", "--options", switches], |info| {
            let options = info.options.unwrap();
            assert_eq!((options.client_pin, options.uv), (pin, uv), "{switches}");
            assert_eq!(options.bio_enroll, None, "{switches}: what needs what is switched off goes with it");
        });
    }
    told(&["--profile", "arculus_like", "--options", "makeCredUvNotRqd"], |info| {
        assert_eq!(info.options.unwrap().make_cred_uv_not_rqd, Some(true));
    });
    told(&["--algorithms", "EdDSA,ES256"], |info| {
        assert!(info.algorithms.unwrap().iter().map(|one| one.algorithm).eq([Algorithm::EDDSA, Algorithm::ES256]));
    });
    told(&["--policy", "ctap2_0"], |info| assert!(info.versions.iter().eq(["U2F_V2", "FIDO_2_0"])));
}

#[test]
fn a_list_of_algorithms_switches_on_what_it_names() {
    let arguments = parse(&["--profile", "arculus_like", "--algorithms=-8,ES256"]);
    let config = config(&arguments, &[]).unwrap();
    assert_eq!(config.algorithms, Some(&[Algorithm::EDDSA, Algorithm::ES256][..]));
    assert!(config.caps.allows(Algorithm::EDDSA));

    // The fully specified ones are there only when they are named.
    let none = parse(&[]);
    assert!(!super::config(&none, &[]).unwrap().caps.allows(Algorithm::ESP256));
    let arguments = parse(&["--algorithms=es256,esp256,-19,ESP384,esp512"]);
    let config = super::config(&arguments, &[]).unwrap();
    let newer = [Algorithm::ESP256, Algorithm::ED25519, Algorithm::ESP384, Algorithm::ESP512];
    let listed = [&[Algorithm::ES256][..], &newer].concat();
    assert_eq!(config.algorithms, Some(&listed[..]));
    assert!(config.caps.has(Caps::FULLY_SPECIFIED));
}

/// What real clients get on with that getInfo does not tell.
#[test]
fn a_workstation_key_is_certified_and_says_when_it_was_not_touched() {
    let made = |switches: &[&str]| {
        let arguments = parse(&[&["--profile", "workstation"], switches].concat());
        let config = config(&arguments, &[]).unwrap();
        (config.policy.touch_timeout, matches!(config.attestation, AttestationMode::Certified(_)))
    };
    assert_eq!(made(&[]), (Failure::USER_ACTION_TIMEOUT, true));
    assert_eq!(made(&["--policy", "strict", "--attestation", "own"]), (Failure::OPERATION_DENIED, false));
}

#[test]
fn the_profile_workstation_is_the_key_that_other_programs_make_under_that_name() {
    let (arguments, options) = (parse(&["--profile", "workstation"]), KeyOptions::workstation());
    assert_eq!(format!("{:?}", config(&arguments, &[]).unwrap()), format!("{:?}", options.config));
    assert_eq!(arguments.finger(), options.enrolled);
    assert_eq!(arguments.large_blobs(), options.large_blobs);
}
