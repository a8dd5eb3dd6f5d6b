//! The public suffix list, compiled in.

use super::PublicSuffixes;

/// The list of publicsuffix.org as the crate `psl` carries it: with its private section, and with names in other
/// scripts in their `xn--` form. Its age is that of the crate's version in `Cargo.lock`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublicSuffixList;

impl PublicSuffixes for PublicSuffixList {
    fn public_suffix<'d>(&self, domain: &'d str) -> Option<&'d str> {
        psl::suffix_str(domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webauthn::{Origin, is_facet, may_claim};

    /// Cases from publicsuffix.org's test file, and RP IDs that a site must not use.
    #[test]
    fn the_list_has_its_rules_wildcards_exceptions_private_section_and_other_scripts() {
        for (domain, suffix) in [
            ("example.com", "com"),
            ("example.uk.com", "uk.com"),
            ("b.example.co.uk", "co.uk"),
            ("test.ac.jp", "ac.jp"),
            ("b.c.kobe.jp", "c.kobe.jp"),
            ("www.city.kobe.jp", "kobe.jp"),
            ("www.ck", "ck"),
            ("b.test.ck", "test.ck"),
            ("b.example.k12.ak.us", "k12.ak.us"),
            ("evil.github.io", "github.io"),
            ("www.xn--85x722f.xn--55qx5d.cn", "xn--55qx5d.cn"),
            ("shishi.xn--55qx5d.cn", "xn--55qx5d.cn"),
            ("xn--55qx5d.cn", "xn--55qx5d.cn"),
            ("shishi.xn--fiqs8s", "xn--fiqs8s"),
            ("example.unlisted", "unlisted"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(PublicSuffixList.public_suffix(domain), Some(suffix), "{domain}");
        }
        let facet = |app_id, origin| is_facet(app_id, &Origin::parse(origin).unwrap(), &PublicSuffixList);
        assert!(!facet("https://bank.co.uk/appid.json", "https://evil.co.uk"));
        assert!(!facet("https://victim.github.io/appid.json", "https://evil.github.io"));
        assert!(facet("https://www.bank.co.uk/appid.json", "https://login.bank.co.uk:8443"));
        assert!(!may_claim("xn--55qx5d.cn", "shop.xn--55qx5d.cn", &PublicSuffixList));
        assert!(may_claim("bank.co.uk", "login.bank.co.uk", &PublicSuffixList));
    }
}
