//! Who asks: the origin's claim to an RP ID, and the client data of its ceremonies (WebAuthn L3 §5.1.3, §5.1.4, §5.8.1).

use core::fmt;

use super::{
    Ceremony, ClientData,
    origin::Origin,
    rp_id::{PublicSuffixes, RelatedOrigins, is_facet, is_related, may_claim},
};
use crate::cbor::Overflow;

/// Why an origin may not do what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginError {
    /// It is no serialised origin, its host is an address, or it is neither https nor localhost.
    Origin,
    /// It may not use the RP ID.
    RpId,
    /// It may not use the AppID.
    AppId,
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Origin => "the origin may not use the API: it takes a domain, and https or localhost",
            Self::RpId => "the RP ID is not one that the origin may use",
            Self::AppId => "the AppID is not one that the origin may use",
        })
    }
}

impl core::error::Error for OriginError {}

/// Speaks for the page, or the program, that asks for a ceremony.
pub trait ClientDataCollector {
    /// The RP ID of the ceremony: `requested`, if the origin may use it, or else the origin's own. Errors: [`OriginError`].
    fn rp_id<'s>(&'s self, requested: Option<&'s str>) -> Result<&'s str, OriginError>;

    /// Checks that the origin may use `app_id`, an AppID of U2F. By default it may not. Errors: [`OriginError::AppId`].
    fn check_app_id(&self, app_id: &str) -> Result<(), OriginError> {
        let _ = app_id;
        Err(OriginError::AppId)
    }

    /// Writes the client data, and returns the length. Errors: [`Overflow`] with the size it takes.
    fn write(&self, kind: Ceremony, challenge: &[u8], buffer: &mut [u8]) -> Result<usize, Overflow>;
}

/// The collector for an origin, by the rules of the web.
#[derive(Clone, Copy, Debug)]
pub struct DefaultClientDataCollector<'a, S = (), R = ()> {
    /// The origin that asks, serialised: `https://example.org`.
    pub origin: &'a str,
    /// Whether it asks from a frame that is not same-origin with its ancestors.
    pub cross_origin: bool,
    /// The origin of the top-level page of such a frame.
    pub top_origin: Option<&'a str>,
    /// The public suffixes; `()` for none, with which only the origin's own host is an RP ID or an AppID.
    pub suffixes: S,
    /// The related origins.
    pub related_origins: R,
}

impl<'a> DefaultClientDataCollector<'a> {
    /// A collector for a page of its own, without a list of public suffixes: its RP ID is the host, and no other.
    pub const fn new(origin: &'a str) -> Self {
        Self { origin, cross_origin: false, top_origin: None, suffixes: (), related_origins: () }
    }

    /// The same with a list of public suffixes: its RP ID may be a parent domain of the host too.
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
            // The RP ID of a file that is fetched from it is a domain, and no public suffix has one.
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

    fn write(&self, kind: Ceremony, challenge: &[u8], buffer: &mut [u8]) -> Result<usize, Overflow> {
        let Self { origin, cross_origin, top_origin, .. } = *self;
        ClientData { kind, challenge, origin, cross_origin, top_origin }.write(buffer)
    }
}

#[cfg(test)]
mod tests;
