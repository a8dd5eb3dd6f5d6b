//! Reading and writing the large-blob array, fragment by fragment (CTAP 2.3 §6.10). What is in it is [`crate::large_blob`].

use core::convert::Infallible;

use rand_core::CryptoRng;

use crate::{
    client::{
        Cause, Ceremony, InvalidOption, Requirement,
        facts::{Facts, Purpose},
        large_blobs::Fragments,
        operation::{Means, Operation, Progress, Room},
    },
    crypto::Crypto,
    ctap2::{get_info, large_blobs::INITIAL_ARRAY},
    large_blob::{Array, is_whole},
    pin_uv::Permissions,
};

/// The operation that reads the array. Its outcome is an [`Array`] in the caller's memory.
pub type ReadLargeBlobs<'o, 'b, C, R> = Ceremony<'b, Reading<'o>, C, R>;

/// The operation that writes the array as a whole. The user is verified where the authenticator is protected.
pub type WriteLargeBlobs<'o, 'b, C, R> = Ceremony<'b, Writing<'o>, C, R>;

impl<'o: 'b, 'b, C: Crypto, R: CryptoRng> ReadLargeBlobs<'o, 'b, C, R> {
    /// An operation that has not begun. `array` holds the authenticator's array and
    /// [`OVERHEAD`](crate::large_blob::OVERHEAD) more; getInfo's maxSerializedLargeBlobArray says how long it can be. `buffer` has at least
    /// [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes. Errors: [`Cause::BufferTooSmall`] when `array` is too short.
    pub fn new(array: &'o mut [u8], buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        let fragments = Fragments::new(buffer.len());
        Self::with(Reading { array, fragments, whole: false }, buffer, crypto, rng)
    }
}

impl<'o: 'b, 'b, C: Crypto, R: CryptoRng> WriteLargeBlobs<'o, 'b, C, R> {
    /// An operation that has not begun. `array` is [`Array::serialize`]d. `buffer` has at least
    /// [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes. Errors: [`Cause::LargeBlobArrayTooLong`].
    pub fn new(array: &'o [u8], buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        let fragments = Fragments::new(buffer.len());
        Self::with(Writing { array, fragments }, buffer, crypto, rng)
    }
}

fn supported(facts: &Facts) -> Result<(), Cause> {
    if facts.options.large_blobs == Some(true) { Ok(()) } else { Err(Cause::Unsupported) }
}

/// The operation of [`ReadLargeBlobs`].
#[derive(Debug)]
pub struct Reading<'o> {
    array: &'o mut [u8],
    fragments: Fragments,
    /// Its hash is right.
    whole: bool,
}

impl Operation for Reading<'_> {
    type Outcome<'b>
        = Array<'b>
    where
        Self: 'b;
    type Item<'m> = Infallible;

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<(), Cause> {
        self.fragments = self.fragments.shortened(facts.max_msg_size);
        supported(facts)
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::NONE
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        self.fragments.ask(buffer)
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Progress, Cause> {
        if !self.fragments.take(self.array, room.response())? {
            return Ok(Progress::Next);
        }
        self.whole = is_whole(means.crypto, self.array.get(..self.fragments.offset).unwrap_or_default());
        Ok(Progress::Complete)
    }

    fn outcome<'b>(self, _: &'b [u8]) -> Result<Array<'b>, Cause>
    where
        Self: 'b,
    {
        Ok(Array::of(self.array, self.fragments.offset, self.whole)?)
    }
}

/// The operation of [`WriteLargeBlobs`].
#[derive(Debug)]
pub struct Writing<'o> {
    array: &'o [u8],
    fragments: Fragments,
}

impl Operation for Writing<'_> {
    type Outcome<'b>
        = ()
    where
        Self: 'b;
    type Item<'m> = Infallible;

    fn check(&self) -> Result<(), Cause> {
        if self.array.len() < INITIAL_ARRAY.len() {
            return Err(Cause::InvalidOption(InvalidOption::LargeBlobArray));
        }
        Ok(())
    }

    fn examine(&mut self, info: &get_info::Response<'_>, facts: &Facts) -> Result<(), Cause> {
        self.fragments = self.fragments.shortened(facts.max_msg_size);
        let needed = self.array.len();
        match info.max_serialized_large_blob_array {
            Some(limit) if needed > limit => Err(Cause::LargeBlobArrayTooLong { needed, limit }),
            _ => supported(facts),
        }
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::manage(Permissions::LBW, Requirement::Preferred)
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        self.fragments.give(self.array, means.crypto, means.grant, buffer)
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Progress, Cause> {
        let last = self.fragments.given(self.array, room.response())?;
        Ok(if last { Progress::Complete } else { Progress::Next })
    }

    fn outcome<'b>(self, _: &'b [u8]) -> Result<(), Cause>
    where
        Self: 'b,
    {
        Ok(())
    }
}
