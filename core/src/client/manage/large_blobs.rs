//! Reading and writing the large-blob array, fragment by fragment (CTAP 2.3 §6.10). What is in it is
//! [`crate::large_blob`].

use core::{convert::Infallible, time::Duration};

use rand_core::CryptoRng;

use crate::{
    client::{
        Cause, DEFAULT_TIMEOUT, InvalidOption, Requirement,
        facts::{Facts, Purpose},
        large_blobs::{Fragments, LargeBlob},
        operation::{Accepted, First, Forgets, Means, Operation, Room},
    },
    crypto::Crypto,
    ctap2::{get_info, large_blobs::INITIAL_ARRAY},
    large_blob::LargeBlobArray,
    pin_uv::Permissions,
};

fn supported(facts: &Facts) -> Result<First, Cause> {
    if facts.options.large_blobs == Some(true) { Ok(First::Authorize) } else { Err(Cause::Unsupported) }
}

/// Reads the array. Its outcome is a [`LargeBlobArray`] in the caller's memory.
///
/// ```
/// use keyfob_core::client::{self, Ceremony, UserInteraction, manage::ReadLargeBlobs};
/// use keyfob_core::{crypto::RustCrypto, large_blob::OVERHEAD};
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// # struct Silent;
/// # impl UserInteraction for Silent {}
/// # let (mut key, mut buffer) = (Key::default(), [0; 4096]);
/// let mut memory = [0; 1024 + OVERHEAD];
/// let ceremony = Ceremony::new(ReadLargeBlobs::new(&mut memory), &mut buffer, RustCrypto, rng());
/// let array = client::run(ceremony, &mut key, &mut Silent, clock)?;
/// assert_eq!(array.elements().count(), 0);
/// # Ok::<(), client::Error>(())
/// ```
///
/// # Errors
/// [`Cause::BufferTooSmall`] when the memory is too short.
#[derive(Debug)]
pub struct ReadLargeBlobs<'o>(LargeBlob<'o>);

impl<'o> ReadLargeBlobs<'o> {
    /// `array` holds the authenticator's array and [`OVERHEAD`](crate::large_blob::OVERHEAD) more; getInfo's
    /// maxSerializedLargeBlobArray says how long it can be.
    pub fn new(array: &'o mut [u8]) -> Self {
        Self(LargeBlob::new(array))
    }
}

impl<'o> Operation for ReadLargeBlobs<'o> {
    type Outcome<'b> = LargeBlobArray<'o>;
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Nothing;

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        supported(facts)
    }

    fn request<C: Crypto, R: CryptoRng>(&mut self, means: &mut Means<'_, C, R>) -> Result<Option<usize>, Cause> {
        self.0.fragments.ask(means).map(Some)
    }

    fn accept<C: Crypto, R>(&mut self, means: &Means<'_, C, R>, room: &mut Room<'_>) -> Result<Accepted, Cause> {
        let last = self.0.take(means.crypto, room.response())?;
        Ok(if last { Accepted::Complete } else { Accepted::Next })
    }

    fn outcome(&mut self, _: &[u8]) -> Result<LargeBlobArray<'o>, Cause> {
        self.0.take_array()
    }
}

/// Writes the array as a whole. The user is verified where the authenticator is protected. Errors:
/// [`Cause::LargeBlobArrayTooLong`].
#[derive(Debug)]
pub struct WriteLargeBlobs<'o> {
    array: &'o [u8],
    fragments: Fragments,
}

impl<'o> WriteLargeBlobs<'o> {
    /// `array` is [`LargeBlobArray::serialize`]d.
    pub fn new(array: &'o [u8]) -> Self {
        Self { array, fragments: Fragments::default() }
    }
}

impl Operation for WriteLargeBlobs<'_> {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Nothing;
    const PURPOSE: Purpose<'static> = Purpose::manage(Permissions::LBW, Requirement::Preferred);

    fn check(&self) -> Result<Duration, Cause> {
        if self.array.len() < INITIAL_ARRAY.len() {
            return Err(Cause::InvalidOption(InvalidOption::LargeBlobArray));
        }
        Ok(DEFAULT_TIMEOUT)
    }

    fn examine(&mut self, info: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        let needed = self.array.len();
        match info.max_serialized_large_blob_array {
            Some(limit) if needed > limit => Err(Cause::LargeBlobArrayTooLong { needed, limit }),
            _ => supported(facts),
        }
    }

    fn request<C: Crypto, R: CryptoRng>(&mut self, means: &mut Means<'_, C, R>) -> Result<Option<usize>, Cause> {
        self.fragments.give(self.array, means).map(Some)
    }

    fn accept<C: Crypto, R>(&mut self, _: &Means<'_, C, R>, room: &mut Room<'_>) -> Result<Accepted, Cause> {
        let last = self.fragments.given(self.array, room.response())?;
        Ok(if last { Accepted::Complete } else { Accepted::Next })
    }

    fn outcome(&mut self, _: &[u8]) -> Result<(), Cause> {
        Ok(())
    }
}
