//! Passes the linker script. A path of ours in a flag of every crate would rebuild all of them.

fn main() {
    println!("cargo:rustc-link-arg-bins=-T{}/link.ld", env!("CARGO_MANIFEST_DIR"));
    println!("cargo:rerun-if-changed=link.ld");
}
