//! A registration and a sign-in on AWS-LC, beside the cryptography alone in the same run: key pair, signature, loading the
//! stored key, signature.
//!
//! Prints the shortest of many runs of each, and fails when the ceremonies take more than 1.15 times as long. To be
//! counted: `aws-lc NAME TIMES` runs one of them, `aws-lc --operations` lists them. Nothing in CI runs this: it reads a
//! clock, and builds C.
#![allow(clippy::disallowed_methods)]

use std::{hint::black_box, process::ExitCode, time::Instant};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use keyfob_benches::{Operation, ceremonies, run_one};

const RUNS: u32 = 5000;
const LIMIT: f64 = 1.15;

/// AWS-LC's own calls, with its own stored form.
fn floor() -> Box<dyn FnMut()> {
    let rng = SystemRandom::new();
    let stored = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &rng).expect("a key");
    Box::new(move || {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        black_box(key.sign(&rng, black_box(&[1; 196]))).expect("a signature");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, stored.as_ref()).expect("the key");
        black_box(key.sign(&rng, black_box(&[1; 69]))).expect("a signature");
    })
}

const OPERATIONS: [Operation; 3] = [
    Operation { name: "AWS-LC: key pair and two signatures", prepare: floor },
    Operation { name: "AWS-LC: register and sign in, discoverable", prepare: ceremonies::discoverable },
    Operation { name: "AWS-LC: register and sign in, wrapped", prepare: ceremonies::wrapped },
];

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        return run_one(std::env::args().skip(1), &[&OPERATIONS]);
    }
    let mut operations = OPERATIONS.map(|operation| (operation.name, (operation.prepare)()));
    let mut shortest = [f64::INFINITY; 3];
    // In turn, so that all see the same machine.
    for _ in 0..RUNS {
        for ((_, run), shortest) in operations.iter_mut().zip(&mut shortest) {
            let start = Instant::now();
            run();
            *shortest = shortest.min(start.elapsed().as_secs_f64());
        }
    }
    let mut code = ExitCode::SUCCESS;
    for ((name, _), time) in operations.iter().zip(shortest) {
        let ratio = time / shortest[0];
        println!("{name:44} {:7.1} us   {ratio:.3}", time * 1e6);
        if ratio > LIMIT {
            code = ExitCode::FAILURE;
        }
    }
    code
}
