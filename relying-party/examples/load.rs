//! Measures the ceremonies per second of a server on this machine, including clients and keys, with a fixed number of
//! ceremonies.
//!
//! ```text
//! keyfob-rp serve --quiet --listen 127.0.0.1:8080 --database /tmp/load.sqlite
//! cargo run --release -p keyfob-relying-party --example load -- http://127.0.0.1:8080 4 250
//! ```
//!
//! Each of CLIENTS clients does this ROUNDS times: it registers a new account with its own key and signs in to it.

use std::{env, process::ExitCode, thread, time::Instant};

use keyfob_relying_party::client::{self, Error, KeyChoice, Server, Who};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    let [_, url, clients, rounds] = arguments.as_slice() else { return usage() };
    let (Ok(clients @ 1..=64), Ok(rounds @ 1..=100_000)) = (clients.parse::<u32>(), rounds.parse::<u32>()) else {
        return usage();
    };
    let begin = Instant::now();
    let failed = thread::scope(|scope| {
        let running: Vec<_> = (0..clients).map(|client| scope.spawn(move || run(url, client, rounds))).collect();
        running.into_iter().filter_map(|client| client.join().ok()?.err()).next()
    });
    if let Some(error) = failed {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let ceremonies = f64::from(clients) * f64::from(rounds) * 2.0;
    let seconds = begin.elapsed().as_secs_f64();
    println!("{ceremonies} ceremonies in {seconds:.1} s: {:.0} a second", ceremonies / seconds);
    ExitCode::SUCCESS
}

fn run(url: &str, client: u32, rounds: u32) -> Result<(), Error> {
    client::with_key(&KeyChoice::InProcess, None, |key| {
        let mut server = Server::new(url)?;
        for round in 0..rounds {
            let name = format!("load {} {client} {round}", std::process::id());
            let who = Who { name: Some(&name), rp_id: None, origin: None };
            client::register(&mut server, key, &who)?;
            client::sign_in(&mut server, key, &who)?;
        }
        Ok(())
    })
}

fn usage() -> ExitCode {
    eprintln!("usage: load URL CLIENTS ROUNDS, with 1 to 64 clients on this machine");
    ExitCode::FAILURE
}
