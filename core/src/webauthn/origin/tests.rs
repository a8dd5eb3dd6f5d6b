use super::*;

fn domain(text: &str) -> Option<&str> {
    Origin::parse(text)?.effective_domain()
}

#[test]
fn the_effective_domain_is_the_host_without_the_port() {
    assert_eq!(domain("https://example.org"), Some("example.org"));
    assert_eq!(domain("https://example.org:8443"), Some("example.org"));
    assert_eq!(domain("http://localhost:3000"), Some("localhost"));
    assert_eq!(domain("https://xn--bcher-kva.example"), Some("xn--bcher-kva.example"));
}

#[test]
fn addresses_have_no_effective_domain() {
    for address in ["127.0.0.1", "1", "1.2", "0x7f.1", "127.0.0.0x1", "[::1]", "[::1]:8443", "[2001:db8::1]:443"] {
        let text = std::format!("https://{address}");
        assert!(Origin::parse(&text).is_some(), "{text}");
        assert_eq!(domain(&text), None, "{text}");
    }
}

#[test]
fn names_that_are_not_as_browsers_serialise_them_are_no_domains() {
    for host in ["example.org.", ".", ".example.org", "a..example.org", "EXAMPLE.org", "ex\u{e4}mple.org", "a b.org"] {
        assert_eq!(domain(&std::format!("https://{host}")), None, "{host}");
    }
}

#[test]
fn what_is_more_or_less_than_an_origin_is_none() {
    for text in [
        "",
        "null",
        "https://",
        "https://:80",
        "example.org",
        "https://example.org/",
        "https://example.org?",
        "https://example.org#",
        "https://user@example.org",
        "https://example.org:",
        "https://example.org:+80",
        "https://example.org:65536",
        "https://example.org:80:80",
        "https://::1",
        "https://evil.com\\.example.org",
        "https://%65xample.org",
        "about:blank",
    ] {
        assert_eq!(Origin::parse(text), None, "{text}");
    }
}

#[test]
fn a_port_that_is_the_schemes_own_makes_no_difference() {
    assert_eq!(Origin::parse("https://example.org:443"), Origin::parse("https://example.org"));
    assert_eq!(Origin::parse("http://example.org:80"), Origin::parse("http://example.org"));
    assert_ne!(Origin::parse("https://example.org:80"), Origin::parse("https://example.org"));
    assert_ne!(Origin::parse("https://example.org"), Origin::parse("http://example.org"));
}

#[test]
fn the_origin_of_a_url_ends_where_its_path_begins() {
    for url in
        ["https://example.org", "https://example.org/", "https://example.org?a@b", "https://example.org:443/a:b#c"]
    {
        assert_eq!(Origin::of_url(url), Origin::parse("https://example.org"), "{url}");
    }
    assert_eq!(Origin::of_url("https://user@example.org/"), None);
    assert_eq!(Origin::of_url("example.org/"), None);
}

#[test]
fn only_https_and_this_machine_are_secure() {
    let secure = |text| Origin::parse(text).unwrap().is_secure();
    assert!(secure("https://example.org") && secure("http://localhost:1") && secure("http://app.localhost"));
    assert!(!secure("http://example.org") && !secure("http://evil-localhost") && !secure("ftp://localhost"));
    assert!(!secure("http://localhost.example.org"));
}
