//! docs/cli.md: every command's help, as clap knows it.

use super::overview;
use clap::Command;
use std::fmt::Write;

/// Columns of the help texts, whatever terminal they are made in.
const WIDTH: usize = 100;

/// The document.
pub(super) fn markdown() -> String {
    let mut text = "# Command line\n\n\
        Made from the program by `campanile cli-reference > docs/cli.md`; a test compares it. Exit status of every command: 0 done, 1 failed,\n\
        2 the arguments are wrong. What a script reads goes to standard output, everything else to standard error.\n"
        .to_owned();
    let mut command = overview::command().term_width(WIDTH).color(clap::ColorChoice::Never);
    // Fills in names and the help command of each level.
    command.build();
    section(&mut text, &mut command, "campanile");
    text.trim_end().to_owned()
}

fn section(text: &mut String, command: &mut Command, path: &str) {
    // What the environment holds where the document is made is nobody's business.
    *command = std::mem::take(command).mut_args(|arg| arg.hide_env_values(true));
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(text, "\n## {path}\n\n```\n{}\n```\n", lines.join("\n").trim_end());
    for inner in command.get_subcommands_mut().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
        let path = format!("{path} {}", inner.get_name());
        section(text, inner, &path);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_says_what_the_program_does() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
        let document = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            document.trim_end() == super::markdown(),
            "docs/cli.md is not what the commands are: run `campanile cli-reference > docs/cli.md`"
        );
    }
}
