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
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // The default complains of a closed stderr on stderr, and panics.
        .log_internal_errors(false);
    // Only a second subscriber is an error, and this is the first.
    let _ = tracing_subscriber::registry()
        .with(targets())
        .with(lines)
        .try_init();
}

/// Below `warn`, the AWS clients, hyper and bollard log headers and bodies, and with them tokens; no flag lets them.
fn targets() -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("slipway", LevelFilter::DEBUG)
}

#[cfg(test)]
mod tests {
    use super::targets;
    use tracing_subscriber::filter::LevelFilter;

    #[test]
    fn no_library_may_log_the_bodies_that_it_carries() {
        for library in [
            "aws_smithy_runtime::client::orchestrator",
            "aws_config::profile",
            "aws_sigv4",
            "bollard::docker",
            "hyper::proto",
            "h2::codec",
            "rustls::client",
        ] {
            for level in [LevelFilter::TRACE, LevelFilter::DEBUG, LevelFilter::INFO] {
                let level = level.into_level().unwrap();
                assert!(!targets().would_enable(library, &level), "{library} at {level}");
            }
        }
        assert!(targets().would_enable("slipway::stage::deploy", &tracing::Level::DEBUG));
    }
}
