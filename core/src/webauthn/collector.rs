//! The caller of a ceremony: which RP IDs its origin may use, and its client data (WebAuthn L3 §5.1.3, §5.1.4, §5.8.1).

use super::{
    ClientData, ClientDataType,
    origin::Origin,
    rp_id::{PublicSuffixes, RelatedOrigins, is_facet, is_related, may_claim},
};
use crate::cbor::Overflow;

/// Why an origin may not call the API with these options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OriginError {
    /// It is not a serialised origin, its host is an address, or it is neither https nor localhost.
    Origin,
    /// It may not use the RP ID.
    RpId,
    /// It may not use the AppID.
    AppId,
}

/// Represents the page or program that calls for a ceremony.
pub trait ClientDataCollector {
    /// The RP ID of the ceremony: `requested`, if the origin may use it. Without `requested`, the origin's own host.
    ///
    /// # Errors
    /// [`OriginError::Origin`], [`OriginError::RpId`].
    fn rp_id<'s>(&'s self, requested: Option<&'s str>) -> Result<&'s str, OriginError>;

    /// Checks that the origin may use `app_id`, an AppID of U2F. By default it may not.
    ///
    /// # Errors
    /// [`OriginError::AppId`]: the origin may not use it.
    fn check_app_id(&self, app_id: &str) -> Result<(), OriginError> {
        let _ = app_id;
        Err(OriginError::AppId)
    }

    /// Writes the client data, and returns the length.
    ///
    /// # Errors
    /// [`Overflow`] with the size that the client data needs.
    fn write(&self, kind: ClientDataType, challenge: &[u8], buffer: &mut [u8]) -> Result<usize, Overflow>;
}

/// The collector for an origin of the web.
#[derive(Clone, Copy, Debug)]
pub struct DefaultClientDataCollector<'a, S = (), R = ()> {
    /// The caller's origin, serialised: `https://example.org`.
    pub origin: &'a str,
    /// Whether the caller is in a frame that is not same-origin with its ancestors.
    pub cross_origin: bool,
    /// The origin of the top-level page of such a frame.
    pub top_origin: Option<&'a str>,
    /// The public suffixes. With `()`, which knows none, only the origin's own host is allowed in an RP ID or an AppID.
    pub suffixes: S,
    /// The related origins.
    pub related_origins: R,
}

impl<'a> DefaultClientDataCollector<'a> {
    /// A collector for a top-level page, without a list of public suffixes: only the host itself is allowed as RP ID.
    pub const fn new(origin: &'a str) -> Self {
        Self { origin, cross_origin: false, top_origin: None, suffixes: (), related_origins: () }
    }

    /// This collector with a list of public suffixes: the RP ID may also be a parent domain of the host.
    pub const fn with_suffixes<S: PublicSuffixes>(self, suffixes: S) -> DefaultClientDataCollector<'a, S> {
        let Self { origin, cross_origin, top_origin, .. } = self;
        DefaultClientDataCollector { origin, cross_origin, top_origin, suffixes, related_origins: () }
    }
}

impl<S: PublicSuffixes, R: RelatedOrigins> ClientDataCollector for DefaultClientDataCollector<'_, S, R> {
    fn rp_id<'s>(&'s self, requested: Option<&'s str>) -> Result<&'s str, OriginError> {
        let origin = Origin::parse(self.origin).filter(Origin::is_secure).ok_or(OriginError::Origin)?;
        let host = origin.effective_domain().ok_or(OriginError::Origin)?;
        let Some(rp_id) = requested else { return Ok(host) };
        let related = || {
            // The file of related origins is fetched from the RP ID, so the RP ID must be a domain and not a public
            // suffix.
            self.related_origins
                .well_known(rp_id)
                .is_some_and(|body| is_related(body, &origin, &self.suffixes) == Ok(true))
        };
        if may_claim(rp_id, host, &self.suffixes) || related() { Ok(rp_id) } else { Err(OriginError::RpId) }
    }

    fn check_app_id(&self, app_id: &str) -> Result<(), OriginError> {
        match Origin::parse(self.origin) {
            Some(origin) if is_facet(app_id, &origin, &self.suffixes) => Ok(()),
            _ => Err(OriginError::AppId),
        }
    }

    fn write(&self, kind: ClientDataType, challenge: &[u8], buffer: &mut [u8]) -> Result<usize, Overflow> {
        let Self { origin, cross_origin, top_origin, .. } = *self;
        ClientData { kind, challenge, origin, cross_origin, top_origin }.write(buffer)
    }
}

#[cfg(test)]
mod tests;
