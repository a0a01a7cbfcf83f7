//! How often to look, and how closely: fast while things change, slow while nothing does.
//!
//! A quiet watch costs 6 looks a minute; a look is one or two calls, or five and one per target group when it lists
//! tasks.

use crate::ecs::observation::{Deployment, Service};
use std::time::Duration;

/// Pauses after a look, by the number of looks since something changed, in seconds.
const PAUSES: [u64; 6] = [2, 2, 3, 5, 8, 10];

/// Looks after which tasks are listed although nothing changed: a crash between two looks can leave the counts as
/// they were.
const LOOKS_BETWEEN_LISTS: u32 = 3;

/// What of a service shows that something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fingerprint {
    deployments: Vec<Deployment>,
    newest_event: Option<String>,
    counts: (u32, u32, u32),
}

/// Remembers what changed when, in looks.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    last: Option<Fingerprint>,
    quiet: u32,
    since_list: u32,
}

impl Pace {
    /// Takes note of a look at the service, and says whether it must list the tasks too.
    pub fn closely(&mut self, ours: &str, service: &Service) -> bool {
        let print = Fingerprint {
            deployments: service.deployments.clone(),
            newest_event: service.events.first().map(|event| event.id.clone()),
            counts: (service.desired, service.running, service.pending),
        };
        let changed = self.last.as_ref() != Some(&print);
        self.quiet = if changed { 0 } else { self.quiet + 1 };
        self.last = Some(print);
        self.since_list += 1;
        let enough = service
            .deployment(ours)
            .is_some_and(|ours| ours.running >= service.desired);
        let list = changed || enough || self.since_list > LOOKS_BETWEEN_LISTS;
        if list {
            self.since_list = 0;
        }
        list
    }

    /// How long to pause until the next look, at most until the deadline.
    #[must_use]
    pub fn pause(&self, until_deadline: Duration) -> Duration {
        let last = PAUSES.len() - 1;
        let at = usize::try_from(self.quiet).unwrap_or(last).min(last);
        let pause = Duration::from_secs(PAUSES[at]);
        // At the deadline one last look is taken.
        pause.min(until_deadline.max(Duration::from_millis(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use crate::ecs::rollout::tests::build;
    use std::time::Duration;

    #[test]
    fn looks_slow_down_while_nothing_changes_and_speed_up_when_something_does() {
        let mut pace = Pace::default();
        let far = Duration::from_secs(900);
        let mut service = build::service(2);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pace.closely("ecs-svc/2", &service);
            pauses.push(pace.pause(far).as_secs());
        }
        assert_eq!(pauses, [2, 2, 3, 5, 8, 10, 10, 10]);
        service.running += 1;
        assert!(pace.closely("ecs-svc/2", &service));
        assert_eq!(pace.pause(far), Duration::from_secs(2));
        assert_eq!(pace.pause(Duration::from_secs(1)), Duration::from_secs(1));
    }

    #[test]
    fn tasks_are_listed_when_something_changed_or_the_end_is_near() {
        let mut pace = Pace::default();
        let mut service = build::service(2);
        let lists: Vec<bool> = (0..6).map(|_| pace.closely("ecs-svc/2", &service)).collect();
        assert_eq!(lists, [true, false, false, false, true, false]);
        service.deployments[0].running = 2;
        assert!(pace.closely("ecs-svc/2", &service));
        assert!(
            pace.closely("ecs-svc/2", &service),
            "enough tasks run: every look is the last one"
        );
    }
}
