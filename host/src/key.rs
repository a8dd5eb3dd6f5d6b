//! The virtual key that the switches describe. `keyfob serve` and `keyfob run` have the same.

use std::{
    io::{self, BufRead},
    path::PathBuf,
    sync::mpsc,
    thread,
};

use clap::ValueEnum;
use keyfob_core::{
    cose::Algorithm,
    transport::hid::{MAX_MESSAGE, UnknownChannels},
};
use keyfob_soft_authenticator::{
    devices::{Finger, KeyOptions, Touch, VirtualKey},
    store::FileStore,
};

use crate::{notes::Notes, say};

mod config;

/// What the virtual key is.
#[derive(clap::Args, Clone)]
pub struct KeyArguments {
    /// Whether its user touches the key.
    #[arg(long, value_enum, default_value_t = TouchPolicy::Auto)]
    touch: TouchPolicy,
    /// The key's fingerprint sensor, and what it sees.
    #[arg(long, value_enum, default_value_t = UvPolicy::None)]
    uv: UvPolicy,
    /// Randomness from this seed, the same in every run, but for credentials' keys where AWS-LC makes them. For tests
    /// only.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Keep PIN, credentials and counters in this file, which is made if it is not there. Its owner alone can read it,
    /// and everything lies in it in clear. Without this, the key forgets all when it is stopped.
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
    /// How registrations are attested.
    #[arg(long, value_enum, default_value_t = AttestationChoice::Own)]
    attestation: AttestationChoice,
    /// The key is capable of enterprise attestation, once a client has enabled it. This relying party gets it when it
    /// asks for the vendor-facilitated kind. May be given several times.
    #[arg(long, value_name = "RP_ID", value_parser = config::rp_id)]
    enterprise: Vec<String>,
    /// The key knows CTAPHID_LOCK, with which one channel keeps the others out for up to 10 s at a time.
    #[arg(long)]
    lock: bool,
    /// Refuse channels that were never given out, as the standard has it.
    #[arg(long)]
    strict_channels: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum TouchPolicy {
    /// Touches at once.
    Auto,
    /// Declines at once.
    Deny,
    /// Asks on the terminal.
    Prompt,
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
    /// Makes the key, and calls `work` with it.
    ///
    /// # Errors
    /// What the user has to know, in a line; the error of `work`.
    pub fn with_key<T>(
        &self,
        notes: &Notes,
        work: impl FnOnce(&mut VirtualKey<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let rp_ids: Vec<&str> = self.enterprise.iter().map(String::as_str).collect();
        let config = config::config(self, &rp_ids)?;
        let mut options = KeyOptions::new(config);
        options.finger = match self.uv {
            UvPolicy::Auto => Finger::Matches,
            UvPolicy::Mismatch => Finger::Differs,
            UvPolicy::None | UvPolicy::Never => Finger::Never,
        };
        options.ctap2 = !matches!(self.profile, Profile::U2fOnly);
        options.seed = self.seed;
        options.touch = match self.touch {
            TouchPolicy::Auto => Touch::Auto,
            TouchPolicy::Deny => Touch::Deny,
            TouchPolicy::Prompt => ask_on_terminal(),
        };
        options.lock = self.lock;
        let winks = notes.clone();
        options.wink = Some(Box::new(move || winks.say("The key winks.".into())));
        if self.strict_channels {
            options.unknown_channels = UnknownChannels::Strict;
        }
        if let Some(path) = &self.store {
            options.store = Some(Box::new(FileStore::open(path).map_err(|error| error.to_string())?));
        }
        // A PING may be as long as a message can be, whatever the profile takes of CTAP.
        let mut buffer = vec![0; config.buffer_len().max(MAX_MESSAGE)];
        let mut key = VirtualKey::new(&mut buffer, options).map_err(|error| format!("cannot make a key: {error}"))?;
        work(&mut key)
    }
}

/// A finger that asks: Enter touches, "n" declines.
fn ask_on_terminal() -> Touch {
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
            say(format_args!("Touch your security key: press Enter, or type n and Enter to decline."));
        }
        answers.try_recv().ok().map(|line: String| !line.trim().eq_ignore_ascii_case("n"))
    }))
}
