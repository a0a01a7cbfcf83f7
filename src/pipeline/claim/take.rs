//! Jobs acknowledged: those that a poll offered, and those that somebody left.

use super::close::{Deadline, close};
use super::{ClaimedJob, Closed, Desk};
use crate::failure::chain;
use crate::pipeline::client::{Acknowledged, ActionStatus, JobStatus, PipelineError};
use crate::pipeline::credentials::JobCredentials;
use crate::pipeline::job::{Job, Offer};
use crate::pipeline::journal::{Entry, JournalError, Phase, Record};
use crate::pipeline::result::{Ending, FailureReport, FailureType};
use std::time::Duration;

/// How long an action of CodePipeline runs at most. A job that was claimed before that may be over, if nobody says.
const LONGEST_ACTION: Duration = Duration::from_secs(24 * 3600);

/// Whether a claimed job is surely nobody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// CodePipeline says that it is ours.
    Sure,
    /// The answer to an acknowledgement was lost, and a later one said that somebody has it. Dropped, it could hang its
    /// pipeline for a day; done twice, it does no harm.
    Maybe,
}

/// What came of an offer.
#[derive(Debug)]
#[must_use]
pub enum Claim {
    /// The job is ours.
    Ours(Box<ClaimedJob>),
    /// It is not, and no result may be put.
    NotOurs(NotOurs),
}

/// Why a job is not ours. All but the last two are normal in a fleet.
#[derive(Debug)]
pub enum NotOurs {
    /// Somebody else has it.
    Taken,
    /// There is no such job any more.
    Gone,
    /// It has another status than that of a claim.
    Status(JobStatus),
    /// Its action has ended while nobody held it.
    ActionOver(ActionStatus),
    /// We have it already.
    Held,
    /// A stop was asked for before it was acknowledged.
    Stopping,
    /// CodePipeline did not let it be acknowledged; it will be offered again.
    Refused(PipelineError),
    /// The journal could not be written, so it was not acknowledged; it will be offered again. Whoever polls should wait
    /// until the disk is well.
    Journal(JournalError),
    /// No answer came for so long that it was given up. The journal keeps it, and the next look acknowledges it again.
    InDoubt(PipelineError),
}

/// What came of a job that somebody left.
#[derive(Debug)]
#[must_use]
pub enum Adopted {
    /// It is ours: it is to be done again, from its beginning or from its token.
    Ours(Box<ClaimedJob>),
    /// Its result was known and has been put, now or as [`Closed`] says.
    Reported(Closed),
    /// It is too old to be done, and nobody says whether it is over: it has been reported failed.
    TooOld,
    /// Its action was abandoned while nobody held it: no result is wanted, and what it had begun is as it was left. The
    /// entry is to be forgotten after that was seen to.
    Abandoned {
        /// The job, whose token says what it had begun.
        job: Box<Job>,
        /// What the journal keeps of it.
        entry: Box<Entry>,
    },
    /// There is nothing left to do.
    NotOurs(NotOurs),
    /// CodePipeline does not say what became of it. The journal keeps it for the next look.
    NotYet(PipelineError),
}

/// Acknowledges a job that was offered. It is written down first, so that no worker that dies takes it along.
pub async fn claim(desk: &Desk, offer: Offer) -> Claim {
    if desk.shutdown.is_raised() {
        return Claim::NotOurs(NotOurs::Stopping);
    }
    // The keys are as old as the offer.
    let credentials = JobCredentials::new(
        desk.client.clone(),
        desk.clock.clone(),
        offer.job.id.clone(),
        offer.keys.clone(),
    );
    let entry = match desk.state.begin(&offer, desk.clock.now()).await {
        Ok(entry) => entry,
        Err(JournalError::Held(_)) => return Claim::NotOurs(NotOurs::Held),
        Err(error) => return Claim::NotOurs(NotOurs::Journal(error)),
    };
    // One that was left in doubt before may have been acknowledged then.
    let doubt = entry.was_left();
    match acknowledge(desk, &entry, doubt).await {
        Ok(Certainty::Maybe) if desk.state.is_in_other_hands(&entry.record().job).await => {
            desk.forget(entry).await;
            Claim::NotOurs(NotOurs::Taken)
        }
        Ok(certainty) => Claim::Ours(ours(desk, offer, credentials, certainty, entry).await),
        Err(not @ NotOurs::InDoubt(_)) => {
            // Dropped, the entry is left for the next look.
            drop(entry);
            Claim::NotOurs(not)
        }
        Err(not) => {
            desk.forget(entry).await;
            Claim::NotOurs(not)
        }
    }
}

