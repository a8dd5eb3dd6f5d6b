//! Runs one operation a number of times, so that its instructions can be counted: `count NAME TIMES`. `count
//! --operations` and `count --commands` list the names; the operations include [`LOOKUPS`].
#![allow(clippy::disallowed_methods)]

use std::process::ExitCode;

use keyfob_benches::{OPERATIONS, commands::COMMANDS, lookups::LOOKUPS, run_one};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let commands = |name: &String| name == "--commands" || COMMANDS.iter().any(|command| command.name == name);
    let operations = if arguments.peek().is_some_and(commands) { &[COMMANDS][..] } else { &[OPERATIONS, LOOKUPS][..] };
    run_one(arguments, operations)
}
