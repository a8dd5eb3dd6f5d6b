//! The relying parties of a server. Each has its own accounts, and its own policy.

use keyfob_core::{
    auth_data::Flags,
    cose::Algorithm,
    webauthn::{Origin, PublicSuffixList, PublicSuffixes, base64url, origin_matches},
};

use crate::server::UserVerification;

mod file;

pub use file::read;

/// What the origin of an Android app begins with. Behind it stands the SHA-256 of its signing certificate, in base64url.
const ANDROID: &str = "android:apk-key-hash:";

/// A relying party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// The RP ID, a domain.
    pub rp_id: String,
    /// The name that authenticators display.
    pub name: String,
    /// The origins of its pages and apps, serialised. Those of other sites are among them.
    pub origins: Vec<String>,
    /// The origins of other sites whose pages may use the RP ID (WebAuthn L3 §5.11).
    pub related: Vec<String>,
    /// The origins of the pages that may have one of its pages in a frame. `None`: no page may.
    pub frames: Option<Vec<String>>,
    /// Which keys it takes.
    pub policy: KeyPolicy,
}

/// Which keys a relying party takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPolicy {
    /// The algorithms that it takes, best first. Requests can ask for some of them. Empty: what the server takes.
    pub algorithms: Vec<Algorithm>,
    /// The least user verification. The server's may be more.
    pub user_verification: Option<UserVerification>,
    /// The only models that it takes, by AAGUID. Empty: all. Models are proved by a trusted attestation, which is then
    /// required.
    pub allowed_models: Vec<[u8; 16]>,
    /// The models that it does not take.
    pub denied_models: Vec<[u8; 16]>,
    /// Which backups it takes.
    pub backup: Backup,
}

/// Which credentials a relying party takes, by what happens to them when the authenticator is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backup {
    /// All.
    #[default]
    Any,
    /// Only those that stay in their authenticator: not backup eligible.
    Never,
    /// Only those that may be backed up.
    Eligible,
    /// Only those that are backed up.
    Done,
}

impl Backup {
    /// The words in a file, in order.
    pub const WORDS: [(&str, Self); 4] =
        [("any", Self::Any), ("never", Self::Never), ("eligible", Self::Eligible), ("done", Self::Done)];

    /// Whether these flags are of such a credential.
    pub(crate) fn accepts(self, flags: Flags) -> bool {
        match self {
            Self::Any => true,
            Self::Never => !flags.has(Flags::BE),
            Self::Eligible => flags.has(Flags::BE),
            Self::Done => flags.has(Flags::BS),
        }
    }
}

impl KeyPolicy {
    /// Whether it takes this model.
    pub(crate) fn accepts(&self, aaguid: &[u8; 16]) -> bool {
        let is_allowed = self.allowed_models.is_empty() || self.allowed_models.contains(aaguid);
        is_allowed && !self.denied_models.contains(aaguid)
    }
}

impl Tenant {
    /// A relying party whose only origin is `https://` and its RP ID.
    pub fn new(rp_id: &str) -> Self {
        Self {
            rp_id: rp_id.into(),
            name: rp_id.into(),
            origins: vec![format!("https://{rp_id}")],
            related: Vec::new(),
            frames: None,
            policy: KeyPolicy::default(),
        }
    }

