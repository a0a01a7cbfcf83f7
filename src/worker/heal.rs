//! What dead workers left: their jobs are taken over from the journal as there is room for them, and done or closed.

use super::abandon;
use super::crew::Crew;
use super::home::{Account, Place};
use super::job;
use super::polls::Work;
use super::slots::Slot;
use crate::aws::Aws;
use crate::aws::sort::{CallError, Sorted};
use crate::clock::Pause;
use crate::config::worker::WorkerSettings;
use crate::failure::chain;
use crate::name::Arn;
use crate::pipeline::claim::{Adopted, Closed, adopt};
use crate::pipeline::job::{ActionTypeId, Category};
use crate::pipeline::journal::{Entry, Look, Phase, Record, Taking};
use crate::report::event::Event;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// How often the journals of dead workers are looked for.
const BETWEEN_LOOKS: Duration = Duration::from_secs(30);

/// How soon they are looked at again while there is one that had no room.
const BETWEEN_TRIES: Duration = Duration::from_secs(5);

/// Looks for jobs that nobody holds any more: at once, and then again and again until a stop is asked for.
pub(super) async fn heal(crew: Arc<Crew>, jobs: UnboundedSender<Work>) {
    let shutdown = &crew.tools.shutdown;
    let mut told = None;
    loop {
        let left = tokio::select! {
            left = take_over(&crew, &jobs, &mut told) => left,
            // A disk may hang. What was taken is left in the journal, for whoever comes next.
            _ = shutdown.reached(crate::shutdown::Urgency::WindDown) => return,
        };
        crew.metrics.orphans(left.waiting);
        let pause = if left.had_no_room {
            BETWEEN_TRIES
        } else {
            BETWEEN_LOOKS
        };
        if crew.clock().pause(pause, shutdown).await == Pause::Stopped {
            return;
        }
    }
}

/// What a look leaves where it is.
#[derive(Debug, Clone, Copy, Default)]
struct Left {
    waiting: usize,
    /// Whether some of it will be ours once there is room.
    had_no_room: bool,
    /// Whether some of it may be of another account.
    in_doubt: bool,
}

/// Takes over what there is room for. `told` is why the account is not known, as it was told last.
async fn take_over(crew: &Arc<Crew>, jobs: &UnboundedSender<Work>, told: &mut Option<Sorted>) -> Left {
    let Ok(aws) = crew.tools.aws.get().await else {
        return Left::default();
    };
    let left = look(crew, jobs).await;
    if !left.in_doubt {
        return left;
    }
    match account_of(aws).await {
        Ok(account) => crew.home.is_in(account),
        // What is in doubt stays where it is until somebody says, and that may be for ever.
        Err(error) => {
            if told.as_ref() != Some(&error.sorted) {
                crew.warn(format!(
                    "jobs of workers that died wait until it is known whether they are of this account, and STS does not say: {}",
                    chain(&error)
                ));
                *told = Some(error.sorted);
            }
            return left;
        }
    }
    look(crew, jobs).await
}

async fn look(crew: &Arc<Crew>, jobs: &UnboundedSender<Work>) -> Left {
    let mut builds = crew.slots.free_now(Category::Build);
    let mut deploys = crew.slots.free_now(Category::Deploy);
    // A build that is taken over without an Engine would be lost for good.
    if !builds.is_empty() && crew.has_engine().await.is_err() {
        builds.clear();
    }
    let mut reach = Reach::of(&crew.settings, crew.home.known(), builds.len(), deploys.len());
    let seen = Arc::new((AtomicBool::new(false), AtomicBool::new(false)));
    let says = Arc::clone(&seen);
    let judge = Box::new(move |record: &Record| {
        let (taking, doubts) = (reach.judge(record), reach.doubts(record));
        says.0
            .fetch_or(taking == Taking::Later && !doubts, Ordering::Relaxed);
        says.1.fetch_or(doubts, Ordering::Relaxed);
        taking
    });
    let Look { taken, waiting } = crew.desk.state.look(judge).await;
    for entry in taken {
        let slot = match room_for(entry.record()) {
            None => None,
            Some(Category::Build) => builds.pop(),
            Some(Category::Deploy) => deploys.pop().or_else(|| builds.pop()),
        };
        let _ = jobs.send(Box::pin(settle(Arc::clone(crew), entry, slot)));
    }
    Left {
        waiting,
        had_no_room: seen.0.load(Ordering::Relaxed),
        in_doubt: seen.1.load(Ordering::Relaxed),
    }
}

