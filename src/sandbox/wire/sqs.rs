//! SQS on the wire: a receive that finds nothing waits, on the sandbox's clock, until something comes or its time is over.

use super::Site;
use crate::sandbox::world::error::ApiError;
use crate::shutdown::Shutdown;
use serde_json::Value;

/// Answers one operation.
///
/// # Errors
/// The operation's own.
pub async fn call(site: &Site, operation: &str, input: &Value) -> Result<Value, ApiError> {
    if operation != "ReceiveMessage" {
        return site
            .shared
            .visit(|world, now| world.sqs.call(now, operation, input));
    }
    let until = site
        .shared
        .visit(|world, now| world.sqs.patience(input).map(|time| now + time))?;
    // A client that goes away takes its request with it, and the pause.
    let never = Shutdown::never();
    loop {
        let arrived = site.shared.arrived();
        let (answer, now, visible) = site.shared.visit(|world, now| {
            let answer = world.sqs.call(now, operation, input);
            (answer, now, world.sqs.next_visible(input))
        });
        let is_empty = answer
            .as_ref()
            .is_ok_and(|answer| answer.get("Messages").is_none());
        if !is_empty || now >= until {
            return answer;
        }
        let next = visible.map_or(until, |visible| visible.min(until));
        tokio::select! {
            _ = site.shared.clock().pause(next.saturating_sub(now), &never) => {}
            () = arrived => {}
        }
    }
}
