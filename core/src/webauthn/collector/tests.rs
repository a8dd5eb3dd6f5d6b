use super::*;
use crate::webauthn::SuffixRules;

#[test]
fn without_an_rp_id_it_is_the_host_of_the_origin() {
    let rp_id = |origin| DefaultClientDataCollector::new(origin).rp_id(None).map(str::to_owned);
    assert_eq!(rp_id("https://login.example.org:8443").as_deref(), Ok("login.example.org"));
    assert_eq!(rp_id("http://localhost:3000").as_deref(), Ok("localhost"));
    for origin in ["http://example.org", "https://127.0.0.1", "https://[::1]", "https://example.org.", "null", ""] {
        assert_eq!(rp_id(origin), Err(OriginError::Origin), "{origin}");
    }
}

#[test]
fn an_rp_id_that_is_asked_for_has_to_be_the_origins_own() {
    let collector =
        DefaultClientDataCollector::new("https://login.example.org").with_suffixes(SuffixRules::new("org").unwrap());
    assert_eq!(collector.rp_id(Some("example.org")), Ok("example.org"));
    assert_eq!(collector.rp_id(Some("login.example.org")), Ok("login.example.org"));
    for rp_id in ["org", "example.com", "login.example.org:443", "https://login.example.org", "", "."] {
        assert_eq!(collector.rp_id(Some(rp_id)), Err(OriginError::RpId), "{rp_id}");
    }
}

#[test]
fn public_suffixes_and_related_origins_are_the_callers_to_give() {
    let fetched: [(&str, &[u8]); 2] =
        [("example.com", br#"{"origins": ["https://me.github.io"]}"#), ("broken.com", b"<html>")];
    let collector = DefaultClientDataCollector {
        origin: "https://me.github.io",
        cross_origin: false,
        top_origin: None,
        suffixes: SuffixRules::new("github.io").unwrap(),
        related_origins: &fetched[..],
    };
    assert_eq!(collector.rp_id(Some("github.io")), Err(OriginError::RpId));
    assert_eq!(collector.rp_id(Some("example.com")), Ok("example.com"));
    assert_eq!(collector.rp_id(Some("broken.com")), Err(OriginError::RpId));
    assert_eq!(collector.rp_id(Some("example.net")), Err(OriginError::RpId));
    // An insecure origin is refused even if it is a related origin.
    let insecure = DefaultClientDataCollector { origin: "http://me.github.io", ..collector };
    assert_eq!(insecure.rp_id(Some("example.com")), Err(OriginError::Origin));
}

#[test]
fn without_a_list_an_origin_may_use_its_own_host_and_nothing_else() {
    let fetched: [(&str, &[u8]); 1] = [("example.com", br#"{"origins": ["https://login.bank.co.uk"]}"#)];
    let DefaultClientDataCollector { cross_origin, top_origin, .. } = DefaultClientDataCollector::new("");
    let origin = "https://login.bank.co.uk";
    let plain = DefaultClientDataCollector::new(origin);
    let related_origins = &fetched[..];
    let empty = DefaultClientDataCollector { origin, cross_origin, top_origin, suffixes: (), related_origins };
    for collector in [&plain as &dyn ClientDataCollector, &empty] {
        assert_eq!(collector.rp_id(Some("login.bank.co.uk")), Ok("login.bank.co.uk"));
        assert_eq!(collector.rp_id(None), Ok("login.bank.co.uk"));
        for rp_id in ["bank.co.uk", "co.uk", "uk", "example.com"] {
            assert_eq!(collector.rp_id(Some(rp_id)), Err(OriginError::RpId), "{rp_id}");
        }
        for app_id in ["https://login.bank.co.uk", "https://login.bank.co.uk/a", "https://login.bank.co.uk:8443/a"] {
            assert_eq!(collector.check_app_id(app_id), Ok(()), "{app_id}");
        }
        for app_id in ["https://bank.co.uk/a", "https://evil.co.uk/a", "https://a.login.bank.co.uk", "https://co.uk/"] {
            assert_eq!(collector.check_app_id(app_id), Err(OriginError::AppId), "{app_id}");
        }
    }
    let local = DefaultClientDataCollector::new("http://app.localhost:3000");
    assert_eq!(local.rp_id(Some("app.localhost")), Ok("app.localhost"));
    assert_eq!(local.rp_id(Some("localhost")), Err(OriginError::RpId));
}

#[test]
fn client_data_names_the_frames_the_request_came_through() {
    let text = |collector: &DefaultClientDataCollector<'_>| {
        let mut buffer = [0; 256];
        let len = collector.write(ClientDataType::Get, &[1, 2, 3], &mut buffer).unwrap();
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    };
    let mut collector = DefaultClientDataCollector::new("https://example.org");
    let plain = r#"{"type":"webauthn.get","challenge":"AQID","origin":"https://example.org","crossOrigin":false}"#;
    assert_eq!(text(&collector), plain);
    collector.cross_origin = true;
    collector.top_origin = Some("https://example.com");
    let framed = plain.replace("false}", r#"true,"topOrigin":"https://example.com"}"#);
    assert_eq!(text(&collector), framed);
    assert_eq!(collector.write(ClientDataType::Get, &[1, 2, 3], &mut [0; 8]), Err(Overflow { needed: framed.len() }));
}
