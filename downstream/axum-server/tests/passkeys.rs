//! What the server accepts and refuses, with a key that does what the test tells it.

use std::error::Error;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use downstream_axum_server::router;
use keyfob_soft_authenticator::testing::{Browser, CredentialProperties, Lie, TestKey};
use tower::ServiceExt;

const ORIGIN: &str = "https://login.example.org";

type Outcome = Result<(), Box<dyn Error>>;

/// A server, and a page of it in a browser that sees one key.
struct World {
    server: Router,
    key: TestKey,
    page: Browser,
}

impl World {
    fn new() -> Self {
        let key = TestKey::seeded(5);
        // The browser passes lies on, so that the server has to find them.
        Self { server: router("example.org", ORIGIN), page: key.browser(ORIGIN).credulous(), key }
    }

    async fn post(&self, path: &str, body: impl Into<String>) -> Result<(StatusCode, String), Box<dyn Error>> {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        let response = self.server.clone().oneshot(request.body(Body::from(body.into()))?).await?;
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 16).await?;
        Ok((status, String::from_utf8(body.to_vec())?))
    }

    async fn register(&self, name: &str) -> Result<(StatusCode, String), Box<dyn Error>> {
        let (_, options) = self.post("/register/begin", format!(r#"{{"name": "{name}"}}"#)).await?;
        self.post("/register/finish", self.page.create(options)?).await
    }

    async fn sign_in(&self) -> Result<(StatusCode, String), Box<dyn Error>> {
        let (_, options) = self.post("/sign-in/begin", "").await?;
        self.post("/sign-in/finish", self.page.get(options)?).await
    }
}

#[tokio::test]
async fn alice_registers_and_signs_in_twice() -> Outcome {
    let world = World::new();
    let alice = (StatusCode::OK, r#"{"name":"alice"}"#.to_owned());
    assert_eq!(world.register("alice").await?, alice);
    assert_eq!(world.sign_in().await?, alice);
    assert_eq!(world.sign_in().await?, alice);
    assert_eq!(world.key.credentials()[0].user_name.as_deref(), Some("alice"));
    Ok(())
}

#[tokio::test]
async fn lies_are_refused_with_their_reason() -> Outcome {
    let world = World::new();
    world.register("alice").await?;
    for (lie, reason) in [
        (Lie::BogusSignature, "signature"),
        (Lie::UserPresent(false), "present"),
        (Lie::UserVerified(false), "verified"),
        (Lie::BackupEligibility(true), "backup"),
        (Lie::RpId("example.com".into()), "RP ID"),
    ] {
        world.key.lie(lie.clone());
        let (status, answer) = world.sign_in().await?;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{lie:?}");
        assert!(answer.contains(reason), "{lie:?}: {answer}");
        world.key.tell_the_truth();
    }
    assert_eq!(world.sign_in().await?.0, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_cloned_key_is_found_by_its_counter() -> Outcome {
    let world = World::new();
    world.register("alice").await?;
    world.sign_in().await?;
    let id = world.key.credentials()[0].credential_id.clone();
    let back = CredentialProperties { sign_count: Some(0), ..CredentialProperties::default() };
    world.key.set_credential_properties(&id, back)?;
    let (status, answer) = world.sign_in().await?;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    assert!(answer.contains("counter"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_response_is_used_once() -> Outcome {
    let world = World::new();
    world.register("alice").await?;
    let (_, options) = world.post("/sign-in/begin", "").await?;
    let response = world.page.get(options)?;
    assert_eq!(world.post("/sign-in/finish", response.clone()).await?.0, StatusCode::OK);
    let again = world.post("/sign-in/finish", response).await?;
    assert_eq!(again, (StatusCode::BAD_REQUEST, "the challenge is not known".into()));
    Ok(())
}

#[tokio::test]
async fn a_user_who_declines_is_not_registered() -> Outcome {
    let world = World::new();
    world.key.set_user_consenting(false);
    assert!(world.register("alice").await.is_err());
    assert!(world.key.credentials().is_empty());
    Ok(())
}
