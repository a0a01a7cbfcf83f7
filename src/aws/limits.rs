//! What all calls of a process to one account and region share: the buckets that AWS counts them against, and the turns of
//! task definition families.

use crate::clock::Clock;
use crate::ecs::quota::{Bucket, Category};
use crate::shutdown::Shutdown;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// Families whose turns are kept though nobody waits for them.
const FAMILIES: usize = 256;

/// The limits of one account and region, as far as this process knows.
#[derive(Debug)]
pub struct Limits {
    /// Paces every call; none if calls are left to AWS to throttle.
    clock: Option<Clock>,
    buckets: Mutex<BTreeMap<Category, Bucket>>,
    families: Mutex<BTreeMap<String, Arc<Turn<()>>>>,
}

impl Limits {
    /// Full buckets. With a clock every call waits until it fits; without one only registrations do.
    pub(super) fn new(clock: Option<Clock>) -> Self {
        Self {
            clock,
            buckets: Mutex::default(),
            families: Mutex::default(),
        }
    }

    /// Waits for a family's turn: ECS refuses two registrations in one family at once.
    pub async fn turn(&self, family: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
            if families.len() > FAMILIES {
                families.retain(|_, turn| Arc::strong_count(turn) > 1);
            }
            families.entry(family.to_owned()).or_default().clone()
        };
        turn.lock_owned().await
    }

    /// Takes a call from its bucket; gives how long to wait before it is made.
    pub fn take(&self, category: Category, now: Duration) -> Duration {
        self.buckets()
            .entry(category)
            .or_insert_with(|| category.bucket())
            .take(now)
    }

    /// Takes note that AWS refused a call for coming too soon.
    pub fn drain(&self, category: Category, now: Duration) {
        self.buckets()
            .entry(category)
            .or_insert_with(|| category.bucket())
            .drain(now);
    }

    /// Waits until a call fits into its bucket, where calls are paced.
    pub(super) async fn fit(&self, category: Category) {
        let Some(clock) = &self.clock else { return };
        let wait = self.take(category, clock.now());
        if !wait.is_zero() {
            // Whoever must not wait stops waiting for the whole call.
            let _ = clock.pause(wait, &Shutdown::never()).await;
        }
    }

    /// Takes note that AWS throttled a call, where calls are paced.
    pub(super) fn throttled(&self, category: Category) {
        if let Some(clock) = &self.clock {
            self.drain(category, clock.now());
        }
    }

    fn buckets(&self) -> MutexGuard<'_, BTreeMap<Category, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Category, Clock, FAMILIES, Limits};
    use crate::clock::VirtualClock;
    use std::time::Duration;

    #[tokio::test]
    async fn calls_wait_for_their_own_bucket_and_only_with_a_clock() {
        let start = Duration::from_secs(1_000);
        let shared = VirtualClock::starting_at(start);
        let clock = Clock::Virtual(shared.clone());
        let (paced, free) = (Limits::new(Some(clock)), Limits::new(None));
        for _ in 0..140 {
            free.fit(Category::ServiceRead).await;
            paced.fit(Category::ServiceRead).await;
        }
        assert_eq!(
            shared.now(),
            start + Duration::from_secs(2),
            "40 more than 100 at once"
        );
        paced.fit(Category::TaskRead).await;
        assert_eq!(shared.now(), start + Duration::from_secs(2), "another bucket");
        paced.throttled(Category::TaskRead);
        paced.fit(Category::TaskRead).await;
        assert!(
            shared.now() > start + Duration::from_secs(2),
            "it is empty, AWS said"
        );
    }

    #[tokio::test]
    async fn turns_that_nobody_waits_for_are_forgotten() {
        let limits = Limits::new(None);
        let held = limits.turn("held").await;
        for number in 0..2 * FAMILIES {
            drop(limits.turn(&number.to_string()).await);
        }
        let known = limits.families.lock().unwrap();
        assert!(known.len() <= FAMILIES + 1 && known.contains_key("held"));
        drop(held);
    }
}
