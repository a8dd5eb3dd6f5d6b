//! Lists of a relying party as they go to the authenticator: without what is of an unknown type; credentials without
//! transports, which some refuse, and without those that it cannot have made.

use super::facts::Facts;
use crate::{
    cbor::{Array, List},
    ctap2::CredentialDescriptor,
};

/// A list of a relying party.
pub type Descriptors<'a> = List<'a, CredentialDescriptor<'a>>;

/// The ids of the credentials that could be this authenticator's.
pub fn candidates<'a>(list: &Descriptors<'a>, facts: &Facts) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
    let facts = *facts;
    list.iter().filter(move |descriptor| facts.could_hold(descriptor)).map(|descriptor| descriptor.id)
}

/// The list of `ids`, to be written.
pub fn descriptors<'a, I>(ids: I) -> Array<impl Iterator<Item = CredentialDescriptor<'a>> + Clone>
where
    I: Iterator<Item = &'a [u8]> + Clone,
{
    Array(ids.map(CredentialDescriptor::new))
}
