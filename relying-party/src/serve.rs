//! `keyfob-rp serve`.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use keyfob_core::verify::BackupEligibility;
use keyfob_relying_party::{
    roots,
    server::{self, ServerOptions, UserVerification},
    store::Sqlite,
    tenant::{self, Tenant},
};
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
};

use crate::connections;

/// The arguments of `serve`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Listen here. Port 0 takes any free port and prints it.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The database, an SQLite file. It is created if it does not exist.
    #[arg(long, value_name = "FILE", default_value = "keyfob-rp.sqlite")]
    database: PathBuf,
    /// A relying party to serve: its RP ID, and its origins if they are not https:// and the RP ID. May be given
    /// several times; a request that names none is for the first. By default: localhost and example.com.
    #[arg(long = "tenant", value_name = "RP_ID[=ORIGIN,…]", value_parser = Tenant::parse)]
    tenants: Vec<Tenant>,
    /// The relying parties and their policies, in a TOML file.
    #[arg(long = "tenants", value_name = "FILE", conflicts_with = "tenants")]
    tenant_file: Option<PathBuf>,
    /// How long a ceremony may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(i64).range(10..=3600))]
    timeout: i64,
    /// Close a connection when a request, or a part of it, does not come for so long, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = server::SILENCE.as_secs(), value_parser = clap::value_parser!(u64).range(1..=600))]
    silence: u64,
    /// How long after a sign-in keys may be added and deleted, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = server::RECENT, value_parser = clap::value_parser!(i64).range(10..=43_200))]
    recent: i64,
    /// How many requests a client may send in a minute; 0 for any number. Those of this machine are not counted.
    #[arg(long, value_name = "COUNT", default_value_t = server::RATE)]
    rate: u32,
    /// A proxy whose headers Forwarded or X-Forwarded-For and -Proto name the client. May be given several times. Those on
    /// this machine are trusted.
    #[arg(long = "trusted-proxy", value_name = "ADDRESS")]
    proxies: Vec<IpAddr>,
    /// Answer with the messages and codes of the Arculus FIDO2 server.
    #[arg(long)]
    arculus_compat: bool,
    /// Let anyone who knows an account's name add a key to it, as conformance tests require. Not for production.
    #[arg(long)]
    open_registration: bool,
    /// Answer a sign-in for a name without an account as if the account existed.
    #[arg(long)]
    hide_accounts: bool,
    /// A file with trusted certificates, in PEM or DER: an attestation whose certificate leads to none of them counts as
    /// none. May be given several times.
    #[arg(long = "attestation-root", value_name = "FILE")]
    attestation_roots: Vec<PathBuf>,
    /// Register only keys with an attestation by a trusted manufacturer.
    #[arg(long, requires = "attestation_roots")]
    require_attestation: bool,
    /// How much user verification is asked for at least. Requests can ask for more, not for less.
    #[arg(long, value_name = "LEVEL", default_value = "preferred", value_parser = PossibleValuesParser::new(UserVerification::WORDS).try_map(level))]
    user_verification: UserVerification,
    /// Accept a signature counter that does not increase. Synchronised passkeys have such a counter, but cloned keys
    /// too.
    #[arg(long)]
    accept_falling_counters: bool,
    /// Accept a change of a key's backup eligibility, which in the standard does not change.
    #[arg(long)]
    accept_changing_backup_eligibility: bool,
    /// Do not log requests.
    #[arg(long)]
    quiet: bool,
}

/// The level of that name.
fn level(word: String) -> Result<UserVerification, String> {
    UserVerification::named(&word).ok_or(word)
}

/// Serves until it is stopped.
///
/// # Errors
/// A message for the user, in one line.
pub fn run(arguments: Arguments) -> Result<(), String> {
    runtime()?.block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> Result<(), String> {
    let mut roots = Vec::new();
    for file in &arguments.attestation_roots {
        roots.extend(roots::read(file)?);
    }
    let mut tenants = match &arguments.tenant_file {
        Some(file) => tenant::read(file)?,
        None => arguments.tenants,
    };
    let by_model = tenants.iter().find(|tenant| !tenant.policy.allowed_models.is_empty());
    if let Some(tenant) = by_model.filter(|_| roots.is_empty()) {
        return Err(format!("tenant {}: allowed-aaguids takes an --attestation-root that proves them", tenant.rp_id));
    }
    let storage = Sqlite::open(&arguments.database)
        .map_err(|error| format!("cannot use the database {}: {error}", arguments.database.display()))?;
    let (listener, address) = listen(arguments.listen).await?;
    if tenants.is_empty() {
        tenants = vec![Tenant::localhost(address.port()), Tenant::new("example.com")];
    }
    let names: Vec<&str> = tenants.iter().map(|tenant| tenant.rp_id.as_str()).collect();
    println!("Serving {} at http://localhost:{}. Stop with Ctrl-C.", names.join(", "), address.port());

    let mut options = ServerOptions::new(tenants);
    options.timeout = arguments.timeout;
    options.silence = Duration::from_secs(arguments.silence);
    options.recent = arguments.recent;
    options.rate = arguments.rate;
    options.proxies = arguments.proxies;
    options.arculus = arguments.arculus_compat;
    options.open_registration = arguments.open_registration;
    options.hide_accounts = arguments.hide_accounts;
    options.user_verification = arguments.user_verification;
    options.attestation_roots = roots;
    options.policy.accept_none = !arguments.require_attestation;
    options.policy.accept_self = !arguments.require_attestation;
    options.policy.accept_falling_counter = arguments.accept_falling_counters;
    if arguments.accept_changing_backup_eligibility {
        options.policy.backup_eligibility = BackupEligibility::MayChange;
    }
    options.log = !arguments.quiet;
    let router = server::router(Box::new(storage), options, server::system_clock())
        .await
        .map_err(|error| format!("the database does not work: {error}"))?;
    connections::serve(listener, router, Duration::from_secs(arguments.silence), stopped()).await;
    Ok(())
}

/// Opens the listening socket.
///
/// # Errors
/// A message for the user, in one line.
pub async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), String> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| format!("cannot listen on {address}: {}", plain(&error)))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    Ok((listener, address))
}

/// The threads of the server.
///
/// # Errors
/// A message for the user, in one line.
pub fn runtime() -> Result<Runtime, String> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| format!("no threads: {error}"))
}

/// Waits for Ctrl-C or the signal of a service manager. The server then finishes the requests that have begun.
pub async fn stopped() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    if let Ok(mut terminated) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = interrupted => {}
            _ = terminated.recv() => {}
        }
        return;
    }
    let _ = interrupted.await;
}

/// An I/O error without the operating system's number.
fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is taken by another program".into(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".into(),
        io::ErrorKind::PermissionDenied => "no permission; ports under 1024 need it".into(),
        _ => error.to_string(),
    }
}
