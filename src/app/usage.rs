//! What the command line itself asks for: help, a version, or a manner of telling.

use super::unwritten;
use crate::cli::{Cli, ColourArg, FormatArg, Verb};
use crate::clock::Clock;
use crate::config::written::Environment;
use crate::failure::{Failure, Kind};
use crate::report::reporter::{Colour, Format, Manner, Reporter, Volume};
use std::ffi::OsString;
use std::process::ExitCode;

/// The variable that chooses the format.
const LOG_FORMAT: &str = "SLIPWAY_LOG_FORMAT";

/// How to tell, and what is wrong with how it was asked for.
pub fn manner(cli: &Cli, environment: &Environment) -> (Manner, Option<Failure>) {
    let global = &cli.global;
    let (format, wrong) = match (global.log_format, environment.value(LOG_FORMAT)) {
        (Some(FormatArg::Human), _) | (None, None | Some("human")) => (Format::Human, None),
        (Some(FormatArg::Json), _) | (None, Some("json")) => (Format::Json, None),
        (None, Some(other)) => {
            let problem = format!("{LOG_FORMAT}: expected `human` or `json`, found `{other}`");
            (Format::Human, Some(super::verbs::misconfigured(vec![problem])))
        }
    };
    let colour = match global.color {
        None | Some(ColourArg::Auto) => Colour::Auto,
        Some(ColourArg::Always) => Colour::Always,
        Some(ColourArg::Never) => Colour::Never,
    };
    let volume = match (global.quiet, global.verbose) {
        (true, _) => Volume::Quiet,
        (false, true) => Volume::Verbose,
        (false, false) => Volume::Normal,
    };
    let manner = Manner {
        format,
        colour,
        volume,
        plain_wanted: environment.value("NO_COLOR").is_some() || environment.value("TERM") == Some("dumb"),
        lasting: matches!(&cli.verb, Verb::Worker(args) if args.probe.is_none()),
    };
    (manner, wrong)
}

/// Answers `--help` and `--version` on stdout, and a command line that cannot be understood on stderr.
pub fn answer(error: &clap::Error, arguments: &[OsString], environment: &Environment) -> ExitCode {
    let reporter = |format| {
        let manner = Manner {
            format,
            ..Manner::default()
        };
        Reporter::new(manner, Clock::System)
    };
    let failure = if error.use_stderr() {
        let failure = Failure::new(Kind::Usage, first_line(error));
        if wants_json(arguments, environment) {
            reporter(Format::Json).failure(&failure);
        } else {
            // A stderr that is closed changes nothing.
            let _ = error.print();
        }
        failure
    } else {
        match error.print() {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => {
                let failure = unwritten(error, "nothing was asked for but this text");
                reporter(Format::Human).failure(&failure);
                failure
            }
        }
    };
    ExitCode::from(failure.kind.exit_code())
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Whether JSON was asked for on a command line that could not be parsed.
fn wants_json(arguments: &[OsString], environment: &Environment) -> bool {
    let joined = arguments.iter().any(|argument| argument == "--log-format=json");
    let apart = arguments
        .windows(2)
        .any(|pair| matches!(pair, [flag, value] if flag == "--log-format" && value == "json"));
    joined || apart || environment.value(LOG_FORMAT) == Some("json")
}
