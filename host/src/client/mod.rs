//! Commands about a key: one file each, and what they have in common.
//!
//! | file | what it is |
//! |---|---|
//! | `errand.rs` | [`Errand`]: the key that is meant, open, and one session with it |
//! | `choice.rs` | which key is meant, and the touch that chooses among several |
//! | `user.rs`, `terminal.rs`, `pin_input.rs` | the user: touches, PINs, consent |
//! | `failure.rs` | [`Failure`]: why a command fails, and the exit codes |
//! | `assertion.rs` | a sign-in for what an extension yields |
//! | `documents.rs` | registrations and sign-ins in JSON |
//! | `output.rs` | tables, and bytes as text |

mod assertion;
mod blobs;
mod choice;
mod config;
mod credentials;
mod decode;
mod documents;
mod errand;
mod failure;
mod fingerprints;
mod info;
mod list;
mod output;
mod pin;
mod pin_input;
mod register;
mod reset;
mod secret;
mod select;
mod sign_in;
mod terminal;
mod udev_rules;
mod user;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;

pub use failure::EXIT_CODES;
use {
    choice::Meant,
    errand::{Errand, KeyArguments},
    failure::{Failure, Kind},
};

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Lists the security keys that are plugged in.
    ///
    /// With --json: {"keys": [{"address", "name", "vendorId", "productId", "access"}]}. The ids are numbers or null; access
    /// is "ok", "noPermission" or "failed".
    List(list::Arguments),
    /// Prints or installs rules of udev, by which the user at the machine may open security keys.
    ///
    /// With --json: {"rules"}, or with --install {"installed"}, the file.
    UdevRules(udev_rules::Arguments),
    /// Shows what a key is and what it can do.
    ///
    /// With --json: {"address", "info", "pinRetries", "uvRetries"}. `info` is the answer to authenticatorGetInfo by the
    /// standard's names, with byte strings as {"hex"}; the attempts are numbers, or null where the key has none.
    Info(info::Arguments),
    /// Waits until a key is touched, and prints its address.
    ///
    /// With --json: {"address"}.
    Select(select::Arguments),
    /// Sets, changes or checks the PIN of a key, or shows whether it has one.
    Pin(pin::Arguments),
    /// Lists, shows, renames or deletes the discoverable credentials (passkeys) on a key.
    Credentials(credentials::Arguments),
    /// Enrols, lists, renames or deletes fingerprints on a key.
    Fingerprints(fingerprints::Arguments),
    /// Lists, reads, stores or deletes blobs beside credentials.
    Blobs(blobs::Arguments),
    /// Changes settings of a key.
    ///
    /// With --json: {"alwaysUv", "ep", "minPinLength", "forcePinChange"}, what the key says afterwards. What it does not say
    /// is null.
    Config(config::Arguments),
    /// Makes a credential on a key, as a site would ask for it.
    ///
    /// Prints one JSON object, with and without --json: {"origin", "options", "response"}. `options` is
    /// PublicKeyCredentialCreationOptionsJSON and `response` RegistrationResponseJSON of WebAuthn. `keyfob verify` reads
    /// it.
    Register(register::Arguments),
    /// Signs in with a credential on a key, as a site would ask for it.
    ///
    /// Prints one JSON object, with and without --json: {"origin", "options", "response"}. `options` is
    /// PublicKeyCredentialRequestOptionsJSON and `response` AuthenticationResponseJSON of WebAuthn. `keyfob verify` reads
    /// it.
    SignIn(sign_in::Arguments),
    /// Verifies a registration or a sign-in, as a site would.
    ///
    /// With --json: {"verified": "registration", "rpId", "credentialId", "publicKey", "publicKeyPem", "algorithm",
    /// "signCount", "userVerified", "backupEligible", "backedUp", "attestation", "protection", "hmacSecret"}, or
    /// {"verified": "signIn", "rpId", "credentialId", "signCount", "userVerified", "backupEligible", "backedUp"}. publicKey
    /// is the COSE key; publicKeyPem is null where PEM has no form for it; attestation is "none", "self" or
    /// "certificate"; protection is the policy of credProtect by its name, or null.
    Verify(verify::Arguments),
    /// Prints a secret that only this key can make again, for a disk or a file.
    ///
    /// It is that of WebAuthn's extension prf, 32 bytes in base64url, and takes a credential that `keyfob register --secret`
    /// has made, and its user's PIN or finger. With --json: {"secret"}.
    Secret(secret::Arguments),
    /// Explains bytes of CTAP and WebAuthn, member by member.
    Decode(decode::Arguments),
    /// Erases everything on a key.
    ///
    /// With --json: {"reset": true}.
    Reset(reset::Arguments),
}

impl Command {
    /// Runs the command, and tells its failure.
    pub fn run(self) -> ExitCode {
        let (is_json, result) = match self {
            Self::List(arguments) => (arguments.json, list::run(&arguments)),
            Self::UdevRules(arguments) => (arguments.json, udev_rules::run(&arguments)),
            Self::Info(arguments) => (arguments.key.json, info::run(&arguments)),
            Self::Select(arguments) => (arguments.key.json, select::run(&arguments)),
            Self::Pin(arguments) => (arguments.is_json(), pin::run(&arguments)),
            Self::Credentials(arguments) => (arguments.is_json(), credentials::run(&arguments)),
            Self::Fingerprints(arguments) => (arguments.is_json(), fingerprints::run(&arguments)),
            Self::Blobs(arguments) => (arguments.is_json(), blobs::run(&arguments)),
            Self::Config(arguments) => (arguments.is_json(), config::run(&arguments)),
            Self::Secret(arguments) => (arguments.key.json, secret::run(&arguments)),
            Self::Decode(arguments) => (false, decode::run(&arguments)),
            Self::Register(arguments) => (arguments.key.json, register::run(&arguments)),
            Self::SignIn(arguments) => (arguments.key.json, sign_in::run(&arguments)),
            Self::Verify(arguments) => (arguments.json, verify::run(&arguments)),
            Self::Reset(arguments) => (arguments.key.json, reset::run(&arguments)),
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.tell(is_json),
        }
    }
}
