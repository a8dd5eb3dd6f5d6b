//! Passes the linker script to this crate only. In a flag for all crates, its path would cause a rebuild of all of
//! them.

fn main() {
    println!("cargo:rustc-link-arg-bins=-T{}/link.ld", env!("CARGO_MANIFEST_DIR"));
    println!("cargo:rerun-if-changed=link.ld");
}