/// Takes up a job that somebody left: what [`State::look`](crate::pipeline::journal::State::look) gave.
pub async fn adopt(desk: &Desk, entry: Entry) -> Adopted {
    if let Phase::Reporting(ending) = &entry.record().phase {
        let ending = ending.clone();
        let reported = desk.reporters.run(close(desk.clone(), entry, ending, true)).await;
        return Adopted::Reported(reported.unwrap_or(Closed::Unreported));
    }
    let job = entry.record().job.clone();
    let (details, keys) = match desk.client.details(&job).await {
        Ok(Some(found)) => found,
        // Of a damaged entry nobody knows whose it is: another account's job is not known here either. Nothing could be done
        // for it, and the file was set aside.
        Ok(None) => {
            desk.forget(entry).await;
            return Adopted::NotOurs(NotOurs::Gone);
        }
        Err(error) => return Adopted::NotYet(error),
    };
    let credentials = JobCredentials::new(desk.client.clone(), desk.clock.clone(), job, keys);
    // Details are given of jobs that are over, too. What is done for those is in vain, and may undo what came after them.
    let status = match desk.client.what_became(&details.context).await {
        Ok(status) => status,
        Err(error) => return Adopted::NotYet(error),
    };
    let certainty = match prospect(entry.record(), status, desk.clock.now()) {
        Prospect::Over if status == ActionStatus::Abandoned => {
            return Adopted::Abandoned {
                job: Box::new(details),
                entry: Box::new(entry),
            };
        }
        Prospect::Over => Err(NotOurs::ActionOver(status)),
        Prospect::TooOld => {
            let reported = close(desk.clone(), entry, Ending::Failure(too_old()), true);
            return match desk.reporters.run(reported).await {
                Ok(Closed::Accepted | Closed::Over { .. }) => Adopted::TooOld,
                Ok(Closed::Unreported) | Err(_) => Adopted::Reported(Closed::Unreported),
            };
        }
        // Whoever wrote it down may have acknowledged it, and may have died before the answer.
        Prospect::Open if entry.record().phase == Phase::Acknowledging => {
            acknowledge(desk, &entry, true).await
        }
        Prospect::Open => Ok(Certainty::Sure),
    };
    let offer = Offer {
        job: details,
        nonce: String::new(),
        keys: None,
    };
    match certainty {
        Ok(Certainty::Maybe) if desk.state.is_in_other_hands(&entry.record().job).await => {
            desk.forget(entry).await;
            Adopted::NotOurs(NotOurs::Taken)
        }
        Ok(certainty) => Adopted::Ours(ours(desk, offer, credentials, certainty, entry).await),
        Err(NotOurs::InDoubt(error)) => {
            drop(entry);
            Adopted::NotYet(error)
        }
        Err(not) => {
            desk.forget(entry).await;
            Adopted::NotOurs(not)
        }
    }
}

/// Whether a job that somebody left is still to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prospect {
    Open,
    Over,
    /// Nobody says whether it is over, and it is as old as an action may be, or of unknown age.
    TooOld,
}

fn prospect(record: &Record, status: ActionStatus, now: Duration) -> Prospect {
    match status {
        ActionStatus::Running => Prospect::Open,
        ActionStatus::Abandoned | ActionStatus::Ended => Prospect::Over,
        ActionStatus::Denied | ActionStatus::Unknown
            if now.saturating_sub(record.claimed) < LONGEST_ACTION =>
        {
            Prospect::Open
        }
        ActionStatus::Denied | ActionStatus::Unknown => Prospect::TooOld,
    }
}

/// Said of a job that may be open though it should not: any result is better than none, and one that nobody waits for
/// does no harm.
fn too_old() -> FailureReport {
    FailureReport::new(
        FailureType::JobFailed,
        "error: the worker that held this job died, and what it did is too old to be taken up; left: unknown, what it did is \
         not taken back; hint: retry the stage",
    )
}

