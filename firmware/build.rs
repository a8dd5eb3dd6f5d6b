//! Passes the linker script to this crate only. In a flag for all crates, its path would cause a rebuild of all of
//! them. The script is copied beside the build, so that a build can be kept for a clone of the repository elsewhere.

use std::{env, fs, path::Path};

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("link.ld"), include_bytes!("link.ld")).expect("OUT_DIR can be written to");
    println!("cargo:rustc-link-search={out}");
    println!("cargo:rustc-link-arg-bins=-Tlink.ld");
    println!("cargo:rerun-if-changed=link.ld");
}