    /// Reads `RP_ID` or `RP_ID=ORIGIN,ORIGIN`.
    ///
    /// # Errors
    /// A message for the user, in one line: an origin may not use the RP ID.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((rp_id, origins)) = text.split_once('=') else {
            return Self::new(&text.to_ascii_lowercase()).checked();
        };
        let origins = origins.split(',').map(str::to_owned).collect();
        Self { origins, ..Self::new(&rp_id.to_ascii_lowercase()) }.checked()
    }

    /// The relying party localhost of a server on this machine, with its page at that port.
    pub fn localhost(port: u16) -> Self {
        let origins = vec!["http://localhost".into(), format!("http://localhost:{port}"), "https://localhost".into()];
        Self { name: "keyfob".into(), origins, ..Self::new("localhost") }
    }

    /// The origins of the pages around its frames, as verification takes them.
    pub(crate) fn top_origins(&self) -> Option<Vec<&str>> {
        self.frames.as_ref().map(|frames| frames.iter().map(String::as_str).collect())
    }

    /// The same with its origins serialised, those of other sites among them.
    fn checked(mut self) -> Result<Self, String> {
        if self.rp_id != "localhost" && PublicSuffixList.public_suffix(&self.rp_id) == Some(&self.rp_id) {
            return Err(format!("the RP ID {} is a public suffix, under which everybody can have a name", self.rp_id));
        }
        for origin in self.origins.iter_mut().chain(&mut self.related).chain(self.frames.iter_mut().flatten()) {
            *origin = serialised(origin)?;
        }
        let may =
            |origin: &&String| origin.starts_with(ANDROID) || origin_matches(&self.rp_id, origin, &PublicSuffixList);
        if let Some(origin) = self.origins.iter().find(|origin| !may(origin)) {
            return Err(format!("the origin {origin} may not use the RP ID {}", self.rp_id));
        }
        let is_page = |origin: &&String| Origin::parse(origin).is_some_and(|origin| origin.is_secure());
        if let Some(origin) = self.related.iter().find(|origin| !is_page(origin)) {
            return Err(format!("the related origin {origin} is not one of https"));
        }
        self.origins.extend(self.related.iter().cloned());
        Ok(self)
    }
}

/// An origin as clients write it: in lower case, without a slash, and without the default port.
fn serialised(text: &str) -> Result<String, String> {
    if let Some(hash) = text.strip_prefix(ANDROID) {
        let mut bytes = [0; 33];
        return match base64url::decode(hash.chars(), &mut bytes) {
            Ok(32) => Ok(text.into()),
            _ => Err(format!("{text} does not end with a SHA-256 in base64url")),
        };
    }
    let origin = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
    if Origin::parse(&origin).is_none() {
        return Err(format!("{text} is not an origin: https://, a host, and a port if it has one"));
    }
    let default = if origin.starts_with("https://") { ":443" } else { ":80" };
    Ok(origin.strip_suffix(default).unwrap_or(&origin).into())
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
        assert!(Tenant::parse("").is_err());
    }

    #[test]
    fn an_origin_is_one_however_it_is_spelt() {
        let tenant = Tenant::parse("Example.com=HTTPS://Example.COM:443/,https://example.com:8443/").unwrap();
        assert_eq!(tenant.rp_id, "example.com");
        assert_eq!(tenant.origins, ["https://example.com", "https://example.com:8443"]);
        let local = Tenant::parse("localhost=http://localhost:80,http://localhost:443").unwrap();
        assert_eq!(local.origins, ["http://localhost", "http://localhost:443"]);
        for wrong in ["https://example.com/path", "https://me@example.com", "https://example.com//", "https://", ""] {
            assert!(Tenant::parse(&format!("example.com={wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_android_app_is_an_origin_by_the_hash_of_its_certificate() {
        let app = format!("{ANDROID}{}", "A".repeat(43));
        assert_eq!(Tenant::parse(&format!("example.com=https://example.com,{app}")).unwrap().origins[1], app);
        for wrong in ["", "AAAA", &"A".repeat(44), &"+".repeat(43)] {
            assert!(Tenant::parse(&format!("example.com={ANDROID}{wrong}")).is_err(), "{wrong}");
        }
    }

    /// With a public suffix as RP ID, every owner of a name under it could sign in for all others.
    #[test]
    fn a_public_suffix_is_no_relying_party_but_localhost_is() {
        for suffix in ["co.uk=https://bank.co.uk", "github.io=https://me.github.io", "com", "co.uk=https://co.uk"] {
            assert!(Tenant::parse(suffix).is_err(), "{suffix}");
        }
        assert!(Tenant::parse(&format!("co.uk={ANDROID}{}", "A".repeat(43))).is_err());
        assert!(Tenant::parse("localhost").is_ok());
    }
}
