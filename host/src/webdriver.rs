//! `keyfob webdriver`: the virtual authenticators of WebDriver (WebAuthn L3 §11), for every browser.

use std::{ffi::OsString, net::SocketAddr, process::ExitCode};

#[cfg(target_os = "linux")]
mod capabilities;
#[cfg(target_os = "linux")]
mod configuration;
#[cfg(target_os = "linux")]
mod credential;
#[cfg(target_os = "linux")]
mod driver;
#[cfg(target_os = "linux")]
mod keys;
#[cfg(target_os = "linux")]
mod parameters;
#[cfg(target_os = "linux")]
mod problem;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod sessions;

/// Where it listens, and what is behind it.
#[derive(clap::Args)]
pub struct Arguments {
    /// Answer WebDriver requests at this address of the loopback interface, for example 127.0.0.1:4444.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// Start this driver, geckodriver or chromedriver, and pass all other requests on to it. The browsers that it starts
    /// see the keys.
    #[arg(long, value_name = "PROGRAM")]
    driver: Option<OsString>,
    /// The name of the browser in the answer to a new session, in place of the driver's. Selenium for Python refuses its
    /// calls for virtual authenticators where the name is firefox.
    #[arg(long, value_name = "NAME")]
    browser_name: Option<String>,
    /// With --driver, more arguments for it. Without, a command that sees the keys, with this server's URL in
    /// KEYFOB_WEBDRIVER; keyfob ends when it ends.
    #[arg(last = true, value_name = "ARGUMENTS")]
    rest: Vec<OsString>,
}

/// Serves until the driver or the command ends, or until a signal.
///
/// # Errors
/// What the user has to know, in a line.
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    #[cfg(target_os = "linux")]
    return server::run(arguments);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (&arguments.listen, &arguments.driver, &arguments.browser_name, &arguments.rest);
        Err("`keyfob webdriver` works on Linux only".into())
    }
}
