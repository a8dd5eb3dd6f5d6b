//! Which origins may use an RP ID (WebAuthn L3 §5.1.3 step 8, §13.4.9).

/// Whether a page of `origin` may use `rp_id`: its scheme is https, or http on localhost, and its host is `rp_id` or a
/// subdomain of it. Both are lower-case ASCII, as serialised origins are; hosts that are addresses have no RP ID.
///
/// An `rp_id` that is a public suffix (`com`, `co.uk`) is not recognised as one.
pub fn origin_matches(rp_id: &str, origin: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let secure = match scheme {
        "https" => true,
        "http" => is_within(host, "localhost"),
        _ => false,
    };
    secure && port.is_none_or(is_port) && is_domain(host) && is_domain(rp_id) && is_within(host, rp_id)
}

fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

fn is_domain(name: &str) -> bool {
    let mut labels = name.split('.');
    let well_formed = labels.clone().all(|label| {
        !label.is_empty() && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    });
    // A host whose last label is a number is an IPv4 address (URL Standard, "ends in a number").
    well_formed && labels.next_back().is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()))
}
