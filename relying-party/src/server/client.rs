//! Who sends a request: the peer of the connection, or the client that a trusted proxy names.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, PoisonError},
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};

use super::{App, problem::Problem};

/// The other end of a request's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// The client of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// Its address. `None` without a connection, as in tests.
    pub address: Option<IpAddr>,
    /// Whether it speaks https with the proxy.
    pub is_https: bool,
}

impl Client {
    /// From the peer, or from the headers of the peer if it is a trusted proxy. A proxy on this machine is one.
    fn of(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpAddr]) -> Self {
        let is_proxy = peer.is_none_or(|peer| peer.is_loopback() || trusted.contains(&peer));
        if !is_proxy {
            return Self { address: peer, is_https: false };
        }
        let last = |name: &str| {
            let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
            value.rsplit(',').next().map(str::trim)
        };
        // Forwarded (RFC 7239 §4), and what came before it.
        let forwarded = |name: &str| {
            let mut pairs = last("forwarded")?.split(';').filter_map(|pair| pair.trim().split_once('='));
            let (_, value) = pairs.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Some(value.trim_matches('"'))
        };
        let scheme = forwarded("proto").or_else(|| last("x-forwarded-proto"));
        let named = forwarded("for").or_else(|| last("x-forwarded-for")).and_then(address);
        Self { address: named.or(peer), is_https: scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")) }
    }

    /// Whose requests are counted, and whose room the client's ceremonies take: an address, or the network of one of IPv6,
    /// which one client has whole. `None` for this machine: it may be a proxy that names no clients.
    pub(crate) fn name(&self) -> Option<String> {
        let address = self.address?.to_canonical();
        Some(match address {
            address if address.is_loopback() => return None,
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
            }
        })
    }
}

/// The address in a proxy's header, where it may have a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.split(']').next());
    let without_port = text.split(':').next().filter(|_| text.matches(':').count() == 1);
    bare.or(without_port).unwrap_or(text).parse().ok()
}

impl FromRequestParts<Arc<App>> for Client {
    type Rejection = Problem;

    /// Refuses a client that sends too many requests.
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
        let client = Self::of(peer, &parts.headers, &app.options.proxies);
        let Some(name) = client.name().filter(|_| app.options.rate > 0) else { return Ok(client) };
        let mut rates = app.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = rates.allows(name, app.options.rate, app.now());
        if allowed { Ok(client) } else { Err(Problem::TooMany) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn client(peer: &str, pairs: &[(&'static str, &'static str)]) -> (String, bool) {
        let trusted = ["10.0.0.1".parse().unwrap()];
        let client = Client::of(Some(peer.parse().unwrap()), &headers(pairs), &trusted);
        (client.name().unwrap_or("this machine".into()), client.is_https)
    }

    #[test]
    fn a_proxys_headers_count_only_from_one_that_is_trusted() {
        let told = [("x-forwarded-for", "1.1.1.1, 2.2.2.2"), ("x-forwarded-proto", "https")];
        assert_eq!(client("10.0.0.2", &told), ("10.0.0.2".into(), false));
        for proxy in ["10.0.0.1", "127.0.0.1", "::1"] {
            // What stands before the last address, the client has written.
            assert_eq!(client(proxy, &told), ("2.2.2.2".into(), true), "{proxy}");
        }
    }

    #[test]
    fn proxies_name_the_client_in_several_forms() {
        for (header, value, address) in [
            ("x-forwarded-for", "3.3.3.3:4444", "3.3.3.3"),
            ("x-forwarded-for", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("x-forwarded-for", "::ffff:3.3.3.3", "3.3.3.3"),
            ("x-forwarded-for", "unknown", "this machine"),
            ("forwarded", "for=1.1.1.1, for=\"[2001:db8::1]:80\";proto=http", "2001:db8::"),
            ("forwarded", "For=3.3.3.3", "3.3.3.3"),
        ] {
            assert_eq!(client("127.0.0.1", &[(header, value)]).0, address, "{header}: {value}");
        }
        assert!(client("127.0.0.1", &[("forwarded", "for=1.1.1.1;proto=https")]).1);
        assert!(!client("127.0.0.1", &[("forwarded", "proto=http"), ("x-forwarded-proto", "https")]).1);
    }
}
