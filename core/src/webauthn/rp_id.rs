//! Which origins may use an RP ID (WebAuthn L3 §5.1.3 steps 7 and 8, §5.11).

use heapless::{String, Vec};

use super::{
    origin::{Origin, is_domain, is_within},
    punycode::is_a_label_of,
};
use crate::{
    bytes,
    json::{self, Reader},
};

/// How many registrable labels a relying party may have in its related origins (WebAuthn L3 §5.11.1 requires at least
/// five).
const MAX_LABELS: usize = 5;
/// A label, in bytes (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;
/// The longest URL of a related origin that is read, in bytes: a domain of 253 bytes and a short path.
const MAX_URL: usize = 320;

/// A source of public suffixes: domains under which different owners register names. With `()`, which knows none, an
/// origin may use only its own host: no parent domain and no related origin.
pub trait PublicSuffixes {
    /// The public suffix of `domain`: its last labels, at least one. Both are lower-case ASCII, with names in other
    /// scripts in their `xn--` form. `None` when it is not known.
    fn public_suffix<'d>(&self, domain: &'d str) -> Option<&'d str>;
}

/// Nothing is known.
impl PublicSuffixes for () {
    fn public_suffix<'d>(&self, _: &'d str) -> Option<&'d str> {
        None
    }
}

impl<T: PublicSuffixes + ?Sized> PublicSuffixes for &T {
    fn public_suffix<'d>(&self, domain: &'d str) -> Option<&'d str> {
        (**self).public_suffix(domain)
    }
}

/// Public suffixes from rules in the format of publicsuffix.org, one rule per line, comments after `//`: that list with
/// its private section, or the caller's own list. Rules match in upper and lower case. Rules in other scripts match
/// names in their `xn--` form. The suffix of a domain that no rule matches is its last label, as the format requires.
///
/// ```
/// use keyfob_core::webauthn::{PublicSuffixes, SuffixListError, SuffixRules};
///
/// let rules = SuffixRules::new("// the intranet\ncom\nsites.corp\n")?;
/// assert_eq!(rules.public_suffix("shop.example.com"), Some("com"));
/// assert_eq!(rules.public_suffix("wiki.sites.corp"), Some("sites.corp"));
/// # Ok::<(), SuffixListError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuffixRules<'a>(&'a str);

/// Why a text is not a list of public suffixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SuffixListError {
    /// It has no rule.
    Empty,
    /// The line with this number, counted from 1, is neither a rule nor a comment. A web page has such lines.
    NotARule(usize),
}

impl<'a> SuffixRules<'a> {
    /// Reads a list.
    ///
    /// # Errors
    /// [`SuffixListError`]: it is not one.
    pub fn new(list: &'a str) -> Result<Self, SuffixListError> {
        let rules = Self(list);
        for (at, line) in list.lines().enumerate() {
            if rule_of(line).is_some_and(|rule| !is_rule(rule)) {
                return Err(SuffixListError::NotARule(at.saturating_add(1)));
            }
        }
        rules.rules().next().map(|_| rules).ok_or(SuffixListError::Empty)
    }

    fn rules(self) -> impl Iterator<Item = &'a str> {
        self.0.lines().filter_map(rule_of)
    }
}

/// The rule in a line, up to the first space. `None`: the line is empty or a comment.
fn rule_of(line: &str) -> Option<&str> {
    line.split_whitespace().next().filter(|rule| !rule.starts_with("//"))
}

/// Whether `rule` is labels with dots between them, after a `!` in an exception. A label has letters of any script,
/// digits and hyphens, or is `*`.
fn is_rule(rule: &str) -> bool {
    let is_of_label = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut labels = rule.strip_prefix('!').unwrap_or(rule).split('.');
    labels.all(|label| label == "*" || !label.is_empty() && label.chars().all(is_of_label))
}

impl PublicSuffixes for SuffixRules<'_> {
    fn public_suffix<'d>(&self, domain: &'d str) -> Option<&'d str> {
        let mut labels = 1;
        for rule in self.rules() {
            let exception = rule.strip_prefix('!');
            let Some(matched) = matches(exception.unwrap_or(rule), domain) else { continue };
            if exception.is_some() {
                labels = matched.saturating_sub(1);
                break;
            }
            labels = labels.max(matched);
        }
        let start =
            domain.rmatch_indices('.').nth(labels.saturating_sub(1)).map_or(0, |(dot, _)| dot.saturating_add(1));
        domain.get(start..)
    }
}

/// How many labels `rule` has, if it matches `domain`.
fn matches(rule: &str, domain: &str) -> Option<usize> {
    let mut labels = domain.rsplit('.');
    let all =
        rule.rsplit('.').all(|wanted| labels.next().is_some_and(|label| wanted == "*" || is_a_label_of(label, wanted)));
    all.then(|| rule.split('.').count())
}

/// A source of related origins, which relying parties publish.
pub trait RelatedOrigins {
    /// The body of `https://RP_ID/.well-known/webauthn`. `None` when there is none or it was not fetched. It must be
    /// fetched without credentials and without a referrer, and must have status 200 and the type application/json.
    fn well_known(&self, rp_id: &str) -> Option<&[u8]>;
}

