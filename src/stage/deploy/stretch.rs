//! Stretches: a run is watched for a while and handed back with all that it takes to go on, as often as it takes.

use super::Deployed;
use super::outcome::{Outcome, doing};
use super::prepare::{Prepared, UNCHANGED};
use super::resume;
use super::roll::Run;
use crate::config::settings::DeploySettings;
use crate::ecs::resume::{Before, Kept, LONGEST, Print, Resume, UnderWay};
use crate::ecs::rollout::WaitingOn;
use crate::failure::{Failure, Kind};
use crate::name::Digest;
use crate::stage::Tools;
use std::collections::BTreeMap;
use std::time::Duration;

/// A stretch that lasts until the verdict.
pub const ENDLESS: Duration = Duration::MAX;

/// The longest summary, in characters; as long as that of a CodePipeline job may be.
const LONGEST_SUMMARY: usize = 2048;

/// The most that is said to be done of a run that is not done.
const NEARLY: u32 = 99;
const NEARLY_ALL: u8 = 99;

/// How old a run is of which the most is kept, in seconds.
const AGE: u64 = 300;

/// How a stretch ended without a failure.
#[derive(Debug)]
#[must_use]
pub enum Stretch {
    /// Every service is healthy, and proven.
    Done(Vec<Deployed>),
    /// A service still waits, and none is lost: another stretch goes on.
    UnderWay(Progress),
    /// A one-off task is at work, and no service was changed: the run is begun again with the same mark, and waits on.
    AtTask(String),
}

/// A run between two stretches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What the next stretch needs.
    pub resume: Resume,
    /// How much is done, of 100: it never falls from one stretch to the next.
    pub percent: u8,
    /// What the services wait for, in one line of at most 2048 characters.
    pub summary: String,
}

/// How long a run is watched, and what a stop means for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// How long a stretch takes, from when every service was begun.
    pub(super) stretch: Duration,
    /// How long each one-off task is waited for before the run is handed back, to be begun again.
    pub(super) tasks: Duration,
    /// Whether a stop hands the run back instead of ending it.
    pub(super) hands_back: bool,
    /// Whether every service is looked at before the end of a stretch.
    pub(super) looks_first: bool,
    /// Whether the timeout counts from a service's update, whoever watches it; else from now.
    pub(super) deadline_is_kept: bool,
    /// How much was said to be done.
    pub(super) percent: u8,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            stretch: ENDLESS,
            tasks: ENDLESS,
            hands_back: false,
            looks_first: false,
            deadline_is_kept: false,
            percent: 0,
        }
    }
}

impl Stretch {
    /// What a run deployed that had no end but its verdict.
    ///
    /// # Errors
    /// That it ended before it.
    pub(super) fn whole(self) -> Result<Vec<Deployed>, Failure> {
        match self {
            Self::Done(deployed) => Ok(deployed),
            Self::UnderWay(progress) => Err(Failure {
                resume: progress.resume.tokens(),
                ..Failure::new(Kind::Bug, "a watch without an end was handed back")
            }),
            Self::AtTask(summary) => Err(Failure::new(
                Kind::Bug,
                format!("a watch without an end was handed back: {summary}"),
            )),
        }
    }
}

impl Progress {
    /// What an earlier stretch handed back, as long as nobody has looked since. The time tells its summary from that of
    /// any other stretch.
    pub(super) fn unseen(resume: &Resume, now: Duration) -> Self {
        let names: Vec<&str> = resume.services.iter().map(|one| one.service.as_str()).collect();
        let began = resume.services.iter().map(UnderWay::started).min();
        let elapsed = now.saturating_sub(began.unwrap_or(now));
        Self {
            resume: resume.clone(),
            percent: resume.percent,
            summary: one_line(&format!(
                "{}: stopped before the watch was taken up, {} so far",
                names.join(", "),
                in_words(elapsed)
            )),
        }
    }

