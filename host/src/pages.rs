//! What is made of the command line's description: completions for shells, and manual pages.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Command;
use clap_mangen::Man;

use crate::say;

#[derive(clap::Args)]
pub struct CompletionsArguments {
    /// For which shell.
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

#[derive(clap::Args)]
pub struct ManPagesArguments {
    /// The folder, which has to be there. For pages of your own: ~/.local/share/man/man1.
    folder: PathBuf,
}

/// Prints a script.
pub fn completions(arguments: &CompletionsArguments, mut command: Command) {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "keyfob", &mut script);
    say(format_args!("{}", String::from_utf8_lossy(&script).trim_end()));
}

/// Writes a page for each command.
///
/// # Errors
/// A page cannot be written.
pub fn man_pages(arguments: &ManPagesArguments, command: Command) -> Result<(), String> {
    let mut command = command.disable_help_subcommand(true).after_long_help(None);
    command.build();
    let count = write_pages(command, &arguments.folder)?;
    say(format_args!("Wrote {count} pages to {}.", arguments.folder.display()));
    Ok(())
}

/// Writes the page of a command and those of the commands below it. Returns how many they are.
fn write_pages(command: Command, folder: &Path) -> Result<usize, String> {
    let mut count = 1;
    for below in command.get_subcommands().cloned() {
        count += write_pages(below, folder)?;
    }
    let page = Man::new(command).source(concat!("keyfob ", env!("CARGO_PKG_VERSION"))).manual("keyfob");
    let path = folder.join(page.get_filename());
    let failed = |error: std::io::Error| format!("{} cannot be written: {error}", path.display());
    let mut text = Vec::new();
    page.render(&mut text).map_err(failed)?;
    #[cfg(unix)]
    text.extend(exit_status().into_bytes());
    fs::write(&path, text).map_err(failed)?;
    Ok(count)
}

/// The section about exit codes.
#[cfg(unix)]
fn exit_status() -> String {
    let mut section = ".SH \"EXIT STATUS\"\n".to_owned();
    for line in crate::client::EXIT_CODES.lines().skip(1) {
        let (code, meaning) = line.trim().split_once(' ').unwrap_or((line, ""));
        // A hyphen alone is a typographic one.
        let meaning = meaning.trim().replace('-', "\\-");
        section.push_str(&format!(".TP\n{code}\n{meaning}\n"));
    }
    section
}