/// Nothing is known.
impl RelatedOrigins for () {
    fn well_known(&self, _: &str) -> Option<&[u8]> {
        None
    }
}

/// Pairs of an RP ID and the body that it publishes.
impl RelatedOrigins for [(&str, &[u8])] {
    fn well_known(&self, rp_id: &str) -> Option<&[u8]> {
        self.iter().find(|(known, _)| *known == rp_id).map(|(_, body)| *body)
    }
}

impl<T: RelatedOrigins + ?Sized> RelatedOrigins for &T {
    fn well_known(&self, rp_id: &str) -> Option<&[u8]> {
        (**self).well_known(rp_id)
    }
}

/// Whether a page of `origin` may use `rp_id`: its scheme is https, or http on localhost, and [`may_claim`] holds for
/// its host.
pub fn origin_matches(rp_id: &str, origin: &str, suffixes: &impl PublicSuffixes) -> bool {
    let origin = Origin::parse(origin).filter(Origin::is_secure);
    origin.and_then(|origin| origin.effective_domain()).is_some_and(|host| may_claim(rp_id, host, suffixes))
}

/// Whether `rp_id` is `host` or a registrable suffix of it, that is, neither a public suffix nor part of one (HTML
/// Standard, "is a registrable domain suffix of or is equal to"). Without public suffixes it must be `host`.
pub fn may_claim(rp_id: &str, host: &str, suffixes: &impl PublicSuffixes) -> bool {
    let is_registrable = || {
        let known = suffixes.public_suffix(rp_id).zip(suffixes.public_suffix(host));
        known.is_some_and(|(of_rp_id, of_host)| of_rp_id != rp_id && !is_within(of_host, rp_id))
    };
    is_domain(rp_id) && is_domain(host) && is_within(host, rp_id) && (rp_id == host || is_registrable())
}

/// Whether a page of `origin` may use `app_id`, an AppID of U2F (FIDO AppID and Facet Specification §3.1.2): it is the
/// origin itself, or an https URL of the same host or under the same registrable domain. Facet lists are not fetched.
pub fn is_facet(app_id: &str, origin: &Origin<'_>, suffixes: &impl PublicSuffixes) -> bool {
    if Origin::parse(app_id) == Some(*origin) {
        return true;
    }
    let hosts = Origin::of_url(app_id).and_then(|url| Some((url.effective_domain()?, origin.effective_domain()?)));
    app_id.starts_with("https://")
        && hosts.is_some_and(|(url, host)| {
            url == host || registrable(url, suffixes).is_some_and(|domain| Some(domain) == registrable(host, suffixes))
        })
}

/// The registrable domain of `host`: its public suffix and the label before it. `None` when there is none.
fn registrable<'d>(host: &'d str, suffixes: &impl PublicSuffixes) -> Option<&'d str> {
    let name = host.strip_suffix(suffixes.public_suffix(host)?)?.strip_suffix('.')?;
    host.get(name.rfind('.').map_or(0, |dot| dot.saturating_add(1))..)
}

/// Whether `well_known`, the body of `https://RP_ID/.well-known/webauthn`, allows pages of `origin` to use the RP ID
/// (WebAuthn L3 §5.11.1). At most five registrable labels are used; without public suffixes there are none.
///
/// # Errors
/// The body is not JSON of the form that the standard gives.
pub fn is_related(well_known: &[u8], origin: &Origin<'_>, suffixes: &impl PublicSuffixes) -> Result<bool, json::Error> {
    let mut listed = None;
    let mut r = Reader::new(well_known)?;
    r.object()?;
    while let Some(name) = r.next_member()? {
        if name == "origins" {
            let mut labels = Vec::new();
            let mut related = false;
            r.array()?;
            while r.next_item()? {
                // A URL that is too long to read is skipped, like a text that is not a URL.
                let mut buffer = [0; MAX_URL];
                let len = r.string()?.copy_to(&mut buffer).map_or(0, str::len);
                buffer.make_ascii_lowercase();
                let url = bytes::text(bytes::front(&buffer, len));
                related |= names(url, origin, suffixes, &mut labels);
            }
            r.once(&mut listed, related)?;
        } else {
            r.skip()?;
        }
    }
    r.finish()?;
    listed.ok_or(r.error(json::ErrorKind::Missing))
}

/// Whether `url` has this `origin` and its label is within the limit. Adds the label to `labels`.
fn names(
    url: &str,
    origin: &Origin<'_>,
    suffixes: &impl PublicSuffixes,
    labels: &mut Vec<String<MAX_LABEL>, MAX_LABELS>,
) -> bool {
    let Some(listed) = Origin::of_url(url) else { return false };
    let domain = listed.effective_domain().and_then(|domain| registrable(domain, suffixes));
    let label = domain.and_then(|domain| String::try_from(domain.split('.').next()?).ok());
    let Some(label) = label else { return false };
    let known = labels.contains(&label) || labels.push(label).is_ok();
    known && listed == *origin
}

#[cfg(test)]
mod tests;
