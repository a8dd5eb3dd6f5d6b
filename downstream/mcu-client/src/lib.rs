//! A client on a chip, such as a door lock that takes security keys: the pipe of reports is the board's USB host, and
//! SHA-256 is computed here, as a chip with an engine for it would; the rest of the cryptography is RustCrypto's.
#![no_std]

pub mod backend;
pub mod pipe;

use keyfob_core::{
    Instant,
    cbor::List,
    client::{Ceremony, Error, GetAssertion, GetOptions, UserInteraction, run},
    ctap2::CredentialDescriptor,
    transport::hid::HidTransport,
};
use rand_core::CryptoRng;

use backend::Chip;
use pipe::Usb;

/// The relying party of this lock.
pub const RP_ID: &str = "door.example";

/// A user who has a button and no keyboard: no PIN is given.
struct Visitor;

impl UserInteraction for Visitor {}

/// Asks the key on `usb` to sign `challenge` with the credential `id`, and copies the signature to `signature`. Returns
/// its length.
///
/// # Errors
/// Why the key did not sign.
pub fn open_door(
    usb: Usb,
    rng: impl CryptoRng,
    id: &[u8],
    challenge: &[u8; 32],
    signature: &mut [u8; 72],
) -> Result<usize, Error> {
    let now = usb.now;
    let mut transport = HidTransport::new(usb, now, [1; 8]);
    let allowed = [CredentialDescriptor::new(id)];
    let options = GetOptions { allow_list: List::Slice(&allowed), ..GetOptions::new(RP_ID, challenge) };
    let mut buffer = [0; 2_048];
    let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, Chip, rng);
    let selection = run(ceremony, &mut transport, &mut Visitor, now)?;
    let Some(assertion) = selection.get(0) else { return Ok(0) };
    let made = assertion.response.signature;
    for (to, from) in signature.iter_mut().zip(made) {
        *to = *from;
    }
    Ok(made.len())
}

/// The time of a board whose timer counts milliseconds.
pub const fn at(milliseconds: u64) -> Instant {
    Instant::from_millis(milliseconds)
}
