//! Runs keyfob's benchmark operations with other libraries: `peers PEER OPERATION TIMES`. Used by `benches/peers/run`.
//!
//! All libraries get the same bytes. An operation passes its values to `black_box`, so that they are not optimised
//! away. Prints the heap allocations of one operation. Without arguments, lists the peers, their notes and their
//! operations.
#![allow(clippy::disallowed_methods)]

mod allocations;
mod authenticator;
mod ctap_types;
mod opensk;
mod p256;
mod passkey;
mod webauthn_authenticator;

use keyfob_benches::{OPERATIONS, Operation};

/// A published crate.
pub struct Peer {
    /// Its name in the registry.
    name: &'static str,
    /// What it does, and what it does not do although we do.
    note: &'static str,
    operations: &'static [Operation],
}

const DECODE_GET_INFO: &str = "decode GetInfo";
const DECODE_REQUEST: &str = "decode makeCredential request";
const DECODE_REGISTRATION: &str = "decode makeCredential response";
const DECODE_ASSERTION: &str = "decode getAssertion response";
const ENCODE_GET_INFO: &str = "encode small GetInfo";
const ENCODE_REQUEST: &str = "encode makeCredential request";
const DISCOVERABLE: &str = "register and sign in, discoverable";
const WITH_ALLOW_LIST: &str = "register and sign in, wrapped";
/// The P-256 operations of a ceremony alone, with the peer's version of the crate and number of signatures.
const FLOOR: &str = "key pair and two signatures";

const PEERS: &[Peer] = &[
    Peer {
        name: "keyfob",
        note: "every member, every list, authData, COSE key and statement; canonical form checked; packed self attestation",
        operations: OPERATIONS,
    },
    ctap_types::PEER,
    authenticator::PEER,
    passkey::PEER,
    webauthn_authenticator::PEER,
    opensk::PEER,
    p256::PEER,
];

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [peer, operation, times] = &arguments[..] else {
        for peer in PEERS {
            println!("{}\t{}", peer.name, peer.note);
            for operation in peer.operations {
                println!("{}\t{}\t", peer.name, operation.name);
            }
        }
        return Ok(());
    };
    let times: u64 = times.parse().map_err(|_| "peers PEER OPERATION TIMES")?;
    let peer = PEERS.iter().find(|known| known.name == peer).ok_or("no such peer")?;
    let operation = peer.operations.iter().find(|known| known.name == operation).ok_or("no such operation")?;
    let mut run = (operation.prepare)();
    let before = allocations::count();
    for _ in 0..times {
        run();
    }
    println!("{}", (allocations::count() - before) / times);
    Ok(())
}
