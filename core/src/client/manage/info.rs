//! Everything that an authenticator says about itself.

use core::convert::Infallible;

use crate::{
    cbor,
    client::{
        Cause,
        facts::Facts,
        operation::{First, Operation, Sealed},
    },
    ctap2::{get_info, response_body},
};

/// Asks for getInfo. Its outcome is the answer; for an authenticator of version 1, what it would say.
#[derive(Clone, Copy, Debug)]
pub struct GetInfo;

impl Sealed for GetInfo {}

impl Operation for GetInfo {
    type Outcome<'b> = get_info::Response<'b>;
    type Item<'m> = Infallible;
    const CTAP1: bool = true;

    fn examine(&mut self, _: &get_info::Response<'_>, _: &Facts) -> Result<First, Cause> {
        Ok(First::Done)
    }

    fn outcome<'b>(&mut self, info: &'b [u8]) -> Result<get_info::Response<'b>, Cause> {
        Ok(cbor::decode_tolerant(response_body(info)?)?)
    }
}
