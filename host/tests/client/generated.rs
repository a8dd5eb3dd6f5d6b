//! Completions and manual pages.

use std::{
    fs,
    io::{ErrorKind, Write},
    process::{Command, Stdio},
};

use crate::served::{keyfob, text};

#[test]
fn every_shell_has_completions_and_bash_completes_commands_and_options() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = keyfob(&["completions", shell]).output().unwrap();
        assert!(output.status.success() && text(&output.stdout).contains("force-pin-change"), "{shell}");
    }
    let script = text(&keyfob(&["completions", "bash"]).output().unwrap().stdout);
    let completed = |words: &str, last: &str| {
        let ask = "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _keyfob keyfob; echo \"${COMPREPLY[@]}\"";
        let mut bash = Command::new("bash").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let typed = format!("COMP_WORDS=({words} {last}); ");
        let ask = ask.replace("_keyfob keyfob", &format!("_keyfob keyfob {last}"));
        bash.stdin.take().unwrap().write_all(format!("{script}\n{typed}{ask}\n").as_bytes()).unwrap();
        text(&bash.wait_with_output().unwrap().stdout)
    };
    assert_eq!(completed("keyfob", "fing"), "fingerprints\n");
    assert_eq!(completed("keyfob credentials", "del"), "delete\n");
    assert_eq!(completed("keyfob pin set", "--pin"), "--pin-fd\n");
}

#[test]
fn every_command_has_a_manual_page_that_roff_reads_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let output = keyfob(&["man-pages", folder.path().to_str().unwrap()]).output().unwrap();
    let pages: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|page| page.unwrap().path()).collect();
    let said = format!("Wrote {} pages to {}.\n", pages.len(), folder.path().display());
    assert_eq!(text(&output.stdout), said, "{}", text(&output.stderr));
    let page = fs::read_to_string(folder.path().join("keyfob-credentials-list.1")).unwrap();
    assert!(page.contains("Lists the credentials") && page.contains(".TP\n130\nCtrl\\-C\n"), "{page}");
    assert!(!folder.path().join("keyfob-help.1").exists());
    for page in pages {
        match Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(&page).output() {
            Ok(output) => assert_eq!(text(&output.stderr), "", "{}", page.display()),
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => panic!("{error}"),
        }
    }
    let missing = keyfob(&["man-pages", "/nowhere"]).output().unwrap();
    assert!(!missing.status.success() && text(&missing.stderr).contains("cannot be written"));
}
