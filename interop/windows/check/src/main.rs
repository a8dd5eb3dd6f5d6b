//! keyfob-windows against the stand-in for `webauthn.dll`, with each version of the API: `keyfob-windows-check LIBRARY`.
//! Without a library, the system's own is looked for: `keyfob-windows-check system`, or `missing`, which is content when
//! there is none.

mod ceremonies;
mod checks;
mod door;

use std::process::ExitCode;

use keyfob_windows::{Library, WindowsClient};

use door::Door;

fn main() -> ExitCode {
    let Some(library) = std::env::args().nth(1) else {
        eprintln!("LIBRARY, system or missing");
        return ExitCode::from(2);
    };
    if library == "missing" {
        return missing();
    }
    let mut failures = 0;
    for api in 1..=9 {
        let mut passed = 0;
        for (name, check) in checks::ALL {
            let door = Door::new(&library, api);
            let result = check(&door).and_then(|()| door.nothing_is_left());
            match result {
                Ok(()) => passed += 1,
                Err(error) => {
                    println!("FAILED, version {api}: {name}: {error}");
                    failures += 1;
                }
            }
        }
        println!("version {api} of the API: {passed} of {} checks", checks::ALL.len());
    }
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// There is no library, and the error says so.
fn missing() -> ExitCode {
    let said = Library::load().map_or_else(|error| error.to_string(), |_| "it is there".to_owned());
    println!("without the library: {said}");
    let is_told = ["webauthn.dll cannot be opened; it came with Windows 10", "webauthn.dll is part of Windows"];
    let told = !WindowsClient::is_available() && is_told.iter().any(|begin| said.starts_with(begin));
    if told { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
