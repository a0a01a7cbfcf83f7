//! The requests in flight: counted by target, and cut when their target's drain is over.

use super::TargetId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// All requests in flight.
#[derive(Debug, Clone, Default)]
pub struct Flights(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    made: u64,
    flights: BTreeMap<u64, (u16, TargetId, CancellationToken)>,
}

/// One request in flight; dropping it ends it.
#[derive(Debug)]
pub struct Flight {
    table: Flights,
    number: u64,
    cut: CancellationToken,
}

impl Flights {
    /// Counts a request in.
    pub fn begin(&self, port: u16, target: TargetId) -> Flight {
        let cut = CancellationToken::new();
        let mut table = self.table();
        table.made += 1;
        let number = table.made;
        table.flights.insert(number, (port, target, cut.clone()));
        Flight {
            table: self.clone(),
            number,
            cut,
        }
    }

    /// How many requests are in flight to a target.
    pub fn count(&self, to: &TargetId) -> usize {
        let table = self.table();
        table
            .flights
            .values()
            .filter(|(_, target, _)| target == to)
            .count()
    }

    /// Cuts the requests whose target may not go on with them.
    pub fn cut_unless(&self, carries: impl Fn(u16, &TargetId) -> bool) {
        // The world's lock is taken by `carries`: never while ours is held.
        let flights: Vec<_> = self.table().flights.values().cloned().collect();
        for (port, target, cut) in flights {
            if !carries(port, &target) {
                cut.cancel();
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Waits until the request is cut.
    pub async fn cut(&self) {
        self.cut.cancelled().await;
    }

    /// Tells when the request is cut, for as long as anybody needs it.
    pub fn cutter(&self) -> CancellationToken {
        self.cut.clone()
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.table.table().flights.remove(&self.number);
    }
}
