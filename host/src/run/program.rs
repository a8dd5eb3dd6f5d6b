//! What can be known about a program before it starts.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io::Read,
    os::unix::{ffi::OsStrExt, fs::MetadataExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

/// How much of a file is read: the ELF header, and the program headers behind it.
const HEAD: u64 = 4096;
/// How many interpreters of interpreters are looked at.
const DEPTH: usize = 4;

/// The program that a command names, as `execvp` looks for it.
pub fn find(command: &OsStr) -> Option<PathBuf> {
    if command.as_bytes().contains(&b'/') {
        return Some(command.into());
    }
    let is_program =
        |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(command)).find(is_program)
}

/// Why a program cannot load the library, if that can be seen in its file or its interpreter's.
pub fn obstacle(program: &Path) -> Option<String> {
    let mut program = program.to_path_buf();
    for _ in 0..DEPTH {
        let mut head = Vec::new();
        File::open(&program).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
        if let Some(line) = head.strip_prefix(b"#!") {
            let line = line.split(|byte| *byte == b'\n').next()?.trim_ascii();
            let interpreter = line.split(u8::is_ascii_whitespace).next()?;
            program = find(OsStr::from_bytes(interpreter))?;
            continue;
        }
        let why = rights(&program).or_else(|| elf(&head));
        return why.map(|why| format!("{} {why}", program.display()));
    }
    None
}

/// Whether the program runs with other rights than ours: then the loader ignores LD_PRELOAD.
fn rights(program: &Path) -> Option<&'static str> {
    let file = fs::metadata(program).ok()?;
    if file.mode() & 0o4000 != 0 && file.uid() != rustix::process::geteuid().as_raw() {
        return Some("is setuid");
    }
    if file.mode() & 0o2000 != 0 && file.gid() != rustix::process::getegid().as_raw() {
        return Some("is setgid");
    }
    let capabilities = rustix::fs::getxattr(program, "security.capability", &mut [0_u8; 64][..]);
    (capabilities.is_ok() && !rustix::process::geteuid().is_root()).then_some("has capabilities")
}

/// What keeps an ELF program from loading the library.
fn elf(head: &[u8]) -> Option<&'static str> {
    const MACHINE: u16 = if cfg!(target_arch = "x86_64") {
        62
    } else if cfg!(target_arch = "aarch64") {
        183
    } else {
        243
    };
    /// PT_INTERP: the program names a loader.
    const INTERPRETER: [u8; 4] = 3_u32.to_ne_bytes();
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let short = |at: usize| head.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes));
    if head.get(4) != Some(&2) || short(18) != Some(MACHINE) {
        return Some("is built for another kind of machine");
    }
    let offset = usize::try_from(u64::from_ne_bytes(*head.get(32..)?.first_chunk()?)).ok()?;
    let (size, count) = (usize::from(short(54)?), usize::from(short(56)?));
    let headers = head.get(offset..offset.checked_add(size.checked_mul(count)?)?)?;
    let is_dynamic = headers.chunks_exact(size.max(1)).any(|header| header.starts_with(&INTERPRETER));
    (!is_dynamic).then_some("is linked statically")
}
