//! `campanile help`: the commands by what one wants to do.

use super::Cli;
use clap::{Command, CommandFactory};
use std::fmt::Write;

/// Commands by purpose, each group in the order in which one comes to need them. What stands nowhere here is listed last.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Run", &["serve", "check-config", "config", "reload"]),
    ("Use", &["token", "publish", "tail", "import", "process-sync-events"]),
    ("Look after", &["doctor", "selftest", "jobs", "backup", "restore"]),
    ("Shell", &["completions"]),
];

/// The command line with its grouped overview.
pub(super) fn command() -> Command {
    let command = Cli::command();
    let overview = overview(&command);
    command.subcommand_required(true).arg_required_else_help(true).help_template(format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{overview}\nOptions:\n{{options}}\n\n\
         Begin with: campanile serve --dev\nOf each command: campanile help COMMAND (docs/cli.md holds them all)\n"
    ))
}

fn overview(command: &Command) -> String {
    let visible: Vec<&Command> = command.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    let width = visible.iter().map(|command| command.get_name().len()).max().unwrap_or(0);
    let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
    let rest: Vec<&str> = visible.iter().map(|command| command.get_name()).filter(|name| !grouped.contains(name)).collect();
    let mut text = String::new();
    for (title, names) in GROUPS.into_iter().chain([("More", rest.as_slice())]) {
        let commands: Vec<_> = names.iter().filter_map(|name| visible.iter().find(|one| one.get_name() == *name)).collect();
        if commands.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{title}:");
        for command in commands {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let first = about.lines().next().unwrap_or_default();
            let _ = writeln!(text, "  {:width$}  {first}", command.get_name());
        }
        text.push('\n');
    }
    text.pop();
    text
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn the_arguments_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_command_stands_in_the_overview_once() {
        let mut command = command();
        let names: Vec<String> =
            command.get_subcommands().filter(|one| !one.is_hide_set()).map(|one| one.get_name().to_owned()).collect();
        let help = command.render_help().to_string();
        for name in names {
            let lines = help.lines().filter(|line| line.split_whitespace().next() == Some(&name)).count();
            assert_eq!(lines, 1, "{name} in\n{help}");
        }
    }
}
