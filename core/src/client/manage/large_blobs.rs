//! Reading and writing the large-blob array, fragment by fragment (CTAP 2.3 §6.10). What is in it is [`crate::large_blob`].

use core::convert::Infallible;

use rand_core::CryptoRng;

use crate::{
    bytes,
    cbor::{Error, ErrorKind},
    client::{
        Cause, Ceremony, InvalidOption, Requirement,
        authorization::Grant,
        ceremony::{Operation, Progress},
        facts::{Facts, Purpose},
    },
    crypto::{Crypto, Hash},
    ctap2::{
        Command, decode_response, encode_request, get_info,
        large_blobs::{FRAGMENT_OVERHEAD, INITIAL_ARRAY, Request, Response, authenticated_head},
        response_body,
    },
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
        let fragment = fragment_length(buffer.len());
        Self::with(Reading { array, len: 0, fragment, whole: false }, buffer, crypto, rng)
    }
}

impl<'o: 'b, 'b, C: Crypto, R: CryptoRng> WriteLargeBlobs<'o, 'b, C, R> {
    /// An operation that has not begun. `array` is [`Array::serialize`]d. `buffer` has at least
    /// [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes. Errors: [`Cause::LargeBlobArrayTooLong`].
    pub fn new(array: &'o [u8], buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        let fragment = fragment_length(buffer.len());
        Self::with(Writing { array, offset: 0, fragment }, buffer, crypto, rng)
    }
}

/// The longest fragment that messages of `message` bytes carry.
const fn fragment_length(message: usize) -> usize {
    message.saturating_sub(FRAGMENT_OVERHEAD)
}

fn supported(facts: &Facts) -> Result<(), Cause> {
    if facts.options.large_blobs == Some(true) { Ok(()) } else { Err(Cause::Unsupported) }
}

/// The operation of [`ReadLargeBlobs`].
#[derive(Debug)]
pub struct Reading<'o> {
    array: &'o mut [u8],
    len: usize,
    fragment: usize,
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
        self.fragment = self.fragment.min(fragment_length(facts.max_msg_size)).max(1);
        supported(facts)
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::NONE
    }

    fn request<C: Hash>(&self, _: &C, _: &Facts, _: Grant<'_>, _: &[u8], buffer: &mut [u8]) -> Result<usize, Cause> {
        let request = Request { get: Some(self.fragment as u64), offset: Some(self.len as u64), ..Request::default() };
        Ok(encode_request(Command::LARGE_BLOBS, &request, buffer)?)
    }

    fn accept<C: Hash>(&mut self, crypto: &C, response: &[u8], _: bool) -> Result<Progress, Cause> {
        let response: Response<'_> = decode_response(response)?;
        let fragment = response.config.ok_or(Cause::missing(0x01))?;
        if fragment.len() > self.fragment {
            return Err(Cause::Decode(Error::new(ErrorKind::WrongLength, 0).within(0x01)));
        }
        let end = self.len.saturating_add(fragment.len());
        let place = self.array.get_mut(self.len..end).ok_or(Cause::BufferTooSmall { needed: end })?;
        bytes::copy(place, fragment);
        self.len = end;
        if fragment.len() == self.fragment {
            return Ok(Progress::Next);
        }
        self.whole = is_whole(crypto, self.array.get(..end).unwrap_or_default());
        Ok(Progress::Complete)
    }

    fn outcome<'b>(self, _: &'b [u8]) -> Result<Array<'b>, Cause>
    where
        Self: 'b,
    {
        Ok(Array::of(self.array, self.len, self.whole)?)
    }
}

/// The operation of [`WriteLargeBlobs`].
#[derive(Debug)]
pub struct Writing<'o> {
    array: &'o [u8],
    offset: usize,
    fragment: usize,
}

impl Writing<'_> {
    /// The fragment that is next.
    fn next(&self) -> &[u8] {
        let rest = self.array.get(self.offset..).unwrap_or_default();
        rest.get(..self.fragment).unwrap_or(rest)
    }
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
        self.fragment = self.fragment.min(fragment_length(facts.max_msg_size)).max(1);
        let needed = self.array.len();
        match info.max_serialized_large_blob_array {
            Some(limit) if needed > limit => Err(Cause::LargeBlobArrayTooLong { needed, limit }),
            _ => supported(facts),
        }
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::manage(Permissions::LBW, Requirement::Preferred)
    }

    fn request<C: Hash>(
        &self,
        crypto: &C,
        _: &Facts,
        grant: Grant<'_>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        let fragment = self.next();
        let offset = u32::try_from(self.offset).unwrap_or(u32::MAX);
        let proof = grant.authenticate(crypto, &[&authenticated_head(offset), &crypto.sha256(&[fragment])]);
        let request = Request {
            get: None,
            set: Some(fragment),
            offset: Some(offset.into()),
            length: (offset == 0).then_some(self.array.len() as u64),
            pin_uv_auth_param: proof.as_ref().map(|(param, _)| param.as_bytes()),
            pin_uv_auth_protocol: proof.as_ref().map(|(_, protocol)| *protocol),
        };
        Ok(encode_request(Command::LARGE_BLOBS, &request, buffer)?)
    }

    fn accept<C: Hash>(&mut self, _: &C, response: &[u8], _: bool) -> Result<Progress, Cause> {
        response_body(response)?;
        self.offset = self.offset.saturating_add(self.next().len());
        Ok(if self.offset < self.array.len() { Progress::Next } else { Progress::Complete })
    }

    fn outcome<'b>(self, _: &'b [u8]) -> Result<(), Cause>
    where
        Self: 'b,
    {
        Ok(())
    }
}
