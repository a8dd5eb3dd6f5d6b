//! `keyfob-rp register`, `keyfob-rp sign-in` and `keyfob-rp backend`.

use std::net::SocketAddr;

use keyfob_relying_party::{
    backend,
    client::{self, Error, KeyChoice, Prover, Server, Who},
    server,
};
use serde_json::Value;

use crate::{connections, serve};

/// The server, the account and the key.
#[derive(clap::Args)]
pub struct Arguments {
    /// The FIDO server, for the client-direct pattern.
    #[arg(long, value_name = "URL", required_unless_present = "backend")]
    server: Option<String>,
    /// A backend in front of the FIDO server, for the backend-proxied pattern.
    #[arg(long, value_name = "URL", conflicts_with = "server")]
    backend: Option<String>,
    /// The account's name. It may be left out for a sign-in, because a discoverable credential names the account.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The relying party. By default, the server's first.
    #[arg(long, value_name = "RP_ID")]
    rp_id: Option<String>,
    /// The origin in the client data. By default https:// and the RP ID, or the server's own origin if it runs on this
    /// machine.
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// The key: in-process; card, which has the capabilities of an Arculus card; or tcp:ADDRESS:PORT of `keyfob serve`.
    #[arg(long, value_name = "KEY", default_value = "in-process", value_parser = |text: &str| text.parse::<KeyChoice>())]
    key: KeyChoice,
    /// The key's PIN.
    #[arg(long, value_name = "PIN")]
    pin: Option<String>,
}

/// The arguments of `register`.
#[derive(clap::Args)]
pub struct Register {
    #[command(flatten)]
    arguments: Arguments,
    /// Also sign in with the new key. An in-process key exists only until this command ends.
    #[arg(long)]
    sign_in: bool,
}

/// A function that performs a ceremony, in one of the two patterns.
type Run = fn(&mut Server, &mut dyn Prover, &Who<'_>) -> Result<Value, Error>;

impl Arguments {
    fn run(self, ceremonies: &[[Run; 2]]) -> Result<(), String> {
        let through = self.backend.is_some();
        let url = self.backend.or(self.server).unwrap_or_default();
        let who = Who { name: self.user.as_deref(), rp_id: self.rp_id.as_deref(), origin: self.origin.as_deref() };
        let mut server = Server::new(&url).map_err(|error| error.to_string())?;
        let done = client::with_key(&self.key, self.pin, |key| {
            for [direct, proxied] in ceremonies {
                let answer = if through { proxied } else { direct }(&mut server, key, &who)?;
                println!("{answer:#}");
            }
            Ok(())
        });
        done.map_err(|error| error.to_string())
    }
}

/// Runs `keyfob-rp register`.
///
/// # Errors
/// A message for the user, in one line.
pub fn register(register: Register) -> Result<(), String> {
    let arguments = register.arguments;
    if arguments.user.is_none() {
        return Err("an account needs a name: --user NAME".into());
    }
    let ceremonies: [[Run; 2]; 2] =
        [[client::register, client::register_through], [client::sign_in, client::sign_in_through]];
    arguments.run(if register.sign_in { &ceremonies } else { &ceremonies[..1] })
}

/// Runs `keyfob-rp sign-in`.
///
/// # Errors
/// A message for the user, in one line.
pub fn sign_in(arguments: Arguments) -> Result<(), String> {
    if !matches!(arguments.key, KeyChoice::Tcp(_)) {
        return Err(
            "a key in this process is new and registered nowhere: name one with --key tcp:ADDRESS:PORT, or use \
            register --sign-in"
                .into(),
        );
    }
    arguments.run(&[[client::sign_in, client::sign_in_through]])
}

/// The arguments of `backend`.
#[derive(clap::Args)]
pub struct Backend {
    /// The FIDO server.
    #[arg(long, value_name = "URL")]
    server: String,
    /// Listen here. Port 0 takes any free port and prints it.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Do not log requests.
    #[arg(long)]
    quiet: bool,
}

/// Runs `keyfob-rp backend` until it is stopped.
///
/// # Errors
/// A message for the user, in one line.
pub fn backend(arguments: Backend) -> Result<(), String> {
    let router = backend::router(&arguments.server, !arguments.quiet).map_err(|error| error.to_string())?;
    serve::runtime()?.block_on(async {
        let (listener, address) = serve::listen(arguments.listen).await?;
        println!("Serving devices at http://{address}, before {}. Stop with Ctrl-C.", arguments.server);
        connections::serve(listener, router, server::SILENCE, serve::stopped()).await;
        Ok(())
    })
}
