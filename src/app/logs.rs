//! What `-v` shows: slipway's own log and its clients' warnings, on stderr.

use crate::report::reporter::Volume;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts the log, if it is wanted.
pub fn start(volume: Volume) {
    if volume < Volume::Verbose {
        return;
    }
    // Below `warn`, the AWS clients, hyper and bollard log headers and bodies, and with them tokens.
    let targets = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("slipway", LevelFilter::DEBUG);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // The default complains of a closed stderr on stderr, and panics.
        .log_internal_errors(false);
    // Only a second subscriber is an error, and this is the first.
    let _ = tracing_subscriber::registry()
        .with(targets)
        .with(lines)
        .try_init();
}
