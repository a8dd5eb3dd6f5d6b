//! What is measured: each operation once, for criterion and for the instruction counter.
#![allow(clippy::disallowed_methods)]

use std::process::ExitCode;

pub mod ceremonies;
pub mod commands;
pub mod lookups;
pub mod messages;

/// One thing to measure: prepared once, run many times.
pub struct Operation {
    /// Its name, as the tables have it.
    pub name: &'static str,
    /// Prepares the operation and returns what runs it.
    pub prepare: fn() -> Box<dyn FnMut()>,
}

/// Runs the operation that the first argument names as often as the second says. With one argument, lists the names.
pub fn run_one(mut arguments: impl Iterator<Item = String>, operations: &[&[Operation]]) -> ExitCode {
    let mut operations = operations.iter().copied().flatten();
    let (name, times) = (arguments.next(), arguments.next());
    let Some(times) = times else {
        operations.for_each(|operation| println!("{}", operation.name));
        return ExitCode::SUCCESS;
    };
    let operation = operations.find(|operation| name.as_deref() == Some(operation.name));
    let (Some(operation), Ok(times)) = (operation, times.parse::<u32>()) else {
        eprintln!("NAME TIMES");
        return ExitCode::FAILURE;
    };
    let mut run = (operation.prepare)();
    (0..times).for_each(|_| run());
    ExitCode::SUCCESS
}

/// Everything that is measured, but for [`commands::COMMANDS`] and [`lookups::LOOKUPS`].
pub const OPERATIONS: &[Operation] = &[
    Operation { name: "decode GetInfo", prepare: messages::decode_get_info },
    Operation { name: "decode makeCredential request", prepare: messages::decode_make_credential_request },
    Operation { name: "decode makeCredential response", prepare: messages::decode_make_credential_response },
    Operation { name: "decode getAssertion response", prepare: messages::decode_get_assertion_response },
    Operation { name: "encode small GetInfo", prepare: messages::encode_small_get_info },
    Operation { name: "encode makeCredential request", prepare: messages::encode_make_credential_request },
    Operation { name: "sign with ES256", prepare: ceremonies::sign },
    Operation { name: "sign with ES256, hedged", prepare: ceremonies::sign_hedged },
    Operation { name: "sign with ES256, hedged and checked", prepare: ceremonies::sign_checked },
    Operation { name: "key pair and two signatures", prepare: ceremonies::floor },
    Operation { name: "register and sign in, discoverable", prepare: ceremonies::discoverable },
    Operation { name: "register and sign in, wrapped", prepare: ceremonies::wrapped },
    Operation { name: "key agreement of a PIN token", prepare: ceremonies::pin_token_floor },
    Operation { name: "PIN token, both sides", prepare: ceremonies::pin_token },
    Operation { name: "answer GetInfo", prepare: ceremonies::own_get_info },
];
