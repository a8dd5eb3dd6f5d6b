//! The memory map of each board, and the runtime's linker script. The map is copied beside the build, so that a build can
//! be kept for a clone of the repository elsewhere.

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
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rerun-if-changed=../build.rs");
}
