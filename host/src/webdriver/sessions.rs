//! The sessions, and the virtual authenticators of each.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use super::{
    configuration::Configuration,
    credential,
    keys::{Key, Ports},
    parameters::{Parameters, decode, required},
    problem::Problem,
};

/// The Virtual Authenticator Database (WebAuthn L3 §11.2), one for each session.
#[derive(Clone)]
pub struct Sessions {
    ports: Ports,
    sessions: Arc<Mutex<BTreeMap<String, Authenticators>>>,
}

type Authenticators = BTreeMap<String, Authenticator>;

struct Authenticator {
    configuration: Configuration,
    key: Key,
}

/// What the paths of all commands begin with, behind `webauthn/`.
const AUTHENTICATOR: &str = "authenticator";

/// A command of WebAuthn L3 §11.3 to §11.10, by its method and the rest of its path.
#[derive(Clone, Copy)]
enum Command<'a> {
    AddVirtualAuthenticator,
    RemoveVirtualAuthenticator(&'a str),
    AddCredential(&'a str),
    GetCredentials(&'a str),
    RemoveCredential(&'a str, &'a str),
    RemoveAllCredentials(&'a str),
    SetUserVerified(&'a str),
    SetCredentialProperties(&'a str, &'a str),
}

impl<'a> Command<'a> {
    /// # Errors
    /// unknown method, unknown command.
    fn read(method: &str, path: &str, rest: &[&'a str]) -> Result<Self, Problem> {
        Ok(match (method, rest) {
            ("POST", [AUTHENTICATOR]) => Self::AddVirtualAuthenticator,
            ("DELETE", [AUTHENTICATOR, id]) => Self::RemoveVirtualAuthenticator(id),
            ("POST", [AUTHENTICATOR, id, "credential"]) => Self::AddCredential(id),
            ("GET", [AUTHENTICATOR, id, "credentials"]) => Self::GetCredentials(id),
            ("DELETE", [AUTHENTICATOR, id, "credentials"]) => Self::RemoveAllCredentials(id),
            ("DELETE", [AUTHENTICATOR, id, "credentials", credential]) => Self::RemoveCredential(id, credential),
            ("POST", [AUTHENTICATOR, id, "credentials", credential, "props"]) => {
                Self::SetCredentialProperties(id, credential)
            }
            ("POST", [AUTHENTICATOR, id, "uv"]) => Self::SetUserVerified(id),
            (
                _,
                [AUTHENTICATOR]
                | [AUTHENTICATOR, _]
                | [AUTHENTICATOR, _, "credential" | "credentials" | "uv"]
                | [AUTHENTICATOR, _, "credentials", _]
                | [AUTHENTICATOR, _, "credentials", _, "props"],
            ) => return Err(Problem::unknown_method(method, path)),
            _ => return Err(Problem::unknown_command(path)),
        })
    }

    /// Whether it has parameters: those that are posted have.
    const fn has_parameters(self) -> bool {
        matches!(
            self,
            Self::AddVirtualAuthenticator
                | Self::AddCredential(_)
                | Self::SetUserVerified(_)
                | Self::SetCredentialProperties(..)
        )
    }
}

impl Sessions {
    pub fn new(ports: Ports) -> Self {
        Self { ports, sessions: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Authenticators>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session has begun.
    pub fn begin(&self, session: &str) {
        self.lock().insert(session.to_owned(), Authenticators::new());
    }

    /// A session has ended: its keys are unplugged. Returns whether there was one.
    pub fn end(&self, session: &str) -> bool {
        // Bound to a name: unplugging takes a while, and others have the lock meanwhile.
        let ended = self.lock().remove(session);
        ended.is_some()
    }

    /// The ids of all sessions.
    pub fn ids(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Carries out the command at `path`, which ends with `rest` behind `webauthn/`.
    ///
    /// # Errors
    /// Those of the command.
    pub fn command(
        &self,
        method: &str,
        path: &str,
        session: &str,
        rest: &[&str],
        body: &[u8],
    ) -> Result<Value, Problem> {
        let command = Command::read(method, path, rest)?;
        let mut sessions = self.lock();
        let authenticators = sessions.get_mut(session).ok_or_else(|| Problem::invalid_session_id(session))?;
        let parameters = if command.has_parameters() { Parameters::read(body)? } else { Parameters::default() };
        match command {
            Command::AddVirtualAuthenticator => {
                let authenticator = self.plug_in(&parameters)?;
                let id = new_id()?;
                authenticators.insert(id.clone(), authenticator);
                return Ok(id.into());
            }
            Command::RemoveVirtualAuthenticator(id) => {
                let removed = authenticators.remove(id).ok_or_else(|| unknown(id))?;
                drop(sessions); // unplugging takes a while
                drop(removed);
                return Ok(Value::Null);
            }
            _ => {}
        }
        carry_out(command, &parameters, authenticators)
    }

    fn plug_in(&self, parameters: &Parameters) -> Result<Authenticator, Problem> {
        let configuration = Configuration::read(parameters)?;
        if configuration.transport == "internal" {
            eprintln!(
                "keyfob: transport internal: the browser sees a USB key, and no page finds it that asks for a platform \
                 authenticator."
            );
        }
        let key = self.ports.plug_in(configuration.options())?;
        let (eligibility, state) = configuration.default_backup;
        key.control.set_default_backup(eligibility, state);
        Ok(Authenticator { configuration, key })
    }
}

/// A command to an authenticator that is there.
fn carry_out(command: Command<'_>, parameters: &Parameters, authenticators: &Authenticators) -> Result<Value, Problem> {
    let found = |id: &str| authenticators.get(id).ok_or_else(|| unknown(id));
    let with_credentials = |id: &str| {
        let found = found(id)?;
        if found.configuration.is_u2f() {
            let why = "the credentials of a key of protocol ctap1/u2f are in their ids alone, and it cannot list them";
            return Err(Problem::unsupported_operation(why));
        }
        Ok(found)
    };
    match command {
        Command::AddVirtualAuthenticator | Command::RemoveVirtualAuthenticator(_) => {}
        Command::AddCredential(id) => {
            let found = with_credentials(id)?;
            credential::add(&found.key.control, &found.configuration, parameters)?;
        }
        Command::GetCredentials(id) => {
            let control = &with_credentials(id)?.key.control;
            let shown: Result<_, Problem> =
                control.credentials().iter().map(|held| credential::show(control, held)).collect();
            return shown.map(Value::Array);
        }
        Command::RemoveCredential(id, credential) => {
            with_credentials(id)?.key.control.remove(&credential_id(credential)?)?;
        }
        Command::RemoveAllCredentials(id) => with_credentials(id)?.key.control.remove_all()?,
        Command::SetUserVerified(id) => {
            let control = &found(id)?.key.control;
            control.set_user_verified(required("isUserVerified", parameters.boolean("isUserVerified")?)?);
        }
        Command::SetCredentialProperties(id, credential) => {
            let control = &with_credentials(id)?.key.control;
            credential::set_properties(control, &credential_id(credential)?, parameters)?;
        }
    }
    Ok(Value::Null)
}

fn unknown(authenticator: &str) -> Problem {
    Problem::invalid_argument(format!("there is no authenticator {authenticator}"))
}

/// The credential id of a path, in which Selenium leaves padding, some clients escaped.
fn credential_id(text: &str) -> Result<Vec<u8>, Problem> {
    let unescaped = text.replace("%3D", "=").replace("%3d", "=");
    decode(&unescaped).ok_or_else(|| Problem::invalid_argument(format!("a credential id is not base64url: {text}")))
}

/// An id of a session or an authenticator: 32 characters.
///
/// # Errors
/// unknown error: the system's random source failed.
pub fn new_id() -> Result<String, Problem> {
    let mut bytes = [0; 16];
    let failed = |error| Problem::unknown_error(format!("the system's random source failed: {error}"));
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
