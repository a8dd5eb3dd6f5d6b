//! Every switch with every other: each key serves, or is refused in a sentence that names both sides.

use clap::Parser;
use keyfob_core::{
    Instant,
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
    serve: Arguments,
}

fn parse(switches: &[&str]) -> Arguments {
    let command = [&["keyfob", "--tcp", "127.0.0.1:0"], switches].concat();
    Command::try_parse_from(command).unwrap_or_else(|error| panic!("{error}")).serve
}

/// Makes the key and asks it for its getInfo.
fn serve(arguments: &Arguments) -> Result<(), String> {
    let rp_ids: Vec<&str> = arguments.enterprise.iter().map(String::as_str).collect();
    let config = config(arguments, &rp_ids)?;
    let mut buffer = vec![0; config.buffer_len()];
    let options = KeyOptions { seed: Some(1), ..KeyOptions::new(config) };
    let mut key = VirtualKey::new(&mut buffer, options).map_err(|error| panic!("{error}")).unwrap();
    let engine = key.authenticator().engine();
    engine.buffer()[0] = 4;
    let Progress::Reply(len) = engine.begin(Instant::default(), 1) else { panic!("getInfo waits for nothing") };
    assert!(engine.buffer()[0] == 0 && len > 50);
    Ok(())
}

#[test]
fn all_switches_combine_or_are_refused_with_a_sentence_that_names_both() {
    const NONE: &[&str] = &[];
    let profiles = ["fido2_3_full", "yubikey5_like", "arculus_like", "u2f_only", "minimal_2_0"];
    let choices: [&[&[&str]]; 7] = [
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
    ];
    let combinations = choices.iter().map(|choices| choices.len()).product::<usize>();
    let (mut served, mut refused) = (0, 0);
    for profile in profiles {
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
                    let (sides, why) = sentence.split_once(" do not go together: ").unwrap();
                    let (left, right) = sides.split_once(" and ").unwrap();
                    assert_eq!(left, format!("--profile {profile}"));
                    assert!(
                        right.split(", ").all(|one| one == "these switches" || switches.contains(&one)),
                        "{switches:?}: {sentence}"
                    );
                    assert!(why.contains(' ') && !why.contains("ConfigError"), "{switches:?}: {sentence}");
                }
            }
        }
    }
    println!("{served} served, {refused} refused");
    assert!(served > 1000 && refused > 1000);
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
            "--profile u2f_only and --uv do not go together: a PIN or built-in user verification needs a PIN/UV auth \
             protocol, and a protocol needs one of them",
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
    ] {
        let argument = format!("{switch}={value}");
        let error = Command::try_parse_from(["keyfob", "--tcp", "127.0.0.1:0", &argument]).map(drop).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}

/// What getInfo of the key with these switches says.
fn told<T>(switches: &[&str], look: impl FnOnce(&get_info::Response<'_>) -> T) -> T {
    let arguments = parse(switches);
    let rp_ids: Vec<&str> = arguments.enterprise.iter().map(String::as_str).collect();
    let config = config(&arguments, &rp_ids).unwrap();
    let mut buffer = vec![0; config.buffer_len()];
    let mut key = VirtualKey::new(&mut buffer, KeyOptions { seed: Some(1), ..KeyOptions::new(config) }).unwrap();
    let engine = key.authenticator().engine();
    engine.buffer()[0] = 4;
    let Progress::Reply(len) = engine.begin(Instant::default(), 1) else { panic!("getInfo waits for nothing") };
    look(&decode_response(&engine.buffer()[..len]).unwrap())
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
