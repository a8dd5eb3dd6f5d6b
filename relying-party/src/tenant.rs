//! The relying parties of a server. Each has its own accounts.

use keyfob_core::webauthn::{PublicSuffixList, origin_matches};

/// A relying party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// The RP ID, a domain.
    pub rp_id: String,
    /// The name that authenticators display.
    pub name: String,
    /// The origins of its pages and apps, serialised.
    pub origins: Vec<String>,
    /// The origins of the pages that may have one of its pages in a frame. `None`: no page may.
    pub frames: Option<Vec<String>>,
}

impl Tenant {
    /// A relying party whose only origin is `https://` and its RP ID.
    pub fn new(rp_id: &str) -> Self {
        Self { rp_id: rp_id.into(), name: rp_id.into(), origins: vec![format!("https://{rp_id}")], frames: None }
    }

    /// Reads `RP_ID` or `RP_ID=ORIGIN,ORIGIN`.
    ///
    /// # Errors
    /// A message for the user, in one line: an origin may not use the RP ID.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((rp_id, origins)) = text.split_once('=') else {
            let tenant = Self::new(text);
            return tenant.checked();
        };
        let origins = origins.split(',').map(str::to_owned).collect();
        Self { rp_id: rp_id.into(), name: rp_id.into(), origins, frames: None }.checked()
    }

    /// The relying party localhost of a server on this machine, with its page at that port.
    pub fn localhost(port: u16) -> Self {
        let origins = vec!["http://localhost".into(), format!("http://localhost:{port}"), "https://localhost".into()];
        Self { rp_id: "localhost".into(), name: "keyfob".into(), origins, frames: None }
    }

    /// The same, as verification takes it.
    pub(crate) fn top_origins(&self) -> Option<Vec<&str>> {
        self.frames.as_ref().map(|frames| frames.iter().map(String::as_str).collect())
    }

    fn checked(self) -> Result<Self, String> {
        match self.origins.iter().find(|origin| !origin_matches(&self.rp_id, origin, &PublicSuffixList)) {
            Some(origin) => Err(format!("the origin {origin} may not use the RP ID {}", self.rp_id)),
            None => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenants_origins_are_its_domain_and_what_lies_under_it() {
        assert_eq!(Tenant::parse("example.com").unwrap(), Tenant::new("example.com"));
        let tenant = Tenant::parse("example.com=https://a.example.com,https://example.com:8443").unwrap();
        assert_eq!(tenant.origins, ["https://a.example.com", "https://example.com:8443"]);
        // A parent domain ends at a dot, the scheme must be https, and the port is not a part of the domain.
        for origin in ["https://evil-example.com", "http://example.com", "https://example.com.evil.org", "example.com"]
        {
            assert!(Tenant::parse(&format!("example.com={origin}")).is_err(), "{origin}");
        }
        assert!(Tenant::parse("https://example.com").is_err());
        // With a public suffix as RP ID, every owner of a name under it could sign in for all others.
        for suffix in ["co.uk=https://bank.co.uk", "github.io=https://me.github.io", "com=https://example.com"] {
            assert!(Tenant::parse(suffix).is_err(), "{suffix}");
        }
        assert!(Tenant::parse("").is_err());
    }
}
