//! The memory map of the emulated board, and its runtime's linker script.

use std::{env, fs, path::PathBuf};

/// mps2-an386: 4 MB at 0 for code, 4 MB of RAM, of which a chip's 128 KB are used.
const CORTEX_M: &str = "MEMORY { FLASH : ORIGIN = 0, LENGTH = 1M  RAM : ORIGIN = 0x20000000, LENGTH = 128K }\n";
/// lm3s6965evb, with another processor: its memories.
const CORTEX_M0: &str = "MEMORY { FLASH : ORIGIN = 0, LENGTH = 256K  RAM : ORIGIN = 0x20000000, LENGTH = 64K }\n";
/// mps2-an505: its secure memories.
const CORTEX_M33: &str =
    "MEMORY { FLASH : ORIGIN = 0x10000000, LENGTH = 1M  RAM : ORIGIN = 0x38000000, LENGTH = 128K }\n";
/// virt: RAM from 0x80000000 on.
const RISC_V: &str = r#"
MEMORY { FLASH : ORIGIN = 0x80000000, LENGTH = 1M  RAM : ORIGIN = 0x80100000, LENGTH = 128K }
REGION_ALIAS("REGION_TEXT", FLASH);
REGION_ALIAS("REGION_RODATA", FLASH);
REGION_ALIAS("REGION_DATA", RAM);
REGION_ALIAS("REGION_BSS", RAM);
REGION_ALIAS("REGION_HEAP", RAM);
REGION_ALIAS("REGION_STACK", RAM);
"#;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let chip = env::var("KEYFOB_CHIP").unwrap_or("cortex-m4f".into());
    println!("cargo:rustc-check-cfg=cfg(chip, values(any()))");
    println!("cargo:rustc-cfg=chip=\"{chip}\"");
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it");
    let memory = match chip.as_str() {
        "riscv" => RISC_V,
        "cortex-m33" => CORTEX_M33,
        "cortex-m0" => CORTEX_M0,
        _ => CORTEX_M,
    };
    fs::write(out.join("memory.x"), memory).expect("a build folder");
    println!("cargo:rustc-link-search={}", out.display());
    if arch == "riscv32" {
        println!("cargo:rustc-link-arg-bins=-Tmemory.x");
    }
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rerun-if-env-changed=KEYFOB_CHIP");
    println!("cargo:rerun-if-changed=build.rs");
}
