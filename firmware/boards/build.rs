//! The memory map of each board, and the runtime's linker script. The map is copied beside the build, so that a build can
//! be kept for a clone of the repository elsewhere. A chip whose version of crypto-bigint leaks secret keys does not build:
//! docs/firmware.md.

use std::{env, fs, path::Path};

fn main() {
    let (folder, out) = (env::var("CARGO_MANIFEST_DIR"), env::var("OUT_DIR"));
    let (folder, out) = (folder.expect("cargo sets it"), out.expect("cargo sets it"));
    fs::copy(Path::new(&folder).join("memory.x"), Path::new(&out).join("memory.x")).expect("a map for each board");
    println!("cargo:rustc-link-search={out}");
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    if folder.ends_with("rp2040") {
        println!("cargo:rustc-link-arg-bins=-Tlink-rp.x"); // places the second boot stage
    }
    let lock = fs::read_to_string(Path::new(&folder).join("../Cargo.lock")).expect("the lock file of the boards");
    check_arithmetic(&env::var("TARGET").expect("cargo sets it"), &lock);
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rerun-if-changed=../Cargo.lock");
    println!("cargo:rerun-if-changed=../build.rs");
}

/// Refuses crypto-bigint up to 0.7.10 for chips with Thumb-1 only, where its time may depend on the secret key. Warns of
/// 0.7.11 for chips with Thumb-2, where stable Rust gets the slow code of Thumb-1.
fn check_arithmetic(target: &str, lock: &str) {
    let (_, entry) = lock.split_once("name = \"crypto-bigint\"\nversion = \"").expect("P-256 computes with it");
    let (version, _) = entry.split_once('"').expect("a lock file names a version");
    let numbers: Vec<u32> = version.split('.').filter_map(|number| number.parse().ok()).collect();
    let thumb1 = ["thumbv6m", "thumbv8m.base"].iter().any(|family| target.starts_with(family));
    if thumb1 && numbers < vec![0, 7, 11] {
        println!("cargo::error=crypto-bigint {version} is not constant-time on {target}: 0.7.11 or later is needed");
    } else if target.starts_with("thumb") && !thumb1 && numbers == [0, 7, 11] {
        println!("cargo::warning=crypto-bigint {version} takes 60 % more instructions on {target} than 0.7.10");
    }
}
