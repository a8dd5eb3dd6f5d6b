//! Requests with subCommandParams, and the proof over exactly the bytes that are sent.

use crate::{
    cbor::{Overflow, Write, Writer},
    client::{Cause, authorization::Grant},
    crypto::Hash,
};

/// The members of a request that stand behind its subcommand.
#[derive(Clone, Copy, Default)]
pub struct Proven<'a> {
    /// subCommandParams, to be written by [`With`](crate::cbor::With).
    pub params: Option<&'a dyn Write>,
    /// pinUvAuthProtocol.
    pub protocol: Option<u64>,
    /// pinUvAuthParam.
    pub param: Option<&'a [u8]>,
}

/// Writes a request whose pinUvAuthParam covers `head` and the bytes of `params`.
///
/// # Errors
/// [`Cause::Overflow`] with the size that the whole request takes.
pub fn encode<C: Hash>(
    crypto: &C,
    grant: Grant<'_>,
    head: &[u8],
    params: Option<&dyn Write>,
    buffer: &mut [u8],
    request: impl FnOnce(Proven<'_>, &mut [u8]) -> Result<usize, Overflow>,
) -> Result<usize, Cause> {
    // The parameters can be long: they are written for the proof where the request is written over them.
    let mut w = Writer::new(buffer);
    params.inspect(|params| params.write(&mut w));
    // What does not fit here does not fit below either.
    let proof = grant.authenticate(crypto, &[head, w.written().unwrap_or_default()]);
    let proven = Proven {
        params,
        protocol: proof.as_ref().map(|(_, protocol)| *protocol),
        param: proof.as_ref().map(|(param, _)| param.as_bytes()),
    };
    Ok(request(proven, buffer)?)
}