async fn account_of(aws: &Aws) -> Result<String, CallError> {
    const ACTION: &str = "sts:GetCallerIdentity";
    let identity = aws.sts.get_caller_identity().send().await;
    let identity = identity.map_err(CallError::of(ACTION))?;
    identity.account.ok_or_else(CallError::lacking(ACTION, "Account"))
}

/// Does or closes a job that was taken over.
async fn settle(crew: Arc<Crew>, entry: Entry, slot: Option<Slot>) {
    let record = entry.record();
    let tell = crew.tell_at(Some(&record.job), &record.context);
    let note = |text: String| tell.tell(Event::Note(text));
    let warn = |text: String| tell.tell(Event::Warning(text));
    let (job, context, phase) = (record.job.clone(), record.context.clone(), record.phase.clone());
    let adopted = adopt(&crew.desk, entry).await;
    if let (Phase::Reporting(ending), Adopted::Reported(closed @ (Closed::Accepted | Closed::Over { .. }))) =
        (phase, &adopted)
    {
        abandon::reported(&crew, (&job, &context), ending, *closed).await;
    }
    match (adopted, slot) {
        (Adopted::Ours(claimed), Some(slot)) => {
            warn("the worker that had it is gone; it is taken over".to_owned());
            job::work(&crew, *claimed, slot).await;
        }
        // Whose result is known is never ours to do.
        (Adopted::Ours(claimed), None) => drop(claimed),
        (Adopted::Reported(Closed::Accepted | Closed::Over { .. }), _) => {
            note("its result, which could not be reported before, is reported".to_owned());
        }
        (Adopted::Reported(Closed::Unreported), _) => {
            note("its result cannot be reported yet".to_owned());
        }
        (Adopted::TooOld, _) => warn(
            "the worker that had it is gone, and nobody says whether its action has ended; it is reported failed".to_owned(),
        ),
        (Adopted::Abandoned { job, entry }, _) => {
            note("nothing is to be done: its action was abandoned".to_owned());
            abandon::found(&crew, &job).await;
            entry.forget().await;
        }
        (Adopted::NotOurs(reason), _) => {
            note(format!("nothing is to be done: {}", reason.words()));
        }
        (Adopted::NotYet(error), _) => {
            let failure = error.into_failure();
            let why = failure.root_cause().unwrap_or_default();
            warn(format!(
                "it cannot be taken over yet: {}: {why}",
                failure.what
            ));
        }
    }
}

/// What a worker takes over: jobs of its account and region, of types and fleets that it serves, as many as it has room for.
#[derive(Debug)]
struct Reach {
    home: Place,
    types: Vec<ActionTypeId>,
    fleets: Vec<String>,
    builds: usize,
    deploys: usize,
}

/// What room a job of the journal needs: none if its result is known and has only to be put. Of a damaged entry nobody
/// knows, so that it takes any.
fn room_for(record: &Record) -> Option<Category> {
    match record.phase {
        Phase::Reporting(_) => None,
        Phase::Acknowledging | Phase::Working => Some(
            record
                .action_type
                .as_ref()
                .map_or(Category::Deploy, |it| it.category),
        ),
    }
}

impl Reach {
    fn of(settings: &WorkerSettings, home: Place, builds: usize, deploys: usize) -> Self {
        Self {
            home,
            types: settings.action_types.clone(),
            fleets: settings.fleets.clone(),
            builds,
            deploys,
        }
    }

    /// Whether a job may be of another account: the worker's own is not known yet.
    fn doubts(&self, record: &Record) -> bool {
        let arn = record.context.pipeline_arn.parse::<Arn>();
        self.home.account == Account::Unknown
            && self.foreign(record).is_none()
            && arn.is_ok_and(|arn| arn.region() == self.home.region && !arn.account().is_empty())
    }

    fn judge(&mut self, record: &Record) -> Taking {
        if let Some(why) = self.foreign(record) {
            return Taking::Never(why);
        }
        if self.doubts(record) {
            return Taking::Later;
        }
        let room = match room_for(record) {
            None => return Taking::Now,
            Some(Category::Build) => &mut self.builds,
            Some(Category::Deploy) if self.deploys == 0 && record.action_type.is_none() => &mut self.builds,
            Some(Category::Deploy) => &mut self.deploys,
        };
        if *room == 0 {
            return Taking::Later;
        }
        *room -= 1;
        Taking::Now
    }

