//! A registration and a sign-in on AWS-LC, compared in one run with their cryptography alone: key pair, signature,
//! loading the stored key, signature.
//!
//! Prints the shortest of many runs of each, and fails when the ceremonies take more than 1.15 times as long. To count
//! instructions, `aws-lc NAME TIMES` runs one of them and `aws-lc --operations` lists them. CI does not run this,
//! because it reads a clock and builds C.
#![allow(clippy::disallowed_methods)]

use std::{process::ExitCode, time::Instant};

use keyfob_benches::{Operation, aws_lc::floor, ceremonies, run_one};

const RUNS: u32 = 5000;
const LIMIT: f64 = 1.15;

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
    // In turn, so that all run under the same load of the machine.
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
