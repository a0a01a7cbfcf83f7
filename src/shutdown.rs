//! The graded stop signal: none, wind down, now; and the count of what must end before the process does.
//!
//! Whoever runs a story asks it at its safe points; clean-up never asks.

use crate::failure::Kind;
use std::sync::Arc;
use tokio::sync::watch;

/// How urgently the run must end; ordered, and never lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Urgency {
    /// Keep working.
    #[default]
    None,
    /// Finish or leave at the next safe point (first signal).
    WindDown,
    /// Leave at once (second signal).
    Now,
}

/// A cheap, cloneable view of the stop signal.
#[derive(Debug, Clone)]
pub struct Shutdown {
    seen: watch::Receiver<(Urgency, Option<Kind>)>,
}

/// The one hand that raises the signal.
#[derive(Debug)]
pub struct ShutdownSwitch {
    raised: watch::Sender<(Urgency, Option<Kind>)>,
}

/// Makes a switch and its view.
#[must_use]
pub fn switch() -> (ShutdownSwitch, Shutdown) {
    let (raised, seen) = watch::channel((Urgency::None, None));
    (ShutdownSwitch { raised }, Shutdown { seen })
}

/// Counts work that nobody waits for but the end of the process or of a job; a cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Unfinished(Arc<watch::Sender<usize>>);

/// One piece of such work, for as long as it lives.
#[derive(Debug)]
#[must_use]
pub struct UnderWay(Arc<watch::Sender<usize>>);

impl Unfinished {
    /// Counts one more.
    pub fn begin(&self) -> UnderWay {
        self.0.send_modify(|count| *count += 1);
        UnderWay(Arc::clone(&self.0))
    }

    /// How many pieces are under way.
    #[must_use]
    pub fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until none is.
    pub async fn none(&self) {
        let mut count = self.0.subscribe();
        // It cannot fail: the sender is ours.
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl ShutdownSwitch {
    /// Raises the urgency by one step; `why` is [`Kind::Interrupted`] or [`Kind::Terminated`], and the first one stays.
    pub fn raise(&self, why: Kind) {
        self.raised.send_modify(|(urgency, kind)| {
            *urgency = match urgency {
                Urgency::None => Urgency::WindDown,
                Urgency::WindDown | Urgency::Now => Urgency::Now,
            };
            kind.get_or_insert(why);
        });
    }
}

impl Shutdown {
    /// A view that is never raised: for clean-up and for tests.
    #[must_use]
    pub fn never() -> Self {
        switch().1
    }

    /// How urgent it is, and which signal asked.
    #[must_use]
    pub fn asked(&self) -> (Urgency, Option<Kind>) {
        *self.seen.borrow()
    }

    /// Whether any stop was asked for; stories check it at their safe points.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.asked().0 > Urgency::None
    }

    /// Waits until the urgency is at least `level`; for ever when nothing can raise it any more.
    pub async fn reached(&self, level: Urgency) -> Kind {
        let mut seen = self.seen.clone();
        // The view of the state is let go before the next await, which keeps this future sendable.
        let reached = seen
            .wait_for(|(urgency, _)| *urgency >= level)
            .await
            .map(|state| state.1);
        match reached {
            Ok(signal) => signal.unwrap_or(Kind::Terminated),
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Urgency, switch};
    use crate::failure::Kind;

    #[test]
    fn urgency_only_rises_and_the_first_reason_stays() {
        let (hand, view) = switch();
        assert!(!view.is_raised());
        hand.raise(Kind::Interrupted);
        assert_eq!(view.asked(), (Urgency::WindDown, Some(Kind::Interrupted)));
        hand.raise(Kind::Terminated);
        hand.raise(Kind::Terminated);
        assert_eq!(view.asked(), (Urgency::Now, Some(Kind::Interrupted)));
    }
}
