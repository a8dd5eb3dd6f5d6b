use super::*;
use crate::json::ErrorKind;

const LIST: &str = "// a comment

com
org and what follows is no rule
jp
AC.jp
*.kobe.jp
!city.kobe.jp
*.compute.amazonaws.com
github.io
";

fn rules() -> SuffixRules<'static> {
    SuffixRules::new(LIST).unwrap()
}

#[test]
fn a_public_suffix_follows_the_longest_rule_and_exceptions_come_first() {
    for (domain, suffix) in [
        ("com", "com"),
        ("example.com", "com"),
        ("a.b.example.com", "com"),
        ("example.org", "org"),
        ("example.jp", "jp"),
        ("example.ac.jp", "ac.jp"),
        ("ac.jp", "ac.jp"),
        ("kobe.jp", "jp"),
        ("c.kobe.jp", "c.kobe.jp"),
        ("b.c.kobe.jp", "c.kobe.jp"),
        ("city.kobe.jp", "kobe.jp"),
        ("www.city.kobe.jp", "kobe.jp"),
        ("me.github.io", "github.io"),
        ("example.unlisted", "unlisted"),
        ("localhost", "localhost"),
    ] {
        assert_eq!(rules().public_suffix(domain), Some(suffix), "{domain}");
    }
}

#[test]
fn a_text_that_is_no_list_is_refused() {
    for nothing in ["", "\n", "// org\n"] {
        assert_eq!(SuffixRules::new(nothing), Err(SuffixListError::Empty));
    }
    let page = "\n<!DOCTYPE html>\n<title>Not found</title>\n";
    for (text, line) in [(page, 2), ("com\n{\"error\": 404}", 2), ("com\n//\n.org", 3), ("com\nco..uk", 2), ("!", 1)] {
        assert_eq!(SuffixRules::new(text), Err(SuffixListError::NotARule(line)), "{text}");
    }
    let said = SuffixListError::NotARule(2).to_string();
    assert_eq!(said, "line 2 of the list of public suffixes is neither a rule nor a comment");
}

#[test]
fn rules_in_other_scripts_match_names_in_their_xn_form() {
    let rules = SuffixRules::new("cn\n公司.cn\n*.भारत\n!बैंक.भारत\n中国\nXN--p1ai\n").unwrap();
    for (domain, suffix) in [
        ("shishi.xn--55qx5d.cn", "xn--55qx5d.cn"),
        ("xn--55qx5d.cn", "xn--55qx5d.cn"),
        ("example.xn--fiqs8s", "xn--fiqs8s"),
        ("a.b.xn--h2brj9c", "b.xn--h2brj9c"),
        ("a.xn--i1b2bwdrf.xn--h2brj9c", "xn--h2brj9c"),
        ("example.xn--p1ai", "xn--p1ai"),
        ("xn--55qx5e.cn", "cn"),
    ] {
        assert_eq!(rules.public_suffix(domain), Some(suffix), "{domain}");
    }
    // A registry's suffix is not an RP ID for the domains under it.
    assert!(!may_claim("xn--55qx5d.cn", "shop.xn--55qx5d.cn", &rules));
    assert!(may_claim("shop.xn--55qx5d.cn", "www.shop.xn--55qx5d.cn", &rules));
}

#[test]
fn an_rp_id_is_the_host_or_a_registrable_suffix_of_it() {
    for (rp_id, host, allowed) in [
        ("example.com", "example.com", true),
        ("example.com", "www.example.com", true),
        ("www.example.com", "example.com", false),
        ("ample.com", "example.com", false),
        ("example.com", "example.com.", false),
        ("example.com.", "example.com", false),
        ("example.com.", "example.com.", false),
        ("com", "example.com", false),
        ("com", "com", true),
        ("example", "example", true),
        ("localhost", "localhost", true),
        ("localhost", "app.localhost", false),
        ("compute.amazonaws.com", "example.compute.amazonaws.com", false),
        ("example.compute.amazonaws.com", "www.example.compute.amazonaws.com", false),
        ("amazonaws.com", "www.example.compute.amazonaws.com", false),
        ("amazonaws.com", "test.amazonaws.com", true),
        ("github.io", "me.github.io", false),
        ("me.github.io", "me.github.io", true),
        ("kobe.jp", "city.kobe.jp", false),
        ("city.kobe.jp", "www.city.kobe.jp", true),
        ("0.0.0.0", "0.0.0.0", false),
        ("0.1", "127.0.0.1", false),
        ("", "example.com", false),
        (".com", "example.com", false),
        ("EXAMPLE.com", "www.example.com", false),
    ] {
        assert_eq!(may_claim(rp_id, host, &rules()), allowed, "{rp_id} for {host}");
    }
}

