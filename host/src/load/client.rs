//! One client: what it does in each round, and how it goes on after an error.

use std::{sync::Arc, time::Duration};

use hyper::{Method, body::Bytes};
use keyfob_soft_authenticator::testing::{TestError, TestKey};
use serde_json::{Value, json};
use tokio::{task, time};

use super::{
    Pattern,
    http::{Connection, Target},
    report::{Failure, Kind, Step, Tally},
};

/// How long a client waits after its first error in a row. It waits twice as long after the next, up to 3.2 s.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the pause is doubled.
const DOUBLED: u32 = 5;

/// What all clients have in common.
pub struct Plan {
    pub target: Target,
    pub origin: String,
    pub seed: u64,
    pub pattern: Pattern,
    pub discoverable: bool,
    pub rp_id: Option<String>,
    /// How many rounds a client does.
    pub rounds: Option<u32>,
    /// Whether the clients end with the time, so that one that cannot register tries again.
    pub is_timed: bool,
    pub timeout: Duration,
    pub tally: Tally,
}

/// A user with a key and a browser.
pub struct Client {
    plan: Arc<Plan>,
    number: u32,
    key: TestKey,
    connection: Connection,
    /// How many accounts it has begun.
    accounts: u32,
    /// The account's name.
    name: String,
    /// Errors in a row.
    failures: u32,
}

impl Client {
    pub fn new(plan: &Arc<Plan>, number: u32, key: TestKey) -> Self {
        let connection = Connection::new(plan.clone());
        Self { plan: plan.clone(), number, key, connection, accounts: 0, name: String::new(), failures: 0 }
    }

    /// Does all rounds.
    pub async fn run(&mut self) {
        let rounds = self.plan.rounds.unwrap_or(u32::MAX);
        match self.plan.pattern {
            Pattern::SignIn => {
                loop {
                    let registered = self.register().await.map(|_| ());
                    if self.went(registered).await {
                        break;
                    }
                    if !self.plan.is_timed {
                        return; // without an account there is nothing to do
                    }
                    self.clear_key();
                }
                for _ in 0..rounds {
                    let signed_in = self.sign_in().await;
                    self.went(signed_in).await;
                }
            }
            Pattern::Churn => {
                for round in 0..rounds {
                    let churned = self.churn(round).await;
                    self.went(churned).await;
                }
            }
        }
    }

    /// Counts a failure and waits. Returns whether there was none.
    async fn went(&mut self, outcome: Result<(), Failure>) -> bool {
        let Err(failure) = outcome else {
            self.failures = 0;
            return true;
        };
        self.plan.tally.lock().failed(failure);
        time::sleep(PAUSE * (1 << self.failures.min(DOUBLED))).await;
        self.failures = self.failures.saturating_add(1);
        false
    }

    /// Registers the key for a new account. Returns the credential's id.
    async fn register(&mut self) -> Result<String, Failure> {
        self.connection.forget();
        self.name = format!("load-{:016x}-{}-{}", self.plan.seed, self.number, self.accounts);
        self.accounts = self.accounts.saturating_add(1);
        let resident_key = if self.plan.discoverable { "required" } else { "discouraged" };
        let mut body = json!({
            "username": self.name,
            "displayName": self.name,
            "attestation": "none",
            "authenticatorSelection": {
                "residentKey": resident_key,
                "requireResidentKey": self.plan.discoverable,
                "userVerification": "preferred",
            },
        });
        self.name_relying_party(&mut body);
        let (options, _) = self.connection.post(Step::AttestationOptions, &body).await?;
        let credential = self.browse(Step::Create, options).await?;
        self.connection.post(Step::AttestationResult, &credential).await?;
        self.plan.tally.lock().registrations += 1;
        Ok(credential["id"].as_str().unwrap_or_default().to_owned())
    }

    /// Removes the discoverable credentials of registrations that have failed: no account has them, and the key has room
    /// for few.
    fn clear_key(&self) {
        let held = self.key.credentials();
        let dead = held.iter().filter(|held| held.is_resident_credential);
        let removed = dead.filter(|held| self.key.remove(&held.credential_id).is_ok()).count();
        self.plan.tally.lock().cleared += u64::try_from(removed).unwrap_or(u64::MAX);
    }

    async fn sign_in(&mut self) -> Result<(), Failure> {
        let mut body = json!({ "userVerification": "preferred" });
        if !self.plan.discoverable {
            body["username"] = self.name.as_str().into();
        }
        self.name_relying_party(&mut body);
        let (options, _) = self.connection.post(Step::AssertionOptions, &body).await?;
        let credential = self.browse(Step::Get, options).await?;
        self.connection.post(Step::AssertionResult, &credential).await?;
        self.plan.tally.lock().sign_ins += 1;
        Ok(())
    }

    async fn churn(&mut self, round: u32) -> Result<(), Failure> {
        if round > 0 {
            let (seed, number) = (self.plan.seed, self.number);
            self.key = super::key(seed, number, round).map_err(|why| Failure::new(Step::Create, Kind::Key, why))?;
        }
        let id = self.register().await?;
        self.sign_in().await?;
        if !self.plan.tally.lock().deletes {
            return Ok(());
        }
        let path = format!("/account/credentials/{id}");
        match self.connection.request(Step::Delete, Method::DELETE, &path, Bytes::new()).await {
            Ok(_) => self.plan.tally.lock().deletions += 1,
            // It has no such path, or not this method.
            Err(Failure { http: Some(404 | 405 | 501), kind: Kind::Foreign | Kind::ServerError, .. }) => {
                self.plan.tally.lock().deletes = false;
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    fn name_relying_party(&self, body: &mut Value) {
        if let Some(rp_id) = &self.plan.rp_id {
            body["rpId"] = rp_id.as_str().into();
        }
    }

    /// Does what the browser and the key do between the two requests, on a thread for keys.
    async fn browse(&self, step: Step, options: Bytes) -> Result<Value, Failure> {
        let (key, plan) = (self.key.clone(), self.plan.clone());
        let computed = task::spawn_blocking(move || {
            let browser = key.browser(&plan.origin);
            let start = std::time::Instant::now();
            let response = match step {
                Step::Create => browser.create(&options),
                _ => browser.get(&options),
            };
            key.clear_history();
            plan.tally.lock().took(step, start.elapsed());
            response
        });
        let failed = |kind, why: String| Failure::new(step, kind, why);
        let response = computed.await.map_err(|error| failed(Kind::Key, error.to_string()))?;
        let response = response.map_err(|error| match error {
            TestError::Options(_) => failed(Kind::Options, error.to_string()),
            _ => failed(Kind::Key, format!("the page {}: {error}", self.plan.origin)),
        })?;
        let mut credential: Value =
            serde_json::from_str(&response).map_err(|error| failed(Kind::Key, error.to_string()))?;
        // The name of the member in the conformance tools' interface.
        credential["getClientExtensionResults"] = credential["clientExtensionResults"].clone();
        Ok(credential)
    }
}
