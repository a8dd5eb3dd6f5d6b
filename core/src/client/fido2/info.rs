//! Everything that an authenticator says about itself.

use core::convert::Infallible;

use rand_core::CryptoRng;

use crate::{
    cbor,
    client::{
        Cause, Ceremony,
        authorization::Grant,
        facts::{Facts, Purpose},
        operation::{Means, Operation, Progress, Room},
    },
    crypto::Crypto,
    ctap2::{get_info, response_body},
};

/// What an authenticator of version 1 would say: {1: ["U2F_V2"], 3: 16 zero bytes}.
const CTAP1: &[u8] = b"\xA2\x01\x81\x66U2F_V2\x03\x50\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// The operation that asks for getInfo and keeps its answer.
#[derive(Debug)]
pub struct Info {
    ctap1: bool,
}

impl Info {
    pub(super) fn ceremony<C: Crypto, R: CryptoRng>(buffer: &mut [u8], crypto: C, rng: R) -> Ceremony<'_, Self, C, R> {
        Ceremony::with(Self { ctap1: false }, buffer, crypto, rng)
    }
}

impl Operation for Info {
    type Outcome<'b> = get_info::Response<'b>;
    type Item<'m> = Infallible;

    const CTAP1: bool = true;
    const KEEPS_INFO: bool = true;

    fn examine(&mut self, _: &get_info::Response<'_>, _: &Facts) -> Result<(), Cause> {
        Ok(())
    }

    fn examine_ctap1(&mut self, _: &Facts) -> Result<(), Cause> {
        self.ctap1 = true;
        Ok(())
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::NONE
    }

    fn granted<C: Crypto>(&mut self, _: &C, _: Grant<'_>) -> bool {
        false
    }

    fn measure<C: Crypto, R: CryptoRng>(&mut self, _: &mut Means<'_, C, R>, _: &mut [u8]) -> Result<usize, Cause> {
        Ok(0)
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        _: &[u8],
        _: &mut [u8],
    ) -> Result<usize, Cause> {
        Err(Cause::WrongState) // nothing follows getInfo
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        _: &mut Room<'_>,
    ) -> Result<Progress, Cause> {
        Err(Cause::WrongState)
    }

    fn outcome<'b>(self, responses: &'b [u8]) -> Result<get_info::Response<'b>, Cause>
    where
        Self: 'b,
    {
        let body = if self.ctap1 { CTAP1 } else { response_body(responses)? };
        Ok(cbor::decode_tolerant(body)?)
    }
}
