//! Tasks that report results. They belong to the process and not to whoever asked: a story that is dropped, or that panics,
//! takes no report with it.

use super::Closed;
use crate::shutdown::Unfinished;
use std::fmt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// The reports that are under way; a cheap handle.
#[derive(Clone)]
pub struct Reporters {
    runtime: Handle,
    under_way: Unfinished,
}

impl fmt::Debug for Reporters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reporters").field(&self.count()).finish()
    }
}

impl Reporters {
    /// Reports on this runtime.
    #[must_use]
    pub fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            under_way: Unfinished::default(),
        }
    }

    /// How many reports are under way.
    #[must_use]
    pub fn count(&self) -> usize {
        self.under_way.count()
    }

    /// Waits until no report is under way. The program calls it last, once no job is held any more.
    pub async fn finish(&self) {
        self.under_way.none().await;
    }

    /// Runs a report to its end, whether or not anybody waits for it.
    pub(super) fn run(
        &self,
        report: impl Future<Output = Closed> + Send + 'static,
    ) -> oneshot::Receiver<Closed> {
        let (say, said) = oneshot::channel();
        let under_way = self.under_way.begin();
        self.runtime.spawn(async move {
            let closed = report.await;
            // Before the count goes down: who waits for the end has the outcome by then.
            let _ = say.send(closed);
            drop(under_way);
        });
        said
    }
}
