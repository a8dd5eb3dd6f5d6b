//! The virtual key that the switches describe. `keyfob serve` and `keyfob run` have the same.

use std::{
    io::{self, BufRead},
    path::PathBuf,
    sync::mpsc,
    thread,
    time::Duration,
};

use clap::ValueEnum;
use keyfob_core::{
    cbor::Text,
    cose::Algorithm,
    transport::hid::{MAX_MESSAGE, UnknownChannels},
};
use keyfob_soft_authenticator::{
    devices::{Finger, KeyOptions, Touch, VirtualKey},
    nfc::Presence,
    store::FileStore,
};

use serde_json::json;

use crate::{control::ControlArguments, notes::Notes};

pub mod config;
pub mod pin;

use pin::PinChoice;

/// The transports of a key that may be a card, in the order in which getInfo lists them.
const NFC: Text<'static> = Text::new("nfc");
const USB: Text<'static> = Text::new("usb");

/// The longest large-blob array, in bytes, without --large-blobs.
const LARGE_BLOBS: usize = 4096;

/// What the virtual key is.
#[derive(clap::Args, Clone)]
pub struct KeyArguments {
    /// Whether its user touches the key: auto (at once), deny (declines at once), never, prompt (asks on the terminal;
    /// not with `run`), after=MS (that many milliseconds later).
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = touch_policy)]
    touch: TouchPolicy,
    /// The key's fingerprint sensor, and what it sees. Without this there is none, unless --finger or the profile has
    /// one.
    #[arg(long, value_enum)]
    uv: Option<UvPolicy>,
    /// A finger with this name is enrolled from the start, and matches unless --uv says otherwise.
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "finger")]
    finger: Option<String>,
    /// This PIN is set from the start; "random" makes one of six digits and prints it. A key in a store that has a PIN
    /// must have this one: a wrong one uses up one of its attempts.
    #[arg(long, value_name = "PIN|random", value_parser = pin::choice)]
    pin: Option<PinChoice>,
    /// Randomness from this seed, the same in every run, but for credentials' keys where AWS-LC makes them. For tests
    /// only.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Keep PIN, credentials and counters in this file, which is made if it is not there. Its owner alone can read it,
    /// and it is not encrypted. Without this, the key forgets all when it is stopped.
    // With a seed, every run would make the keys of the last one again.
    #[arg(long, value_name = "FILE", conflicts_with = "seed")]
    store: Option<PathBuf>,
    /// What kind of key it is.
    #[arg(long, value_enum, default_value_t = Profile::Full)]
    profile: Profile,
    /// The answers where the standard leaves room, in place of the profile's.
    #[arg(long, value_enum)]
    policy: Option<PolicyChoice>,
    /// Switches options of getInfo on (NAME or NAME=true) or off (NAME=false), with commas between them; the other
    /// options are those of the profile. What needs an option that is switched off is switched off too.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = config::option)]
    options: Vec<config::OptionSwitch>,
    /// The algorithms of its credentials, no others, in this order: names or COSE numbers, with commas between them.
    /// Without this, those of the profile.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = config::algorithm, allow_hyphen_values = true)]
    algorithms: Vec<Algorithm>,
    /// The key has one vendor command of authenticatorConfig (FF), which does nothing.
    #[arg(long)]
    vendor_commands: bool,
    /// How registrations are attested. Default: own; with the profile workstation, certified.
    #[arg(long, value_enum)]
    attestation: Option<AttestationChoice>,
    /// The key is capable of enterprise attestation, once a client has enabled it. This relying party gets it when it
    /// asks for the vendor-facilitated kind. May be given several times.
    #[arg(long, value_name = "RP_ID", value_parser = config::rp_id)]
    enterprise: Vec<String>,
    /// The longest large-blob array, in bytes: 1024 to 65536. Without this 4096.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1024..=65536))]
    large_blobs: Option<u32>,
    /// The firmware version that getInfo names.
    #[arg(long, value_name = "N")]
    firmware_version: Option<u32>,
    /// The key knows CTAPHID_LOCK, with which one channel keeps the others out for up to 10 s at a time.
    #[arg(long)]
    lock: bool,
    /// Refuse channels that were never given out, as the standard has it.
    #[arg(long)]
    strict_channels: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TouchPolicy {
    Auto,
    Deny,
    Never,
    /// Asks on the terminal.
    Prompt,
    /// Touches after this time.
    After(Duration),
}