fn related(body: &str, origin: &str) -> Result<bool, ErrorKind> {
    is_related(body.as_bytes(), &Origin::parse(origin).unwrap(), &rules()).map_err(|error| error.kind)
}

#[test]
fn a_listed_origin_is_related_whatever_its_url_looks_like() {
    let body = r#"{"later": [1], "origins": ["https:\/\/Example.COM\/path?q#f", "https://a.example.ac.jp:8443"]}"#;
    assert_eq!(related(body, "https://example.com"), Ok(true));
    assert_eq!(related(body, "https://a.example.ac.jp:8443"), Ok(true));
    assert_eq!(related(body, "https://a.example.ac.jp"), Ok(false));
    assert_eq!(related(body, "http://localhost"), Ok(false));
    assert_eq!(related(body, "https://www.example.com"), Ok(false));
    assert_eq!(related(r#"{"origins": []}"#, "https://example.com"), Ok(false));
}

#[test]
fn only_five_registrable_labels_are_looked_at_however_many_origins_they_have() {
    // shop.com and shop.jp have the same label, and an origin without a label does not count.
    let listed = [
        "https://shop.com",
        "https://shop.jp",
        "https://a.shop.ac.jp",
        "https://com",
        "no url",
        "https://127.0.0.1",
        "https://b.com",
        "https://c.com",
        "https://d.com",
        "https://e.com",
        "https://f.com",
        "https://shop.org",
    ];
    let body = std::format!("{{\"origins\": {}}}", serde_json::to_string(&listed).unwrap());
    for (origin, expected) in [
        ("https://shop.jp", true),
        ("https://e.com", true),
        ("https://f.com", false),
        ("https://shop.org", true),
        ("https://com", false),
        ("https://127.0.0.1", false),
    ] {
        assert_eq!(related(&body, origin), Ok(expected), "{origin}");
    }
}

#[test]
fn urls_and_labels_too_long_to_be_read_are_skipped() {
    let (path, label) = ("a".repeat(MAX_URL), "a".repeat(MAX_LABEL + 1));
    let body = std::format!(r#"{{"origins": ["https://b.com/{path}", "https://{label}.com", "https://c.com"]}}"#);
    assert_eq!(related(&body, "https://b.com"), Ok(false));
    assert_eq!(related(&body, &std::format!("https://{label}.com")), Ok(false));
    assert_eq!(related(&body, "https://c.com"), Ok(true));
}

#[test]
fn a_body_that_is_not_what_it_should_be_is_refused() {
    for (body, kind) in [
        ("", ErrorKind::Truncated),
        ("[]", ErrorKind::UnexpectedType),
        ("{}", ErrorKind::Missing),
        (r#"{"origins": "https://example.com"}"#, ErrorKind::UnexpectedType),
        (r#"{"origins": ["https://example.com", 1]}"#, ErrorKind::UnexpectedType),
        (r#"{"origins": ["https://example.com"], "origins": []}"#, ErrorKind::Duplicate),
        (r#"{"origins": ["https://example.com"]}]"#, ErrorKind::TrailingBytes),
    ] {
        assert_eq!(related(body, "https://example.com"), Err(kind), "{body}");
    }
}

#[test]
fn an_app_id_is_the_origin_or_a_url_under_its_registrable_domain() {
    for (app_id, origin, allowed) in [
        ("https://example.com/appid.json", "https://example.com", true),
        ("https://example.com/appid.json", "https://login.example.com:8443", true),
        ("https://a.example.com", "https://b.example.com", true),
        ("http://localhost:3000", "http://localhost:3000", true),
        ("https://localhost/a", "https://localhost", true),
        ("https://me.github.io/a", "https://me.github.io", true),
        ("https://me.github.io/a", "https://you.github.io", false),
        ("https://example.com.evil.org/", "https://example.com", false),
        ("https://com/", "https://example.com", false),
        ("http://example.com/appid.json", "https://example.com", false),
        ("https://192.0.2.1/", "https://192.0.2.1:80", false),
        ("example.com", "https://example.com", false),
        ("", "https://example.com", false),
    ] {
        assert_eq!(is_facet(app_id, &Origin::parse(origin).unwrap(), &rules()), allowed, "{app_id} for {origin}");
    }
}
