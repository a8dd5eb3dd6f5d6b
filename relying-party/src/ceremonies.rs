//! `keyfob-rp register`, `keyfob-rp sign-in` and `keyfob-rp backend`.

use std::net::SocketAddr;

use keyfob_relying_party::{
    backend,
    client::{self, Error, KeyChoice, Prover, Server, Who},
};
use serde_json::Value;

use crate::serve;

/// Where, who, and with what key.
#[derive(clap::Args)]
pub struct Arguments {
    /// The FIDO server: client-direct.
    #[arg(long, value_name = "URL", required_unless_present = "backend")]
    server: Option<String>,
    /// A backend before the FIDO server: backend-proxied.
    #[arg(long, value_name = "URL", conflicts_with = "server")]
    backend: Option<String>,
    /// The account's name. To sign in it may be left out: the key knows.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The relying party, where it is not the server's first.
    #[arg(long, value_name = "RP_ID")]
    rp_id: Option<String>,
    /// The origin that the client data names: by default https and the RP ID, or the server's own on this machine.
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// The key: in-process, card for one with what an Arculus card can do, or tcp:ADDRESS:PORT for one of `keyfob serve`.
    #[arg(long, value_name = "KEY", default_value = "in-process", value_parser = |text: &str| text.parse::<KeyChoice>())]
    key: KeyChoice,
    /// The key's PIN.
    #[arg(long, value_name = "PIN")]
    pin: Option<String>,
}

/// How to register.
#[derive(clap::Args)]
pub struct Register {
    #[command(flatten)]
    arguments: Arguments,
    /// Sign in with the new key as well: one in this process is gone afterwards.
    #[arg(long)]
    sign_in: bool,
}

/// Which ceremony: its function for either pattern.
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

/// Registers. Errors: what the user has to know, in a line.
pub fn register(register: Register) -> Result<(), String> {
    let arguments = register.arguments;
    if arguments.user.is_none() {
        return Err("an account needs a name: --user NAME".into());
    }
    let ceremonies: [[Run; 2]; 2] =
        [[client::register, client::register_through], [client::sign_in, client::sign_in_through]];
    arguments.run(if register.sign_in { &ceremonies } else { &ceremonies[..1] })
}

/// Signs in. Errors: what the user has to know, in a line.
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

/// Where the backend is, and what is behind it.
#[derive(clap::Args)]
pub struct Backend {
    /// The FIDO server.
    #[arg(long, value_name = "URL")]
    server: String,
    /// Listen here. Port 0 takes any free port and prints it.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Write no line about each request.
    #[arg(long)]
    quiet: bool,
}

/// Serves devices until it is told to stop. Errors: what the user has to know, in a line.
pub fn backend(arguments: Backend) -> Result<(), String> {
    let router = backend::router(&arguments.server, !arguments.quiet).map_err(|error| error.to_string())?;
    serve::runtime()?.block_on(async {
        let (listener, address) = serve::listen(arguments.listen).await?;
        println!("Serving devices at http://{address}, before {}. Stop with Ctrl-C.", arguments.server);
        serve::until_stopped(listener, router).await
    })
}
