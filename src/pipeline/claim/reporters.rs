//! Tasks that report results. They belong to the process and not to whoever asked: a story that is dropped, or that panics,
//! takes no report with it.

use super::Closed;
use std::fmt;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

/// The reports that are under way; a cheap handle.
#[derive(Clone)]
pub struct Reporters {
    runtime: Handle,
    under_way: Arc<watch::Sender<usize>>,
}

impl fmt::Debug for Reporters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reporters").field(&self.count()).finish()
    }
}

/// One report that is under way, for as long as it lives.
struct UnderWay(Arc<watch::Sender<usize>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Reporters {
    /// Reports on this runtime.
    #[must_use]
    pub fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            under_way: Arc::new(watch::Sender::new(0)),
        }
    }

    /// How many reports are under way.
    #[must_use]
    pub fn count(&self) -> usize {
        *self.under_way.borrow()
    }

    /// Waits until no report is under way. The program calls it last, once no job is held any more.
    pub async fn finish(&self) {
        let mut count = self.under_way.subscribe();
        // It cannot fail: the sender is ours.
        let _ = count.wait_for(|count| *count == 0).await;
    }

    /// Runs a report to its end, whether or not anybody waits for it.
    pub(super) fn run(
        &self,
        report: impl Future<Output = Closed> + Send + 'static,
    ) -> oneshot::Receiver<Closed> {
        let (say, said) = oneshot::channel();
        self.under_way.send_modify(|count| *count += 1);
        let under_way = UnderWay(Arc::clone(&self.under_way));
        self.runtime.spawn(async move {
            let closed = report.await;
            // Before the count goes down: who waits for the end has the outcome by then.
            let _ = say.send(closed);
            drop(under_way);
        });
        said
    }
}