    /// Why a job is for another worker.
    fn foreign(&self, record: &Record) -> Option<String> {
        if let Ok(arn) = record.context.pipeline_arn.parse::<Arn>() {
            if arn.region() != self.home.region {
                return Some(format!("its pipeline is in {}", arn.region()));
            }
            if let Account::Is(ours) = &self.home.account
                && arn.account() != ours
            {
                return Some(format!("its pipeline is in account {}", arn.account()));
            }
        }
        // A result may be put by whoever is in its account.
        room_for(record)?;
        match (&record.action_type, &record.fleet) {
            (Some(action_type), _) if !self.types.contains(action_type) => {
                Some(format!("its action type is {action_type}"))
            }
            (_, Some(fleet)) if !self.fleets.contains(fleet) => Some(format!("its fleet is `{fleet}`")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Account, Place, Reach};
    use crate::pipeline::job::{Context, JobId};
    use crate::pipeline::journal::{Phase, Record, Taking};
    use crate::pipeline::result::{Details, Ending, Outcome};
    use std::time::Duration;

    fn record(action_type: &str) -> Record {
        Record {
            job: JobId::new("1"),
            action_type: Some(action_type.parse().unwrap()),
            fleet: Some("default".to_owned()),
            context: Context {
                pipeline_arn: "arn:aws:codepipeline:eu-west-1:111122223333:shop".to_owned(),
                ..Context::default()
            },
            nonce: String::new(),
            phase: Phase::Working,
            attempts: 1,
            claimed: Duration::ZERO,
        }
    }

    fn reach(builds: usize, deploys: usize) -> Reach {
        Reach {
            home: Place {
                region: "eu-west-1".to_owned(),
                account: Account::Is("111122223333".to_owned()),
            },
            types: vec![
                "Build/Slipway/1".parse().unwrap(),
                "Deploy/Slipway/1".parse().unwrap(),
            ],
            fleets: vec!["default".to_owned()],
            builds,
            deploys,
        }
    }

    #[test]
    fn as_many_are_taken_as_there_is_room_for() {
        let mut reach = reach(1, 2);
        let judged = ["Build", "Deploy", "Build", "Deploy", "Deploy"]
            .map(|category| reach.judge(&record(&format!("{category}/Slipway/1"))) == Taking::Now);
        assert_eq!(judged, [true, true, false, true, false]);
        let done = Record {
            phase: Phase::Reporting(Ending::Success(Outcome::Again(
                "t".to_owned(),
                Details::default(),
            ))),
            ..record("Build/Slipway/1")
        };
        assert_eq!(reach.judge(&done), Taking::Now, "a result needs no room");
    }

    #[test]
    fn a_damaged_entry_takes_any_room() {
        let damaged = Record {
            action_type: None,
            fleet: None,
            context: Context::default(),
            ..record("Build/Slipway/1")
        };
        for (builds, deploys, expected) in [(0, 1, Taking::Now), (1, 0, Taking::Now), (0, 0, Taking::Later)] {
            assert_eq!(
                reach(builds, deploys).judge(&damaged),
                expected,
                "{builds} {deploys}"
            );
        }
    }

    #[test]
    fn what_another_worker_serves_is_left_to_it() {
        let of = |arn: &str| Record {
            context: Context {
                pipeline_arn: arn.to_owned(),
                ..Context::default()
            },
            ..record("Deploy/Slipway/1")
        };
        let blue = Record {
            fleet: Some("blue".to_owned()),
            ..record("Deploy/Slipway/1")
        };
        for (record, why) in [
            (
                of("arn:aws:codepipeline:eu-central-1:111122223333:shop"),
                "eu-central-1",
            ),
            (
                of("arn:aws:codepipeline:eu-west-1:444455556666:shop"),
                "444455556666",
            ),
            (record("Deploy/Slipway/2"), "Deploy/Slipway/2"),
            (blue, "`blue`"),
        ] {
            let Taking::Never(said) = reach(1, 1).judge(&record) else {
                panic!("{record:?}")
            };
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn the_account_is_asked_for_before_anything_of_the_region_is_taken() {
        let mut reach = reach(1, 1);
        reach.home.account = Account::Unknown;
        let record = record("Deploy/Slipway/1");
        assert!(reach.doubts(&record));
        assert_eq!(reach.judge(&record), Taking::Later);
        reach.home.account = Account::Is("111122223333".to_owned());
        assert!(!reach.doubts(&record));
        assert_eq!(reach.judge(&record), Taking::Now);
    }
}
