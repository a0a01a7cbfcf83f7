//! Tells a container's output line by line.

use super::engine::Engine;
use super::lines::Lines;
use crate::sandbox::world::orders::Fact;
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// Follows a container from its first line until it ends.
pub async fn follow(
    engine: Arc<Engine>,
    id: String,
    facts: UnboundedSender<Fact>,
    task: String,
    container: String,
) {
    let tell = |line: String| {
        let _ = facts.send(Fact::LogLine {
            task: task.clone(),
            container: container.clone(),
            line,
        });
    };
    let options = LogsOptionsBuilder::default()
        .follow(true)
        .stdout(true)
        .stderr(true)
        .build();
    let mut stream = engine.docker.logs(&id, Some(options));
    let (mut out, mut err) = (Lines::default(), Lines::default());
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(LogOutput::StdErr { message }) => err.push(&message).into_iter().for_each(tell),
            Ok(other) => out.push(&other.into_bytes()).into_iter().for_each(tell),
            Err(error) => {
                tracing::debug!(%error, "a container's output broke off");
                break;
            }
        }
    }
    out.finish().into_iter().chain(err.finish()).for_each(tell);
}
