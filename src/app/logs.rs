//! What `-v` shows: slipway's own log and its clients' warnings, on stderr.

use crate::report::reporter::{Format, Manner, Volume};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts the log, if it is wanted.
pub fn start(manner: &Manner) {
    if manner.volume < Volume::Verbose {
        return;
    }
    // Only a second subscriber is an error, and this is the first.
    let _ = tracing_subscriber::registry()
        .with(targets())
        .with(lines(manner.format, std::io::stderr))
        .try_init();
}

/// The log's lines, in the shape of all others.
fn lines<S, W>(format: Format, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false)
        // The default complains of a closed stderr on stderr, and panics.
        .log_internal_errors(false);
    match format {
        Format::Human => Box::new(lines),
        Format::Json => Box::new(lines.json()),
    }
}

/// Below `warn`, the AWS clients, hyper and bollard log headers and bodies, and with them tokens; no flag lets them.
fn targets() -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("slipway", LevelFilter::DEBUG)
}

#[cfg(test)]
mod tests {
    use super::{Format, lines, targets};
    use std::io::{Read as _, Seek as _};
    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[test]
    fn the_log_has_one_object_per_line_where_all_else_does() {
        for (format, is_json) in [(Format::Human, false), (Format::Json, true)] {
            let mut file = tempfile::tempfile().unwrap();
            let writer = std::sync::Mutex::new(file.try_clone().unwrap());
            let subscriber = tracing_subscriber::registry().with(lines(format, writer));
            tracing::subscriber::with_default(subscriber, || {
                tracing::warn!(target: "slipway::test", "a \"word\"");
            });
            let mut text = String::new();
            file.rewind().unwrap();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text.lines().count(), 1, "{text}");
            let parsed = serde_json::from_str::<serde_json::Value>(&text);
            assert_eq!(parsed.is_ok(), is_json, "{text}");
        }
    }

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