/// Reads `--touch`.
fn touch_policy(text: &str) -> Result<TouchPolicy, String> {
    Ok(match text {
        "auto" => TouchPolicy::Auto,
        "deny" => TouchPolicy::Deny,
        "never" => TouchPolicy::Never,
        "prompt" => TouchPolicy::Prompt,
        _ => {
            let after = text.strip_prefix("after=").and_then(|millis| millis.parse().ok());
            let millis = after.ok_or("it is auto, deny, never, prompt, or after= with milliseconds")?;
            TouchPolicy::After(Duration::from_millis(millis))
        }
    })
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Profile {
    /// Everything that CTAP 2.3 has.
    #[value(name = "fido2_3_full")]
    Full,
    /// The sizes, algorithms and answers of a YubiKey 5.
    #[value(name = "yubikey5_like")]
    Yubikey5,
    /// An NFC card: messages of 1,024 bytes, ES256 only.
    #[value(name = "arculus_like")]
    Arculus,
    /// What clients of a workstation get on with: certified attestation, USER_ACTION_TIMEOUT without a touch, an
    /// enrolled finger, and of the algorithms ES256, EdDSA, RS256, PS256 and ML-DSA, where they are built in.
    Workstation,
    /// U2F, and nothing of CTAP2.
    #[value(name = "u2f_only")]
    U2fOnly,
    /// The least that passkeys need of CTAP 2.0.
    #[value(name = "minimal_2_0")]
    Minimal,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PolicyChoice {
    /// The standard's words.
    Strict,
    /// As YubiKeys answer: PIN_NOT_SET to getPINRetries before there is a PIN, USER_ACTION_TIMEOUT without a touch.
    Yubikey,
    /// The rules of CTAP 2.0 where later versions changed them.
    #[value(name = "ctap2_0")]
    Ctap20,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum UvPolicy {
    /// The key has no sensor.
    None,
    /// An enrolled finger, at once; good samples while one is being enrolled.
    Auto,
    /// A finger that is not enrolled; poor samples while one is being enrolled.
    Mismatch,
    /// No finger.
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AttestationChoice {
    /// Format "packed", signed with the credential's own key.
    Own,
    /// Format "packed", with the virtual key's certificate.
    Certified,
    /// Format "fido-u2f" for ES256 credentials, with the same certificate; "packed" for others.
    #[value(name = "fido-u2f")]
    FidoU2f,
    /// Format "none".
    None,
}

impl KeyArguments {
    /// What the sensor sees.
    fn uv(&self) -> UvPolicy {
        let has_finger = self.finger.is_some() || self.profile == Profile::Workstation;
        self.uv.unwrap_or(if has_finger { UvPolicy::Auto } else { UvPolicy::None })
    }

    /// The name of the finger that is enrolled.
    fn finger(&self) -> Option<&str> {
        let by_profile = self.profile == Profile::Workstation && self.uv() != UvPolicy::None;
        self.finger.as_deref().or(by_profile.then_some("finger"))
    }

    /// The longest large-blob array, in bytes.
    fn large_blobs(&self) -> usize {
        self.large_blobs.map_or(LARGE_BLOBS, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    fn attestation(&self) -> AttestationChoice {
        let by_profile =
            if self.profile == Profile::Workstation { AttestationChoice::Certified } else { AttestationChoice::Own };
        self.attestation.unwrap_or(by_profile)
    }

    /// Whether the key asks for a touch on the standard input.
    #[cfg(target_os = "linux")]
    pub fn asks_on_terminal(&self) -> bool {
        self.touch == TouchPolicy::Prompt
    }

    /// How the user consents when the key is a card in a reader: with `--touch auto` by the tap, and then by the button
    /// of a key that has one; with another `--touch` only by the button, as that says.
    fn presence(&self) -> Presence {
        match (self.touch, self.profile) {
            (TouchPolicy::Auto, Profile::Arculus) => Presence::Tap, // it has no button
            (TouchPolicy::Auto, _) => Presence::TapOrButton,
            _ => Presence::Button,
        }
    }

    /// Makes the key, which may become a card in a reader, and calls `work` with it.
    ///
    /// # Errors
    /// What the user has to know, in a line; the error of `work`.
    pub fn with_key<T>(
        &self,
        notes: &Notes,
        has_reader: bool,
        control: &ControlArguments,
        work: impl FnOnce(&mut VirtualKey<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let rp_ids: Vec<&str> = self.enterprise.iter().map(String::as_str).collect();
        let mut config = config::config(self, &rp_ids)?;
        if has_reader && !config.transports.contains(&NFC) {
            config.transports = &[NFC, USB];
        }
        let mut options = KeyOptions::new(config);
        options.finger = match self.uv() {
            UvPolicy::Auto => Finger::Matches,
            UvPolicy::Mismatch => Finger::Differs,
            UvPolicy::None | UvPolicy::Never => Finger::Never,
        };
        options.enrolled = self.finger();
        options.ctap2 = !matches!(self.profile, Profile::U2fOnly);
        options.seed = self.seed;
        options.large_blobs = self.large_blobs();
        options.touch = match self.touch {
            TouchPolicy::Auto => Touch::Auto,
            TouchPolicy::Deny => Touch::Deny,
            TouchPolicy::Never => Touch::Never,
            TouchPolicy::Prompt => ask_on_terminal(notes.clone()),
            TouchPolicy::After(time) => Touch::After(time),
        };
        options.presence = self.presence();
        options.lock = self.lock;
        let winks = notes.clone();
        options.wink = Some(Box::new(move || winks.tell("wink", json!({}), || "The key winks.".into())));
        if self.strict_channels {
            options.unknown_channels = UnknownChannels::Strict;
        }
        if let Some(path) = &self.store {
            options.store = Some(Box::new(FileStore::open(path).map_err(|error| error.to_string())?));
        }
        // A PING may be as long as a message can be, whatever the profile takes of CTAP.
        let mut buffer = vec![0; config.buffer_len().max(MAX_MESSAGE)];
        let (mut key, controlled) = if control.is_asked_for() {
            VirtualKey::controlled(&mut buffer, options).map(|(key, controlled)| (key, Some(controlled)))
        } else {
            VirtualKey::new(&mut buffer, options).map(|key| (key, None))
        }
        .map_err(|error| format!("cannot make a key: {error}"))?;
        if let Some(choice) = &self.pin {
            key = pin::set(key, choice, self.seed, notes)?;
        }
        if let Some(controlled) = controlled {
            control.prepare(&controlled);
        }
        work(&mut key)
    }
}

/// A finger that asks: Enter touches, "n" declines.
fn ask_on_terminal(notes: Notes) -> Touch {
    let (lines, answers) = mpsc::channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    Touch::Ask(Box::new(move |first| {
        if first {
            // Lines from before the question do not answer it.
            while answers.try_recv().is_ok() {}
            let question = "Touch your security key: press Enter, or type n and Enter to decline.";
            notes.tell("touchQuestion", json!({}), || question.into());
        }
        answers.try_recv().ok().map(|line: String| !line.trim().eq_ignore_ascii_case("n"))
    }))
}
