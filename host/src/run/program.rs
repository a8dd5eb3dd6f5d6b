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
    let ours = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let capabilities = rustix::fs::getxattr(program, "security.capability", &mut [0_u8; 64][..]).is_ok();
    other_rights(file.mode(), (file.uid(), file.gid()), capabilities, ours)
}

/// The rights of a file with this mode, owner and group, for a process with these ids.
const fn other_rights(mode: u32, file: (u32, u32), capabilities: bool, ours: (u32, u32)) -> Option<&'static str> {
    if mode & 0o4000 != 0 && file.0 != ours.0 {
        Some("is setuid")
    } else if mode & 0o2000 != 0 && file.1 != ours.1 {
        Some("is setgid")
    } else if capabilities && ours.0 != 0 {
        Some("has capabilities")
    } else {
        None
    }
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
    if *head.get(4)? != 2 || short(18)? != MACHINE {
        return Some("is built for another kind of machine");
    }
    let offset = usize::try_from(u64::from_ne_bytes(*head.get(32..)?.first_chunk()?)).ok()?;
    let (size, count) = (usize::from(short(54)?), usize::from(short(56)?));
    let headers = head.get(offset..offset.checked_add(size.checked_mul(count)?)?)?;
    let is_dynamic = headers.chunks_exact(size.max(1)).any(|header| header.starts_with(&INTERPRETER));
    (!is_dynamic).then_some("is linked statically")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A file in a folder of its own, which goes with the folder.
    fn file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (folder, path)
    }

    fn why(content: &[u8]) -> Option<String> {
        let (_folder, path) = file(content);
        let why = obstacle(&path)?;
        Some(why.strip_prefix(&path.display().to_string()).unwrap_or(&why).to_owned())
    }

    #[test]
    fn a_program_without_loader_or_for_another_machine_is_told_from_others() {
        let this = fs::read(env::current_exe().unwrap()).unwrap();
        assert_eq!(why(&this), None);
        let mut linked_statically = this.clone();
        // No program headers: none of them names a loader.
        linked_statically[56..58].copy_from_slice(&[0, 0]);
        assert_eq!(why(&linked_statically).as_deref(), Some(" is linked statically"));
        let mut small = this.clone();
        small[4] = 1;
        assert_eq!(why(&small).as_deref(), Some(" is built for another kind of machine"));
        let mut other = this;
        other[18..20].copy_from_slice(&8_u16.to_ne_bytes()); // MIPS
        assert_eq!(why(&other).as_deref(), Some(" is built for another kind of machine"));
        for nothing in [&b""[..], b"\x7fELF", &[0; 64]] {
            assert_eq!(why(nothing), None, "it is not known");
        }
    }

    #[test]
    fn a_script_is_as_its_interpreter() {
        let (_folder, path) = file(b"\x7fELF\x01");
        let script = format!("#!{}\necho\n", path.display());
        let expected = format!("{} is built for another kind of machine", path.display());
        assert_eq!(why(script.as_bytes()), Some(expected.clone()));
        assert_eq!(why(format!("#! {} -e", path.display()).as_bytes()), Some(expected));
        assert_eq!(why(b"#!/bin/sh\n"), None);
        assert_eq!(why(b"#!"), None);
        assert_eq!(why(b"#!/there/is/none\n"), None);
    }

    #[test]
    fn other_rights_are_those_that_the_caller_does_not_have() {
        let ours = (1000, 1000);
        assert_eq!(other_rights(0o755, (0, 0), false, ours), None);
        assert_eq!(other_rights(0o4755, (0, 0), false, ours), Some("is setuid"));
        assert_eq!(other_rights(0o2755, (0, 104), false, ours), Some("is setgid"));
        assert_eq!(other_rights(0o755, (0, 0), true, ours), Some("has capabilities"));
        assert_eq!(other_rights(0o4755, (0, 0), true, (0, 0)), None, "root gains nothing");
        assert_eq!(other_rights(0o2755, (0, 104), false, (0, 0)), Some("is setgid"), "but it changes its group");
        assert_eq!(other_rights(0o6755, (1000, 1000), false, ours), None);
    }

    #[test]
    fn a_command_is_looked_for_in_the_path() {
        assert!(find(OsStr::new("sh")).unwrap().ends_with("sh"));
        assert_eq!(find(OsStr::new("there-is-no-such-command")), None);
        assert_eq!(find(OsStr::new("./a")), Some("./a".into()));
    }
}
