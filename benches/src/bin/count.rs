//! Runs one operation a number of times, to be counted: `count NAME TIMES`. Without arguments, lists the names.
#![allow(clippy::disallowed_methods)]

use keyfob_benches::OPERATIONS;

fn main() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        for operation in OPERATIONS {
            println!("{}", operation.name);
        }
        return Ok(());
    };
    let times: u32 = arguments.next().and_then(|times| times.parse().ok()).ok_or("count NAME TIMES")?;
    let operation = OPERATIONS.iter().find(|operation| operation.name == name).ok_or(format!("no {name}"))?;
    let mut run = (operation.prepare)();
    for _ in 0..times {
        run();
    }
    Ok(())
}
