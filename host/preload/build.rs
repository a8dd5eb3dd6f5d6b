//! Builds the library from `interpose/`, for `keyfob_preload::LIBRARY` to embed.
//!
//! Cargo has no stable way to embed one crate's product in another. The library has no dependencies, so one call of the
//! compiler builds it, without the standard library, and with what the linker of the target needs.

use std::{
    env,
    path::Path,
    process::{self, Command},
};

/// Where the layouts of `interpose/abi.rs` are right: 64-bit Linux with System V calls.
const MACHINES: [&str; 3] = ["x86_64", "aarch64", "riscv64"];

fn main() {
    println!("cargo::rerun-if-changed=interpose");
    println!("cargo::rustc-check-cfg=cfg(has_library)");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    if variable("CARGO_CFG_TARGET_OS") != "linux"
        || variable("CARGO_CFG_TARGET_POINTER_WIDTH") != "64"
        || !MACHINES.contains(&variable("CARGO_CFG_TARGET_ARCH").as_str())
    {
        return;
    }
    let library = Path::new(&variable("OUT_DIR")).join("libkeyfob_preload.so");
    let mut compiler = Command::new(variable("RUSTC"));
    compiler
        .args(["--edition", "2024", "--crate-name", "keyfob_preload", "--crate-type", "cdylib", "--cfg", "embedded"])
        .args(["-C", "panic=abort", "-C", "opt-level=s", "-C", "strip=symbols", "-C", "target-feature=-crt-static"])
        // What nothing defines is an error here, and not when a program loads the library.
        .args(["-C", "link-arg=-Wl,-z,defs"])
        .args(["--target", &variable("TARGET"), "interpose/lib.rs", "-o"])
        .arg(&library);
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        compiler.args(["-C", &format!("linker={linker}")]);
    }
    match compiler.status() {
        Ok(status) if status.success() => println!("cargo::rustc-cfg=has_library"),
        Ok(status) => fail(&format!("{compiler:?} ended with {status}")),
        Err(error) => fail(&format!("{compiler:?} cannot be started: {error}")),
    }
}

fn fail(why: &str) {
    println!("cargo::error={why}");
    process::exit(1);
}
