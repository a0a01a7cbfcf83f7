//! Room for jobs: none is acknowledged without a slot, and a slot that frees wakes whoever polls.

use crate::pipeline::job::Category;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The most jobs that one poll asks for; CodePipeline publishes no bound.
pub(super) const MOST_AT_ONCE: usize = 10;

/// Room for jobs of each category; a cheap handle.
#[derive(Debug, Clone)]
pub struct Slots(Arc<Rooms>);

#[derive(Debug)]
struct Rooms {
    builds: Room,
    deploys: Room,
    /// Whether any slot is free.
    open: watch::Sender<bool>,
}

#[derive(Debug)]
struct Room {
    free: Arc<Semaphore>,
    /// How many jobs have left their slots.
    freed: watch::Sender<u64>,
}

/// Room for one job; it is free again when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    slots: Slots,
    category: Category,
    /// Whether a job had it: only then is its end a reason to poll.
    used: bool,
}

impl Slots {
    /// Room for so many jobs.
    #[must_use]
    pub fn new(builds: usize, deploys: usize) -> Self {
        let room = |most| Room {
            free: Arc::new(Semaphore::new(most)),
            freed: watch::Sender::new(0),
        };
        Self(Arc::new(Rooms {
            builds: room(builds),
            deploys: room(deploys),
            open: watch::Sender::new(builds + deploys > 0),
        }))
    }

    fn room(&self, category: Category) -> &Room {
        match category {
            Category::Build => &self.0.builds,
            Category::Deploy => &self.0.deploys,
        }
    }

    fn slot(&self, category: Category, permit: OwnedSemaphorePermit) -> Slot {
        self.count();
        Slot {
            permit: Some(permit),
            slots: self.clone(),
            category,
            used: false,
        }
    }

    fn count(&self) {
        let rooms = [&self.0.builds, &self.0.deploys];
        // Looked at while nobody else tells: the last one to tell has seen the last change.
        self.0.open.send_if_modified(|open| {
            let before = *open;
            *open = rooms.iter().any(|room| room.free.available_permits() > 0);
            *open != before
        });
    }

    /// Tells whether any slot is free.
    #[must_use]
    pub fn open(&self) -> watch::Receiver<bool> {
        self.0.open.subscribe()
    }

    /// Waits for a free slot, then takes what is free, [`MOST_AT_ONCE`] at the most. What was `freed` until then is among it,
    /// and no news any more.
    pub async fn free(&self, category: Category, freed: &mut watch::Receiver<u64>) -> Vec<Slot> {
        // The semaphore is never closed, so there is one.
        let first = Arc::clone(&self.room(category).free).acquire_owned().await;
        freed.mark_unchanged();
        let mut slots: Vec<Slot> = first
            .ok()
            .map(|permit| self.slot(category, permit))
            .into_iter()
            .collect();
        self.fill(category, &mut slots);
        slots
    }

    /// Takes what is free now, [`MOST_AT_ONCE`] at the most.
    pub fn free_now(&self, category: Category) -> Vec<Slot> {
        let mut slots = Vec::new();
        self.fill(category, &mut slots);
        slots
    }

    fn fill(&self, category: Category, slots: &mut Vec<Slot>) {
        while slots.len() < MOST_AT_ONCE
            && let Ok(permit) = Arc::clone(&self.room(category).free).try_acquire_owned()
        {
            slots.push(self.slot(category, permit));
        }
    }

    /// Changes each time that a job leaves its slot.
    #[must_use]
    pub fn freed(&self, category: Category) -> watch::Receiver<u64> {
        self.room(category).freed.subscribe()
    }
}

impl Slot {
    /// Takes the slot for a job.
    pub fn take(mut self) -> Self {
        self.used = true;
        self
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Free first: whoever is woken looks for it.
        drop(self.permit.take());
        self.slots.count();
        if self.used {
            self.slots
                .room(self.category)
                .freed
                .send_modify(|jobs| *jobs += 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;
    use crate::pipeline::job::Category;

    #[tokio::test]
    async fn what_is_free_is_taken_at_once_and_a_job_that_ends_wakes_the_poller() {
        let slots = Slots::new(0, 3);
        let open = slots.open();
        let mut freed = slots.freed(Category::Deploy);
        let taken = slots.free(Category::Deploy, &mut freed).await;
        assert_eq!((taken.len(), *open.borrow()), (3, false));
        let mut taken = taken.into_iter();
        let job = taken.next().unwrap().take();
        drop(taken);
        assert!(*open.borrow() && !freed.has_changed().unwrap(), "no job had them");
        drop(job);
        assert!(freed.has_changed().unwrap());
        let taken = slots.free(Category::Deploy, &mut freed).await;
        assert!(taken.len() == 3 && !freed.has_changed().unwrap());
        let many = Slots::new(0, 40);
        let mut freed = many.freed(Category::Deploy);
        assert_eq!(many.free(Category::Deploy, &mut freed).await.len(), 10);
    }
}
