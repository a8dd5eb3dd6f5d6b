//! Credential lists as they go to the authenticator: without transports, which some refuse, and without credentials
//! that it cannot have made.

use super::{Cause, facts::Facts};
use crate::{
    cbor::{List, Overflow, Read, Reader, Write, Writer},
    ctap2::CredentialDescriptor,
};

type Descriptors<'a> = List<'a, CredentialDescriptor<'a>>;

/// How many of the credentials could be this authenticator's. Errors: [`Cause::ListTooLong`].
pub fn count(list: &Descriptors<'_>, facts: &Facts) -> Result<usize, Cause> {
    let count = list.iter().filter(|descriptor| facts.could_hold(descriptor)).count();
    match facts.max_credential_count_in_list {
        Some(limit) if count > limit => Err(Cause::ListTooLong { count, limit }),
        _ => Ok(count),
    }
}

/// Writes a request that contains `list` as it is to be sent. A list that has to be rewritten is so at the end of
/// `buffer`, and the request is copied from there.
pub fn encode_with(
    list: &Descriptors<'_>,
    facts: &Facts,
    buffer: &mut [u8],
    encode: impl FnOnce(Descriptors<'_>, &mut [u8]) -> Result<usize, Overflow>,
) -> Result<usize, Cause> {
    if list.iter().all(|descriptor| descriptor.transports.is_none() && facts.could_hold(&descriptor)) {
        return Ok(encode(*list, buffer)?);
    }
    let mut measure = Writer::new(&mut []);
    write(list, facts, &mut measure);
    let len = measure.len();
    let size = buffer.len();
    let (front, tail) =
        size.checked_sub(len).and_then(|at| buffer.split_at_mut_checked(at)).ok_or(Overflow { needed: len })?;
    write(list, facts, &mut Writer::new(tail));
    let list = List::read(&mut Reader::strict(tail))?;
    encode(list, front).map_err(|overflow| Overflow { needed: overflow.needed.saturating_add(len) }.into())
}

fn write(list: &Descriptors<'_>, facts: &Facts, w: &mut Writer<'_>) {
    let sent = || list.iter().filter(|descriptor| facts.could_hold(descriptor));
    w.array(sent().count());
    for descriptor in sent() {
        CredentialDescriptor::new(descriptor.id).write(w);
    }
}
