//! What the engine runs on, and what it exchanges with its driver.

use core::time::Duration;

use keyfob_core::{Failure, crypto, ctap2::bio_enrollment::SampleStatus};
use rand_core::TryCryptoRng;

use super::pin_policy;
use crate::{caps::Caps, store::Store};

/// How long the engine waits for a touch. CTAP 2.3 §6 asks for at least 10 s, 30 s is usual.
pub const USER_ACTION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long after power-up a reset is accepted (CTAP 2.3 §6.6).
pub const RESET_WINDOW: Duration = Duration::from_secs(10);
/// How long a long touch lasts (CTAP 2.3 §6.6): at least 5 s.
pub const LONG_TOUCH: Duration = Duration::from_secs(5);
/// How long a sequence of getNextAssertion may pause (CTAP 2.3 §6.3).
pub const SEQUENCE_TIMEOUT: Duration = Duration::from_secs(30);

/// What the engine runs on: its seams, and what of the engine is compiled for it.
///
/// ```
/// use keyfob_core::crypto::RustCrypto;
/// use keyfob_soft_authenticator::{Caps, engine::{Config, Platform}, store::MemoryStore};
/// use rand_chacha::ChaCha8Rng;
///
/// struct Board;
///
/// impl Platform for Board {
///     const COMPILED: Caps = Config::minimal_2_0([0; 16]).caps; // the linker drops all other code
///     type Crypto = RustCrypto;
///     type Rng = ChaCha8Rng; // a chip has a true random source
///     type Store = MemoryStore<4>; // a chip has a `FlashStore`
/// }
///
/// assert!(Config::minimal_2_0([0; 16]).check(Board::COMPILED).is_ok());
/// assert!(Config::fido2_3_full([0; 16]).check(Board::COMPILED).is_err());
/// ```
pub trait Platform {
    /// The capabilities that are compiled in. A configuration can only switch on what is here.
    const COMPILED: Caps = Caps::ALL;
    /// Whether the commands of CTAP2 are compiled in. Without them, every CTAP2 request is answered with
    /// [`Failure::INVALID_COMMAND`]: for a key that speaks nothing but U2F.
    const CTAP2: bool = true;
    /// The cryptography. It verifies only its own signatures, with [`Caps::SIGNATURE_CHECK`].
    type Crypto: crypto::Crypto + crypto::Sign + crypto::Verify;
    /// The random source. When it fails, the command that needs it is answered with [`Failure::OTHER`] and has changed
    /// nothing.
    type Rng: TryCryptoRng;
    /// What survives power loss.
    type Store: Store;

    /// Whether `pin`, in UTF-8 and without padding, satisfies the PIN complexity policy. It is asked while the policy
    /// is in force.
    fn pin_is_complex(pin: &[u8]) -> bool {
        pin_policy::is_complex(pin)
    }

    /// Carries out vendor command `id` of authenticatorConfig, one of
    /// [`Config::vendor_commands`](super::Config::vendor_commands); `params` is its subCommandParams, canonical CBOR.
    /// The platform was authorized.
    ///
    /// # Errors
    /// The status to answer.
    fn vendor_command(_store: &mut Self::Store, _id: u64, _params: &[u8]) -> Result<(), Failure> {
        Err(Failure::INVALID_PARAMETER)
    }

    /// Sees the request in the first `len` bytes of `message` before the engine does. `Some`: the platform has written
    /// a response of so many bytes over it, and the engine does nothing. For test doubles.
    #[cfg(feature = "testing")]
    fn intercept(_store: &mut Self::Store, _message: &mut [u8], _len: usize) -> Option<usize> {
        None
    }

    /// Whether the credential with this id is to be unknown, wherever it is kept. For test doubles.
    #[cfg(feature = "testing")]
    fn is_removed(_store: &mut Self::Store, _credential_id: &[u8]) -> bool {
        false
    }

    /// Changes authenticator data after every check and before they are signed; their length stays. The private key is
    /// the credential's, in the crypto backend's form. For test doubles.
    #[cfg(feature = "testing")]
    fn before_signing(
        _store: &mut Self::Store,
        _credential_id: &[u8],
        _private_key: (keyfob_core::cose::Algorithm, &[u8]),
        _auth_data: &mut [u8],
    ) {
    }

    /// Changes a signature that was made; its length stays. For test doubles.
    #[cfg(feature = "testing")]
    fn after_signing(_store: &Self::Store, _signature: &mut [u8]) {}
}

/// What a running command waits for.
///
/// A driver answers a kind of user action that it does not know with [`Event::Tick`]: the command then ends when the
/// user's time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Wait {
    /// The user's touch: [`Event::Touched`] or [`Event::Denied`].
    Touch,
    /// A touch that lasts [`LONG_TOUCH`]: [`Event::LongTouched`] at its end, or [`Event::Denied`]. The driver measures;
    /// a shorter touch counts for nothing.
    LongTouch,
    /// Built-in user verification: [`Event::Verified`], or [`Event::Denied`] by a user who declines.
    UserVerification,
    /// A sample of the finger that is being enrolled ([`Engine::enrolls`](super::Engine::enrolls)): [`Event::Sample`],
    /// or [`Event::Denied`].
    Sample,
    /// Nothing: there is more work. [`Event::Tick`] goes on with it.
    Processing,
}

/// What happened while a command was pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event {
    /// The user touched the authenticator.
    Touched,
    /// The user has touched the authenticator for [`LONG_TOUCH`] without a break.
    LongTouched,
    /// The user declined.
    Denied,
    /// The result of a verification attempt. Only fingerprints of
    /// [`Engine::fingerprints`](super::Engine::fingerprints) may count.
    Verified(bool),
    /// The sensor has taken a sample.
    Sample {
        /// Its quality. The first good sample of another finger than before begins a new template.
        status: SampleStatus,
        /// Good samples that are still needed. At 0 the template is complete, and the sensor keeps it.
        remaining: u8,
    },
    /// The platform gives up.
    Cancel,
    /// Time has passed.
    Tick,
}

/// How far a command has come. There will be no third variant: a driver that passed over one would leave the platform
/// without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// The response lies in the first this many bytes of [`Engine::buffer`](super::Engine::buffer).
    Reply(usize),
    /// The command goes on with [`Engine::resume`](super::Engine::resume).
    Pending(Wait),
}
