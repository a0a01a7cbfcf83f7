//! The command line: exactly what was typed, and the help. What it means is `config::resolve`'s work.

mod args;
mod help;

pub use args::{
    ActionTypeArgs, ActionTypeVerb, BuildArgs, CategoryArg, Cli, ColourArg, CompletionsArgs, DeleteTypesArgs,
    DeployArgs, DryRunArgs, ExplainArgs, FormatArg, GlobalArgs, OfProviderArgs, OutputArgs, PrintTypesArgs,
    RecordArgs, RunArgs, SandboxArgs, Stage, TypeFormatArg, Verb, WantedTypesArgs, WorkerArgs,
};
pub use help::{completions, exit_codes};

use crate::config::keys::{KEYS, SERVICE_FLAG};
use crate::config::worker;
use crate::config::written::Given;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use std::ffi::OsString;

/// What was typed.
#[derive(Debug)]
pub struct Typed {
    /// The verb and its own arguments.
    pub cli: Cli,
    /// The flags that are settings, for the strongest layer of configuration.
    pub flags: Vec<Given>,
}

/// The whole command, help texts included.
#[must_use]
pub fn command() -> clap::Command {
    help::complete(Cli::command())
}

/// Parses a command line.
///
/// # Errors
/// clap's own error, which is also how it answers `--help` and `--version`.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Typed, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    let cli = Cli::from_arg_matches(&matches)?;
    let mut flags = Vec::new();
    collect(&matches, &mut flags);
    Ok(Typed { cli, flags })
}

/// Collects the flags that are settings, of the command and its subcommand. A global flag is seen in both.
fn collect(matches: &ArgMatches, flags: &mut Vec<Given>) {
    let of_workers = worker::OPTIONS.iter().map(|option| option.flag);
    let settings = KEYS
        .iter()
        .filter_map(|key| key.flag)
        .chain([SERVICE_FLAG])
        .chain(of_workers);
    for flag in settings {
        let known = flags.iter().any(|given| given.flag == flag);
        if let (false, Some(given)) = (known, given(matches, flag)) {
            flags.push(given);
        }
    }
    if let Some((_, inner)) = matches.subcommand() {
        collect(inner, flags);
    }
}

/// A flag that was typed, by the name that clap gives to its field.
fn given(matches: &ArgMatches, flag: &'static str) -> Option<Given> {
    let id = flag.trim_start_matches('-').replace('-', "_");
    let raw = matches.try_get_raw(&id).ok()?;
    if matches.value_source(&id) != Some(ValueSource::CommandLine) {
        return None;
    }
    let values: Vec<String> = raw
        .into_iter()
        .flatten()
        .map(|it| it.to_string_lossy().into_owned())
        .collect();
    let values = if values.is_empty() {
        vec!["true".to_owned()]
    } else {
        values
    };
    Some(Given { flag, values })
}

#[cfg(test)]
mod tests {
    use super::{Stage, Verb, command, parse};
    use crate::config::keys::KEYS;
    use crate::config::worker::OPTIONS;
    use std::ffi::OsString;

    fn typed(line: &str) -> super::Typed {
        parse(line.split(' ').map(OsString::from)).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn the_command_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn every_setting_with_a_flag_can_be_typed_in_some_verb() {
        let command = command();
        let long = |command: &clap::Command| -> Vec<String> {
            let names = command.get_arguments().filter_map(|arg| arg.get_long());
            names.map(|name| format!("--{name}")).collect()
        };
        let mut typed = long(&command);
        typed.extend(command.get_subcommands().flat_map(long));
        for flag in KEYS.iter().filter_map(|key| key.flag) {
            assert!(typed.iter().any(|it| it == flag), "{flag}");
        }
    }

    #[test]
    fn every_option_of_a_worker_can_be_typed_and_shows_what_is_meant_without_it() {
        let command = command();
        let worker = command.find_subcommand("worker").unwrap();
        for option in OPTIONS {
            let long = option.flag.trim_start_matches('-');
            let typed = worker
                .get_arguments()
                .find(|arg| arg.get_long() == Some(long))
                .unwrap();
            let help = typed.get_help().unwrap().to_string();
            for default in option.default.split(',') {
                assert!(help.contains(default), "{long}: {default}: {help}");
            }
        }
        let typed = typed("slipway worker --fleet a --fleet b --jobs 7 --region eu-west-1");
        let flags: Vec<(&str, String)> = typed
            .flags
            .iter()
            .map(|it| (it.flag, it.values.join(" ")))
            .collect();
        let expected = [("--region", "eu-west-1"), ("--fleet", "a b"), ("--jobs", "7")];
        assert_eq!(flags, expected.map(|(flag, values)| (flag, values.to_owned())));
    }

    #[test]
    fn flags_that_are_settings_are_collected_with_their_values() {
        let typed =
            typed("slipway --region eu-west-1 build app --tag a --tag b --no-cache --build-arg K=V=W");
        let flags: Vec<(&str, String)> = typed
            .flags
            .iter()
            .map(|it| (it.flag, it.values.join(" ")))
            .collect();
        assert_eq!(
            flags,
            [
                ("--region", "eu-west-1".to_owned()),
                ("--build-arg", "K=V=W".to_owned()),
                ("--tag", "a b".to_owned()),
                ("--no-cache", "true".to_owned()),
            ]
        );
        let Verb::Build(build) = typed.cli.verb else {
            panic!("not a build")
        };
        assert_eq!(build.path.unwrap(), std::path::Path::new("app"));
    }

    #[test]
    fn a_global_flag_may_stand_behind_the_verb() {
        let typed = typed("slipway deploy --region eu-west-1 --service a --service b -q");
        assert_eq!(typed.flags[0].values, ["eu-west-1"]);
        assert_eq!(typed.flags[1].values, ["a", "b"]);
        assert!(typed.cli.global.quiet);
    }

    #[test]
    fn a_dry_run_runs_both_stages_unless_told() {
        for (line, stage) in [
            ("slipway dry-run", Stage::Run),
            ("slipway dry-run build app", Stage::Build),
            ("slipway dry-run run app --simulated", Stage::Run),
        ] {
            let Verb::DryRun(dry_run) = typed(line).cli.verb else {
                panic!("not a dry-run")
            };
            assert_eq!(dry_run.stage, stage, "{line}");
        }
    }
}
