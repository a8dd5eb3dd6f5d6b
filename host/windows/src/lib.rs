//! A client of WebAuthn over the API of Windows, `webauthn.dll`: Windows asks the user, and reaches the authenticators,
//! its own (Windows Hello), security keys and phones. It has the trait of the client of security keys,
//! [`WebAuthnClient`](keyfob_core::client::fido2::WebAuthnClient).
//!
//! ```text
//! client      WindowsClient: options of WebAuthn in, responses of WebAuthn out
//! make, get   what a ceremony is given, as the structs of Windows, and what comes back, copied
//! call        a ceremony on a thread of its own, so that it can be cancelled
//! platform    the credentials that Windows keeps: listed and deleted
//! library     webauthn.dll, opened at run time
//! abi         its structs and functions, as C has them
//! ```
//!
//! Windows 10 since version 1903 has the API. Its versions 1 to 9 are known here; a newer one is used as version 9.
//!
//! ```no_run
//! use keyfob_core::client::{UserInteraction, fido2::WebAuthnClient};
//! use keyfob_core::webauthn::{CreationOptions, DefaultClientDataCollector, RelyingParty};
//! use keyfob_core::{cose::Algorithm, ctap2::{CredentialParameters, UserEntity}};
//! use keyfob_windows::WindowsClient;
//!
//! struct User;
//! impl UserInteraction for User {} // Windows asks the user. `cancelled` can end the ceremony.
//!
//! # fn challenge() -> [u8; 32] { [0; 32] }
//! let mut client = WindowsClient::new(DefaultClientDataCollector::new("https://example.org"), User)?;
//! let rp = RelyingParty { id: None, name: "Example" };
//! let user = UserEntity { id: b"user-0001", name: Some("alice"), display_name: Some("Alice") };
//! let (algorithms, challenge) = ([CredentialParameters::new(Algorithm::ES256)], challenge());
//! let options = CreationOptions::new(rp, user, &challenge, &algorithms);
//! let (mut client_data, mut buffer) = ([0; 256], [0; 8192]);
//! let creation = client.creation(&options, &mut client_data)?;
//! let registered = client.make_credential(&creation, &mut buffer)?;
//! println!("a credential of {} bytes", registered.credential_id().len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::disallowed_methods,
        clippy::too_many_lines,
        clippy::cognitive_complexity
    )
)]
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod abi;
mod call;
mod client;
mod get;
mod library;
mod make;
mod memory;
mod platform;
#[cfg(test)]
mod tests;

pub use client::{Info, WindowsClient};
pub use library::{Library, LoadError};
pub use platform::PlatformCredential;
