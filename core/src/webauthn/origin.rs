//! Serialised origins of the web (URL Standard): a scheme, a host, and a port if it is not the scheme's default.

/// An origin. Its host is lower-case ASCII, as browsers serialise it: names in other scripts are in their `xn--` form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Origin<'a> {
    /// Reads a serialised origin. `None` when the text is not a single origin with a host.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        // An IPv6 address has colons of its own, in brackets.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port_number(port)?)),
            _ => (authority, None),
        };
        let host_only = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'?' | b'#' | b'@' | b'\\' | b'%');
        let brackets = host.starts_with('[') && host.ends_with(']');
        let well_formed = !host.is_empty() && host.bytes().all(host_only) && (brackets || !host.contains(':'));
        let port = port.filter(|port| !matches!((scheme, port), ("https", 443) | ("http", 80)));
        well_formed.then_some(Self { scheme, host, port })
    }

    /// The origin of a URL, which may have a path, a query and a fragment, but no user. `None` as in [`Origin::parse`].
    pub fn of_url(url: &'a str) -> Option<Self> {
        let (_, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let start = url.len().checked_sub(rest.len())?;
        Self::parse(url.get(..start.checked_add(end)?)?)
    }

    /// The effective domain: the host, if it is a domain. `None` when it is an address or is not well-formed; a host
    /// with a dot at the end is not.
    pub fn effective_domain(&self) -> Option<&'a str> {
        is_domain(self.host).then_some(self.host)
    }

    /// Whether pages of this origin may use the API: the scheme is https, or the page comes from this machine (Secure
    /// Contexts §3.1).
    pub fn is_secure(&self) -> bool {
        match self.scheme {
            "https" => true,
            "http" => is_within(self.host, "localhost"),
            _ => false,
        }
    }
}

/// Whether `host` is `domain` or a subdomain of it.
pub(super) fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Whether a name is a domain, of lower-case ASCII.
pub(super) fn is_domain(name: &str) -> bool {
    let mut labels = name.split('.');
    let well_formed = labels.clone().all(|label| {
        !label.is_empty() && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    });
    // A host whose last label is a number is an IPv4 address (URL Standard, "ends in a number").
    well_formed && labels.next_back().is_some_and(|last| !is_number(last))
}

/// Whether a label is a number: decimal, or hexadecimal with the prefix `0x`.
fn is_number(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_digit())
        || label.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn port_number(port: &str) -> Option<u16> {
    port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())?
}

#[cfg(test)]
mod tests;
