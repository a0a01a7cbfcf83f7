//! Whether a worker is alive, and whether it takes jobs: what a scheduler of containers asks.

use crate::pipeline::job::ActionTypeId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A worker that has not said for so long that it goes on hangs. It says so several times a minute.
const LONGEST_SILENCE: Duration = Duration::from_secs(120);

/// What is known of a worker's health; a cheap handle.
#[derive(Debug, Clone)]
pub struct Health(Arc<Mutex<Known>>);

#[derive(Debug)]
struct Known {
    /// How the last poll of each action type that is served ended.
    polls: BTreeMap<ActionTypeId, LastPoll>,
    draining: bool,
    /// When the worker last said that it goes on; it has not begun to, if absent.
    beat: Option<Duration>,
}

/// How the last poll of an action type ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LastPoll {
    /// There was none.
    None,
    /// CodePipeline answered. That it is asked too often is an answer.
    Answered,
    /// It did not, or refused; why, in one line.
    Failed(String),
}

impl Health {
    /// The health of a worker that serves these types and has done nothing yet: alive, and not ready.
    #[must_use]
    pub fn of(types: &[ActionTypeId]) -> Self {
        Self(Arc::new(Mutex::new(Known {
            polls: types.iter().map(|id| (id.clone(), LastPoll::None)).collect(),
            draining: false,
            beat: None,
        })))
    }

    /// A poll of this type was answered.
    pub fn answered(&self, id: &ActionTypeId) {
        self.with(|known| known.polls.insert(id.clone(), LastPoll::Answered));
    }

    /// A poll of this type failed; `why` is one line, which whoever asks may read.
    pub fn failed(&self, id: &ActionTypeId, why: impl Into<String>) {
        let why = why.into();
        self.with(|known| known.polls.insert(id.clone(), LastPoll::Failed(why)));
    }

    /// A stop was asked for: no more jobs are taken.
    pub fn drain(&self) {
        self.with(|known| known.draining = true);
    }

    /// The worker goes on. Once it has said so it must say so again, several times a minute, however busy it is.
    pub fn beat(&self, now: Duration) {
        self.with(|known| known.beat = Some(now));
    }

    /// Whether the worker goes on at all.
    ///
    /// # Errors
    /// Why not, in one line.
    pub fn alive(&self, now: Duration) -> Result<(), String> {
        let silence = self.with(|known| known.beat.map(|beat| now.saturating_sub(beat)));
        match silence {
            Some(silence) if silence > LONGEST_SILENCE => {
                Err(format!("the worker has hung for {} s", silence.as_secs()))
            }
            _ => Ok(()),
        }
    }

    /// Whether it takes jobs: every type that it serves answers to polls, and no stop was asked for.
    ///
    /// # Errors
    /// Why not, one line for each reason.
    pub fn ready(&self) -> Result<(), Vec<String>> {
        let reasons = self.with(|known| {
            let drains = known
                .draining
                .then(|| "it is stopping, and takes no more jobs".to_owned());
            let polls = known.polls.iter().filter_map(|(id, last)| match last {
                LastPoll::None => Some(format!("{id}: not polled yet")),
                LastPoll::Failed(why) => Some(format!("{id}: {why}")),
                LastPoll::Answered => None,
            });
            drains.into_iter().chain(polls).collect::<Vec<String>>()
        });
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::Health;
    use std::time::Duration;

    #[test]
    fn a_worker_is_ready_when_every_type_answers_and_until_it_stops() {
        let (build, deploy) = (
            "Build/Slipway/1".parse().unwrap(),
            "Deploy/Slipway/1".parse().unwrap(),
        );
        let health = Health::of(&[build, deploy]);
        let (build, deploy) = (
            "Build/Slipway/1".parse().unwrap(),
            "Deploy/Slipway/1".parse().unwrap(),
        );
        let not_yet = health.ready().unwrap_err();
        assert_eq!(
            not_yet,
            [
                "Build/Slipway/1: not polled yet",
                "Deploy/Slipway/1: not polled yet"
            ]
        );
        health.answered(&build);
        health.failed(&deploy, "no such action type");
        assert_eq!(
            health.ready().unwrap_err(),
            ["Deploy/Slipway/1: no such action type"]
        );
        health.answered(&deploy);
        assert!(health.ready().is_ok());
        health.drain();
        assert_eq!(
            health.ready().unwrap_err(),
            ["it is stopping, and takes no more jobs"]
        );
    }

    #[test]
    fn a_worker_that_falls_silent_is_dead_and_one_that_begins_is_not() {
        let health = Health::of(&[]);
        let seconds = Duration::from_secs;
        assert!(health.alive(seconds(1_000_000)).is_ok());
        health.beat(seconds(1_000_000));
        assert!(health.alive(seconds(1_000_120)).is_ok());
        assert_eq!(
            health.alive(seconds(1_000_121)).unwrap_err(),
            "the worker has hung for 121 s"
        );
    }
}
