//! `docs/cli.md` is what the program says of itself.

use std::{env, fs, path::Path};

use crate::served::{keyfob, text};

const HEAD: &str = "# The command line

Every command, as `keyfob COMMAND --help` shows it. This page is written by

```sh
KEYFOB_WRITE_PAGE=1 cargo test --package keyfob --test client page
```
";

fn help(command: &[String]) -> String {
    let arguments: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
    let output = keyfob(&arguments).output().unwrap();
    assert!(output.status.success(), "{command:?}");
    text(&output.stdout)
}

/// Writes a command, and those below it.
fn describe(command: &[String], page: &mut String) {
    let help = help(command);
    let name = [&["keyfob".to_owned()], command].concat().join(" ");
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    page.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n")));
    let listed = lines.iter().skip_while(|line| **line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let below = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for name in below.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        describe(&[command, &[name.to_owned()]].concat(), page);
    }
}

#[test]
fn the_page_of_the_command_line_is_what_the_program_says() {
    let mut page = HEAD.to_owned();
    describe(&[], &mut page);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    if env::var_os("KEYFOB_WRITE_PAGE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert!(fs::read_to_string(path).is_ok_and(|written| written == page), "write it again: its head says how");
}
