//! Requests with subCommandParams, and the proof over exactly the bytes that are sent.

use crate::{
    bytes,
    cbor::{Overflow, RawMap, Writer},
    client::{Cause, authorization::Grant},
    crypto::Hash,
};

/// The members of a request that stand behind its subcommand.
#[derive(Clone, Copy, Default)]
pub struct Proven<'a> {
    /// subCommandParams.
    pub params: Option<RawMap<'a>>,
    /// pinUvAuthProtocol.
    pub protocol: Option<u64>,
    /// pinUvAuthParam, the last member.
    pub param: Option<&'a [u8]>,
}

/// Writes a request whose pinUvAuthParam covers `head` and the bytes of its parameters, which `params` writes: a map, or
/// nothing. They can be long, so they are written where they belong, and the proof is made from there.
pub fn encode<C: Hash>(
    crypto: &C,
    grant: Grant<'_>,
    head: &[u8],
    params: impl Fn(&mut Writer<'_>),
    buffer: &mut [u8],
    request: impl Fn(Proven<'_>, &mut [u8]) -> Result<usize, Overflow>,
) -> Result<usize, Cause> {
    let mut measure = Writer::new(&mut []);
    params(&mut measure);
    let len = measure.len();
    // With an empty map in place of the parameters this is the proof; with others it has the proof's length.
    let proof = grant.authenticate(crypto, &[head]);
    let proven = Proven {
        params: (len > 0).then_some(RawMap::EMPTY),
        protocol: proof.as_ref().map(|(_, protocol)| *protocol),
        param: proof.as_ref().map(|(param, _)| param.as_bytes()),
    };
    let grow = len.saturating_sub(RawMap::EMPTY.0.len());
    let too_small = |shorter: usize| Overflow { needed: shorter.saturating_add(grow) };
    let shorter = request(proven, buffer).map_err(|overflow| too_small(overflow.needed))?;
    if len == 0 {
        return Ok(shorter);
    }
    let end = shorter.saturating_add(grow);
    if end > buffer.len() {
        return Err(too_small(shorter).into());
    }
    // Their key is the byte behind the subcommand.
    let before = match request(Proven::default(), &mut []) {
        Ok(len) | Err(Overflow { needed: len }) => len.saturating_add(1),
    };
    let behind = before.saturating_add(len);
    bytes::shift(buffer, before.saturating_add(RawMap::EMPTY.0.len())..shorter, behind);
    let place = buffer.get_mut(before..behind).unwrap_or_default();
    params(&mut Writer::new(place));
    if let Some((param, _)) = grant.authenticate(crypto, &[head, place]) {
        let start = end.saturating_sub(param.as_bytes().len());
        bytes::copy(buffer.get_mut(start..end).unwrap_or_default(), param.as_bytes());
    }
    Ok(end)
}
