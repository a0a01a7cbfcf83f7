//! The program around the stories: parse, resolve, run the verb, tell how it ended, and answer with an exit code.
//!
//! `verbs` runs them, `explain`, `worker` and `action_type` those of these names, `signals` turns signals into the stop signal,
//! `panics` turns a bug into a failure, `logs` is what `-v` shows.

mod action_type;
mod explain;
pub mod logs;
mod panics;
mod signals;
mod usage;
mod verbs;
mod worker;

use crate::cli::{self, Typed};
use crate::clock::Clock;
use crate::config::layers;
use crate::config::written::Environment;
use crate::failure::{Failure, Kind};
use crate::report::reporter::{self, Reporter};
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

/// Threads that drive the program: work that takes long runs on threads of its own, so that more of them would only cost
/// memory on large machines, a heap of each.
const WORKERS: usize = 2;

/// How long blocking work, such as a name lookup, may hold up the end of the program.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Runs the program and answers with its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let environment = layers::environment();
    let typed = match cli::parse(arguments.iter().cloned()) {
        Ok(typed) => typed,
        Err(error) => return usage::answer(&error, &arguments, &environment),
    };
    let (manner, wrong) = usage::manner(&typed.cli, &environment);
    let reporter = Reporter::new(manner, Clock::System);
    logs::start(&manner);
    let outcome = match wrong {
        Some(failure) => Err(failure),
        None => run(typed, environment, &reporter),
    };
    match outcome {
        Ok(()) => {
            reporter.done();
            ExitCode::SUCCESS
        }
        Err(failure) => {
            reporter.failure(&failure);
            ExitCode::from(failure.kind.exit_code())
        }
    }
}

/// Runs the verb on a runtime of its own, and writes its data.
fn run(typed: Typed, environment: Environment, reporter: &Reporter) -> Result<(), Failure> {
    let bugs = panics::watch();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Kind::Bug, "the program's runtime did not start").because(error))?;
    let story = verbs::run(typed, environment, reporter);
    let outcome = runtime.block_on(panics::caught(Box::pin(story), &bugs));
    runtime.shutdown_timeout(LAST_WAIT);
    let data = outcome?;
    if data.is_empty() {
        return Ok(());
    }
    reporter::write_data(&data).map_err(|error| unwritten(error, "everything asked for was done"))
}

/// The failure of a stdout that cannot be written: whoever reads it does not know what happened.
fn unwritten(error: io::Error, left: &str) -> Failure {
    Failure::new(Kind::Unclear, "the result could not be written to stdout")
        .because(error)
        .left(left)
}
