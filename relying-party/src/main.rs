//! The `keyfob-rp` command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod ceremonies;
mod connections;
mod serve;

/// A server where people sign in with security keys, and clients for it.
#[derive(Parser)]
#[command(name = "keyfob-rp", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the REST interface and its page.
    Serve(serve::Arguments),
    /// Serves devices, in front of a FIDO server that only this backend can reach.
    Backend(ceremonies::Backend),
    /// Registers a virtual key with a server or through a backend.
    Register(ceremonies::Register),
    /// Signs in with a virtual key.
    SignIn(ceremonies::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Backend(arguments) => ceremonies::backend(arguments),
        Command::Register(arguments) => ceremonies::register(arguments),
        Command::SignIn(arguments) => ceremonies::sign_in(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("keyfob-rp: {message}");
            ExitCode::FAILURE
        }
    }
}