async fn ours(
    desk: &Desk,
    offer: Offer,
    credentials: JobCredentials,
    certainty: Certainty,
    mut entry: Entry,
) -> Box<ClaimedJob> {
    // If the disk does not take it, the next worker acknowledges once more.
    desk.written(entry.working()).await;
    let desk = desk.clone();
    Box::new(ClaimedJob::new(desk, offer.job, credentials, certainty, entry))
}

/// Acknowledges until an answer says whose the job is. `doubt` says whether an earlier acknowledgement may have taken
/// effect.
async fn acknowledge(desk: &Desk, entry: &Entry, mut doubt: bool) -> Result<Certainty, NotOurs> {
    let record = entry.record();
    let mut deadline = Deadline::of(desk);
    let mut attempts = 0;
    loop {
        let asked = desk.client.acknowledge(&record.job, &record.nonce);
        let Some(answer) = deadline.answer(asked).await else {
            return Err(NotOurs::InDoubt(PipelineError::silent(record.job.clone())));
        };
        attempts += 1;
        let error = match answer {
            Ok(Acknowledged::Status(JobStatus::InProgress)) => return Ok(Certainty::Sure),
            Ok(Acknowledged::Status(status)) => return Err(NotOurs::Status(status)),
            Ok(Acknowledged::InvalidNonce) if doubt => return Ok(Certainty::Maybe),
            Ok(Acknowledged::InvalidNonce) => return Err(NotOurs::Taken),
            Ok(Acknowledged::NoJob) => return Err(NotOurs::Gone),
            Err(error) => error,
        };
        doubt |= error.is_in_doubt();
        let passing = error.is_in_doubt() || error.is_throttled();
        // What was not acknowledged will be offered again; what may have been must be known, or written down.
        let stop = desk.shutdown.is_raised() && (!doubt || desk.state.is_durable());
        if !passing || stop || !deadline.pause(attempts).await {
            return Err(if doubt {
                NotOurs::InDoubt(error)
            } else {
                NotOurs::Refused(error)
            });
        }
    }
}

impl NotOurs {
    /// In a few words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Taken => "another worker has it".to_owned(),
            Self::Gone => "it is gone".to_owned(),
            Self::Status(status) => format!("its status is {}", status.word()),
            Self::ActionOver(_) => "its action is over".to_owned(),
            Self::Held => "it is held already".to_owned(),
            Self::Stopping => "a stop was asked for".to_owned(),
            Self::Refused(error) | Self::InDoubt(error) => chain(error),
            Self::Journal(error) => chain(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_ACTION, Prospect, prospect};
    use crate::pipeline::client::ActionStatus;
    use crate::pipeline::job::{Context, JobId};
    use crate::pipeline::journal::{Phase, Record};
    use std::time::Duration;

    #[test]
    fn what_is_over_is_not_done_and_what_may_be_is_not_done_for_ever() {
        let now = LONGEST_ACTION * 20;
        let left = |claimed| Record {
            job: JobId::new("1"),
            action_type: None,
            fleet: None,
            context: Context::default(),
            nonce: String::new(),
            phase: Phase::Working,
            attempts: 1,
            claimed,
        };
        let (young, old, damaged) = (now - LONGEST_ACTION / 2, now - LONGEST_ACTION, Duration::ZERO);
        for (claimed, status, expected) in [
            (young, ActionStatus::Running, Prospect::Open),
            (old, ActionStatus::Running, Prospect::Open),
            (young, ActionStatus::Ended, Prospect::Over),
            (young, ActionStatus::Abandoned, Prospect::Over),
            (young, ActionStatus::Unknown, Prospect::Open),
            (young, ActionStatus::Denied, Prospect::Open),
            (old, ActionStatus::Denied, Prospect::TooOld),
            (old, ActionStatus::Unknown, Prospect::TooOld),
            (damaged, ActionStatus::Unknown, Prospect::TooOld),
        ] {
            assert_eq!(
                prospect(&left(claimed), status, now),
                expected,
                "{claimed:?} {status:?}"
            );
        }
    }
}