    /// Where the run stands, if a later stretch is to go on with it: none is lost, and one is not proven.
    pub(super) fn of(
        run: &Run<'_>,
        prepared: &[Prepared],
        outcomes: &BTreeMap<usize, Outcome>,
        home: &str,
    ) -> Option<Self> {
        let mut services: Vec<UnderWay> = Vec::new();
        let mut lines = Vec::new();
        let (mut proven, mut done) = (0_usize, 0_u32);
        for (place, outcome) in outcomes {
            match outcome {
                Outcome::Proven(_, kept) => {
                    services.push(kept.as_deref()?.clone());
                    proven += 1;
                    done += 100;
                }
                Outcome::HandedBack {
                    under_way,
                    waiting_on,
                    elapsed,
                } => {
                    services.push((**under_way).clone());
                    done += percent(waiting_on.as_ref());
                    let name = prepared.get(*place).map(|prepared| &prepared.name)?;
                    lines.push(format!(
                        "{name}: {}, {} so far",
                        doing(waiting_on.as_ref()),
                        in_words(*elapsed)
                    ));
                }
                Outcome::Lost { .. }
                | Outcome::Unwatched { .. }
                | Outcome::Back { .. }
                | Outcome::Untouched(_) => return None,
            }
        }
        if lines.is_empty() {
            return None;
        }
        let first = prepared.first()?;
        let of = u32::try_from(services.len()).unwrap_or(u32::MAX).max(1);
        let percent = u8::try_from((done / of).clamp(1, NEARLY)).unwrap_or(u8::MAX);
        let percent = percent.max(run.terms.percent);
        let of_proven = (proven > 0).then(|| format!("{proven} of {} services are healthy", services.len()));
        let parts: Vec<String> = of_proven.into_iter().chain(lines).collect();
        let resume = resume::of(run.tools, run.deploy, home.to_owned(), services, percent);
        resume.one_token()?;
        Some(Self {
            resume,
            percent,
            summary: one_line(&first.hidden.text(&parts.join("; "))),
        })
    }
}

/// Refuses a run whose services do not fit into one token, before anything is changed: nobody could go on with it.
pub(super) fn fits(tools: &Tools, deploy: &DeploySettings, prepared: &[Prepared]) -> Result<(), Failure> {
    let region = prepared
        .first()
        .map(|first| first.ecs.region())
        .unwrap_or_default();
    let now = tools.clock.now().as_secs();
    let length = |count: usize| {
        let services = prepared.iter().take(count).enumerate();
        let services = services
            .map(|(place, prepared)| fullest(place, prepared, now))
            .collect();
        let run = resume::of(tools, deploy, region.to_owned(), services, NEARLY_ALL);
        run.length()
    };
    if length(prepared.len()) <= LONGEST {
        return Ok(());
    }
    let most = (1..prepared.len()).rev().find(|count| length(*count) <= LONGEST);
    let what = format!("{} services are too many for one action", prepared.len());
    Err(Failure::new(Kind::Usage, what)
        .cause(format!(
            "what a worker hands on to the next has room for about {} of them",
            most.unwrap_or_default()
        ))
        .left(UNCHANGED)
        .hint("divide them among several actions, each with a slipway.toml of its own; actions with the same `runOrder` run at the same time"))
}

/// As much as a service takes up in a token: what it will be known by, and what its judge may remember.
fn fullest(place: usize, prepared: &Prepared, now: u64) -> UnderWay {
    // Twenty registrations at once, then one a second.
    let began = u64::try_from(place.saturating_sub(20)).unwrap_or_default();
    let age = AGE.saturating_sub(began);
    let digits = Digest::of(prepared.name.as_str().as_bytes());
    let number = u64::from_str_radix(digits.hex().get(..15).unwrap_or_default(), 16).unwrap_or_default();
    let newer = prepared
        .revision()
        .rsplit_once(':')
        .and_then(|(_, number)| number.parse::<u64>().ok())
        .map_or(1, |number| number + 1);
    UnderWay {
        place: prepared.place.clone(),
        cluster: prepared.cluster.clone(),
        service: prepared.name.to_string(),
        deployment: format!("ecs-svc/{number:019}"),
        revision: format!("{}:{newer}", prepared.wanted.family()),
        started: now.saturating_sub(age),
        changed: true,
        proven: false,
        containers: prepared.images.keys().map(ToString::to_string).collect(),
        images: Print::of(prepared.name.as_str()),
        before: Before::of(&prepared.service),
        kept: Kept::fullest(number, age, &prepared.service),
    }
}

