//! What dead workers left: their jobs are taken over from the journal, and done or closed.

use super::crew::Crew;
use super::job;
use super::polls::Work;
use crate::clock::Pause;
use crate::pipeline::claim::{Adopted, Closed, adopt};
use crate::pipeline::job::Category;
use crate::pipeline::journal::Entry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// How often the journals of dead workers are looked for.
const BETWEEN_LOOKS: Duration = Duration::from_secs(30);

/// Looks for jobs that nobody holds any more: at once, and then again and again until a stop is asked for.
pub(super) async fn heal(crew: Arc<Crew>, jobs: UnboundedSender<Work>) {
    loop {
        let orphans = crew.desk.state.orphans().await;
        crew.metrics.orphans(orphans.len());
        for entry in orphans {
            let _ = jobs.send(Box::pin(take_over(Arc::clone(&crew), entry)));
        }
        if crew.clock().pause(BETWEEN_LOOKS, &crew.tools.shutdown).await == Pause::Stopped {
            return;
        }
    }
}

async fn take_over(crew: Arc<Crew>, entry: Entry) {
    let record = entry.record();
    let category = record
        .action_type
        .as_ref()
        .map_or(Category::Deploy, |it| it.category);
    let of = format!(
        "job {} of {}/{}",
        record.job, record.context.pipeline, record.context.action
    );
    let shutdown = &crew.tools.shutdown;
    let slot = tokio::select! {
        slot = crew.slots.one(category) => slot,
        // It is in the journal, for whoever comes next.
        _ = shutdown.reached(crate::shutdown::Urgency::WindDown) => None,
    };
    let Some(slot) = slot else { return };
    match adopt(&crew.desk, entry).await {
        Adopted::Ours(claimed) => {
            crew.warn(format!("{of}: the worker that had it is gone; it is taken over"));
            job::work(&crew, *claimed, slot).await;
        }
        Adopted::Reported(Closed::Accepted | Closed::Over { .. }) => {
            crew.note(format!(
                "{of}: its result, which could not be reported before, is reported"
            ));
        }
        Adopted::Reported(Closed::Unreported) => {
            crew.note(format!("{of}: its result cannot be reported yet"));
        }
        Adopted::NotOurs(reason) => crew.note(format!("{of}: nothing is to be done: {}", reason.words())),
        Adopted::NotYet(error) => {
            let failure = error.into_failure();
            let why = failure.root_cause().unwrap_or_default();
            crew.warn(format!(
                "{of}: it cannot be taken over yet: {}: {why}",
                failure.what
            ));
        }
    }
}
