//! The `keyfob` command.
#![allow(clippy::disallowed_methods)]

use std::{
    fmt,
    io::{self, Write},
    process::{self, ExitCode},
};

use clap::{CommandFactory, Parser, Subcommand};

#[cfg(unix)]
mod client;
mod control;
mod demo;
mod key;
mod load;
#[cfg(unix)]
mod native_host;
mod notes;
mod pages;
mod run;
mod serve;
mod signals;
mod trace;
mod webdriver;

/// Security keys on a desk, and virtual ones.
#[derive(Parser)]
#[command(name = "keyfob", version, arg_required_else_help = true, max_term_width = 100)]
#[cfg_attr(unix, command(after_long_help = client::EXIT_CODES))]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Registers and signs in with a virtual key in this process, and shows each message.
    Demo(demo::Arguments),
    /// Loads a WebAuthn server with many clients, each with a virtual key.
    Load(Box<load::Arguments>),
    #[cfg(unix)]
    /// Answers the WebAuthn requests that the extension in host/chromium-extension hands on.
    NativeHost(native_host::Arguments),
    /// Runs a command that sees a virtual key as a HID device (Linux).
    Run(Box<run::Arguments>),
    /// Serves a virtual key that other programs can open.
    Serve(Box<serve::Arguments>),
    /// Answers WebDriver's commands for virtual authenticators, in front of geckodriver or chromedriver (Linux).
    Webdriver(webdriver::Arguments),
    /// Prints completions for a shell.
    Completions(pages::CompletionsArguments),
    /// Writes manual pages, one for each command.
    ManPages(pages::ManPagesArguments),
    #[cfg(unix)]
    #[command(flatten)]
    Client(Box<client::Command>),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Load(arguments) => load::run(*arguments),
        #[cfg(unix)]
        Command::NativeHost(arguments) => native_host::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Run(arguments) => run::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Webdriver(arguments) => webdriver::run(&arguments),
        Command::Completions(arguments) => {
            pages::completions(&arguments, Arguments::command());
            Ok(ExitCode::SUCCESS)
        }
        Command::ManPages(arguments) => pages::man_pages(&arguments, Arguments::command()).map(|()| ExitCode::SUCCESS),
        #[cfg(unix)]
        Command::Client(command) => return command.run(),
    };
    match result {
        Ok(code) => code,
        Err(message) => {
            warn(format_args!("{message}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to the standard output. When nobody reads any more, the program is done, with success: a failure, what
/// nobody can print again, and what is said while there are sockets or folders to remove go through [`write_line`]. When
/// the line cannot be written, the program has failed.
fn say(line: fmt::Arguments<'_>) {
    match write_line(line) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(0),
        Err(error) => {
            warn(format_args!("cannot write to the standard output: {error}"));
            process::exit(1);
        }
    }
}

/// Says where something is served, to whoever reads: if nobody does, it is served all the same, as it is when the reader
/// goes later.
///
/// # Errors
/// The line cannot be written, in a line.
fn announce(line: fmt::Arguments<'_>) -> Result<(), String> {
    match write_line(line) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to the standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Writes a line to the standard error, if anybody reads it.
fn warn(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "keyfob: {line}");
}

/// Writes a line to the standard output.
///
/// # Errors
/// Nobody reads, or it cannot be written.
fn write_line(line: fmt::Arguments<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
