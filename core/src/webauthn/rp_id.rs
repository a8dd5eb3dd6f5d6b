//! Which origins may use an RP ID (WebAuthn L3 §5.1.3 steps 7 and 8, §5.11).

use heapless::{String, Vec};

use super::{
    origin::{Origin, is_domain, is_within},
    punycode::is_a_label_of,
};
use crate::json::{self, Reader};

/// Registrable labels that a relying party may have in its related origins (WebAuthn L3 §5.11.1 asks for at least five).
const MAX_LABELS: usize = 5;
/// A label, in bytes (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;
/// The longest URL of a related origin that is read, in bytes: a domain of 253, and some path.
const MAX_URL: usize = 320;

/// Knows the public suffixes: domains under which names are registered by different owners. Without that knowledge,
/// `()`, an origin may use its own host only: no parent domain, no related origin.
pub trait PublicSuffixes {
    /// The public suffix of `domain`, which ends `domain` with whole labels; never empty when `domain` is not. Both are
    /// lower-case ASCII, names in other scripts in their `xn--` form. `None`: it is not known.
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

/// Public suffixes by rules in the format of publicsuffix.org, one a line, `//` before comments: the list itself, its
/// private section included, or a list of the caller's. Rules in other scripts match names in their `xn--` form. A
/// domain that no rule matches ends in a suffix of one label, as the list has it. Text without a rule knows nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SuffixRules<'a>(pub &'a str);

impl PublicSuffixes for SuffixRules<'_> {
    fn public_suffix<'d>(&self, domain: &'d str) -> Option<&'d str> {
        let rules =
            self.0.lines().filter_map(|line| line.split_whitespace().next()).filter(|rule| !rule.starts_with("//"));
        rules.clone().next()?;
        let mut labels = 1;
        for rule in rules {
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

/// Knows what relying parties say about origins that are related to them.
pub trait RelatedOrigins {
    /// The body of `https://RP_ID/.well-known/webauthn`; `None` when there is none, or it was not fetched. It has to be
    /// fetched without credentials and without a referrer, and to have come with status 200 as application/json.
    fn well_known(&self, rp_id: &str) -> Option<&[u8]>;
}

/// Nothing is known.
impl RelatedOrigins for () {
    fn well_known(&self, _: &str) -> Option<&[u8]> {
        None
    }
}

/// Pairs of an RP ID and a body.
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

/// Whether a page of `origin` may use `rp_id`: its scheme is https, or http on localhost, and [`may_claim`] holds for its
/// host.
pub fn origin_matches(rp_id: &str, origin: &str, suffixes: &impl PublicSuffixes) -> bool {
    let origin = Origin::parse(origin).filter(Origin::is_secure);
    origin.and_then(|origin| origin.effective_domain()).is_some_and(|host| may_claim(rp_id, host, suffixes))
}

/// Whether `rp_id` is `host`, or a registrable suffix of it: one that is no public suffix, nor part of one (HTML Standard,
/// "is a registrable domain suffix of or is equal to"). Without public suffixes it has to be `host`.
pub fn may_claim(rp_id: &str, host: &str, suffixes: &impl PublicSuffixes) -> bool {
    let is_registrable = || {
        let known = suffixes.public_suffix(rp_id).zip(suffixes.public_suffix(host));
        known.is_some_and(|(of_rp_id, of_host)| of_rp_id != rp_id && !is_within(of_host, rp_id))
    };
    is_domain(rp_id) && is_domain(host) && is_within(host, rp_id) && (rp_id == host || is_registrable())
}

/// Whether a page of `origin` may use `app_id`, an AppID of U2F (FIDO AppID and Facet Specification §3.1.2): it is the
/// origin itself, or a URL over https of the same host or under the same registrable domain. Lists of facets are not
/// fetched.
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

/// The registrable domain of `host`: its public suffix and the label before. `None`: there is none.
fn registrable<'d>(host: &'d str, suffixes: &impl PublicSuffixes) -> Option<&'d str> {
    let name = host.strip_suffix(suffixes.public_suffix(host)?)?.strip_suffix('.')?;
    host.get(name.rfind('.').map_or(0, |dot| dot.saturating_add(1))..)
}

/// Whether `well_known`, the body of `https://RP_ID/.well-known/webauthn`, says that pages of `origin` may use the RP ID
/// (WebAuthn L3 §5.11.1). At most five registrable labels are looked at; without public suffixes there are none.
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
                // One that is too long to be read is skipped, like one that is no URL.
                let mut buffer = [0; MAX_URL];
                let len = r.string()?.copy_to(&mut buffer).map_or(0, str::len);
                buffer.make_ascii_lowercase();
                let url = buffer.get(..len).and_then(|url| core::str::from_utf8(url).ok()).unwrap_or_default();
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

/// Whether `url` is of `origin` and its label within the limit, which it counts against.
fn names(
    url: &str,
    origin: &Origin<'_>,
    suffixes: &impl PublicSuffixes,
    labels: &mut Vec<String<MAX_LABEL>, MAX_LABELS>,
) -> bool {
    let Some(listed) = Origin::of_url(url) else { return false };
    let label = listed.effective_domain().and_then(|domain| {
        let name = domain.strip_suffix(suffixes.public_suffix(domain)?)?.strip_suffix('.')?;
        String::try_from(name.rsplit('.').next()?).ok()
    });
    let Some(label) = label else { return false };
    let known = labels.contains(&label) || labels.push(label).is_ok();
    known && listed == *origin
}

#[cfg(test)]
mod tests;