/// How far a rollout is that waits for this, of 100. Steps that take a part of a rollout's time each.
fn percent(waiting_on: Option<&WaitingOn>) -> u32 {
    let part = |of: u32, some: u32, all: u32| of * some.min(all) / all.max(1);
    match waiting_on {
        None | Some(WaitingOn::DeploymentToAppear) => 5,
        Some(
            WaitingOn::TasksToStart { running, desired, .. }
            | WaitingOn::FailingTasks { running, desired, .. }
            | WaitingOn::TasksToPlace { running, desired, .. },
        ) => 10 + part(40, *running, *desired),
        Some(
            WaitingOn::SecondLook
            | WaitingOn::TasksWanted
            | WaitingOn::RollbackToShow
            | WaitingOn::KnownState { .. }
            | WaitingOn::Credentials { .. }
            | WaitingOn::Sight { .. },
        ) => 10,
        Some(WaitingOn::TasksListed | WaitingOn::TasksToStay { .. }) => 60,
        Some(
            WaitingOn::ContainerHealth { healthy, desired } | WaitingOn::Targets { healthy, desired, .. },
        ) => 50 + part(30, *healthy, *desired),
        Some(WaitingOn::Digest { .. } | WaitingOn::Pause { .. } | WaitingOn::Hook { .. }) => 80,
        Some(WaitingOn::TrafficShift { share }) => {
            let tenths = share.map_or(0, crate::ecs::observation::Share::tenths);
            80 + part(10, tenths.into(), 1000)
        }
        Some(WaitingOn::BakeTime { .. } | WaitingOn::Completion { .. }) => 90,
        Some(WaitingOn::OldTasksToDrain { .. }) => 95,
    }
}

/// `2m10s`. To the second, so that no two stretches of a deploy say the same.
pub(super) fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes:02}m{seconds:02}s"),
    }
}

/// One line that is not too long.
fn one_line(text: &str) -> String {
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = printable.clone().take(LONGEST_SUMMARY).collect();
    if printable.count() > LONGEST_SUMMARY {
        line.pop();
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_SUMMARY, Progress, UnderWay, in_words, one_line, percent};
    use crate::ecs::resume::tests::run;
    use crate::ecs::rollout::{STABLE_FOR, WaitingOn};
    use std::time::Duration;

    #[test]
    fn a_rollout_that_comes_nearer_has_more_of_it_done() {
        let start = |running| WaitingOn::TasksToStart {
            running,
            desired: 4,
            failed: 0,
        };
        let health = |healthy| WaitingOn::ContainerHealth { healthy, desired: 4 };
        let steps = [
            WaitingOn::DeploymentToAppear,
            start(0),
            start(2),
            start(3),
            health(1),
            health(3),
            WaitingOn::Completion { stage: None },
            WaitingOn::OldTasksToDrain { remaining: 1 },
        ];
        let percents: Vec<u32> = steps.iter().map(|step| percent(Some(step))).collect();
        assert!(percents.is_sorted() && percents[7] < 100, "{percents:?}");
        let stay = WaitingOn::TasksToStay {
            stable_for: STABLE_FOR,
        };
        assert!(percent(Some(&start(4))) < percent(Some(&stay)));
    }

    #[test]
    fn a_stretch_that_saw_nothing_says_how_long_the_deploy_takes_so_far() {
        let resume = run(2);
        let began = resume.services.iter().map(UnderWay::started).min().unwrap();
        let summary = |after| Progress::unseen(&resume, began + Duration::from_secs(after)).summary;
        assert!(summary(130).ends_with(", 2m10s so far"), "{}", summary(130));
        assert_ne!(summary(7200), summary(7201));
    }

    #[test]
    fn times_and_summaries_are_short() {
        for (seconds, words) in [
            (0, "0s"),
            (59, "59s"),
            (130, "2m10s"),
            (3600, "1h00m00s"),
            (5401, "1h30m01s"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
        assert_eq!(one_line("a\nb\u{1b}c"), "a b c");
        let long = one_line(&"ä".repeat(3000));
        assert_eq!(
            (long.chars().count(), long.ends_with('…')),
            (LONGEST_SUMMARY, true)
        );
    }
}
