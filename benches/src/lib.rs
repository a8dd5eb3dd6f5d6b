//! The measured operations, shared by criterion and the instruction counter.
#![allow(clippy::disallowed_methods)]

use std::process::ExitCode;

#[cfg(feature = "aws-lc")]
pub mod aws_lc;
pub mod ceremonies;
pub mod commands;
pub mod lookups;
pub mod messages;
pub mod scale;

/// A measured operation. It is prepared once and run many times.
pub struct Operation {
    /// Its name in the tables.
    pub name: &'static str,
    /// Prepares the operation and returns a function that runs it.
    pub prepare: fn() -> Box<dyn FnMut()>,
}

/// Runs the operation with the name in the first argument as often as the second argument says. With one argument,
/// lists the names.
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

/// All measured operations except [`commands::COMMANDS`] and [`lookups::LOOKUPS`].
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
