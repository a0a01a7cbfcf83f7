//! What became of every service of a run, summed up: all of them proven, or one failure that tells of each.

use super::Deployed;
use super::account::gone_back;
use crate::ecs::capture::Aftermath;
use crate::ecs::resume::UnderWay;
use crate::ecs::rollout::WaitingOn;
use crate::failure::{Failure, Kind};
use crate::name::ServiceName;
use std::time::Duration;

/// Services that failed too and have a line of their own.
const MOST_LINES: usize = 5;

/// What became of one service.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Healthy, and proven; and what a later stretch looks at again if the others are not.
    Proven(Deployed, Option<Box<UnderWay>>),
    /// A later stretch goes on with it.
    HandedBack {
        under_way: Box<UnderWay>,
        /// What it was waiting for; none if nobody has looked at it yet.
        waiting_on: Option<WaitingOn>,
        /// Since its update.
        elapsed: Duration,
    },
    /// Failed, or in doubt, or stopped.
    Lost {
        failure: Box<Failure>,
        /// Which loss of the run it is: the first one decides.
        order: usize,
        /// What takes up the watch again, where ECS goes on.
        goes_on: Option<Box<UnderWay>>,
    },
    /// Left to ECS because another one failed.
    Unwatched {
        /// What it was doing.
        doing: String,
        goes_on: Option<Box<UnderWay>>,
    },
    /// Taken back because another one failed.
    Back {
        /// What came of it.
        aftermath: Aftermath,
        /// Whether the service was left on our revision, or may have been.
        stays: bool,
    },
    /// Not changed because another one failed; what is left.
    Untouched(String),
}

impl Outcome {
    /// The rollout that ECS goes on with unwatched, if there is one.
    pub(super) fn goes_on(&self) -> Option<&UnderWay> {
        match self {
            Self::Lost { goes_on, .. } | Self::Unwatched { goes_on, .. } => goes_on.as_deref(),
            Self::HandedBack { under_way, .. } => Some(under_way).filter(|it| it.changed).map(|it| &**it),
            Self::Proven(..) | Self::Back { .. } | Self::Untouched(_) => None,
        }
    }

    /// What became of a service that had its verdict and was taken back then. A failure stays one, with what serves
    /// after it; ECS goes on with its rollout only if that did not end.
    pub(super) fn then(self, later: Self) -> Self {
        match (self, later) {
            (
                Self::Lost {
                    failure,
                    order,
                    goes_on,
                },
                Self::Back { aftermath, stays },
            ) => Self::Lost {
                failure: Box::new(gone_back(*failure, aftermath)),
                order,
                goes_on: goes_on.filter(|_| stays),
            },
            (_, later) => later,
        }
    }
}

/// What was deployed, or the first failure with a word on every other service.
pub(super) fn sum_up(outcomes: Vec<(ServiceName, Outcome)>) -> Result<Vec<Deployed>, Failure> {
    let mut deployed = Vec::new();
    let mut lost = Vec::new();
    let (mut unwatched, mut back, mut untouched) = (Vec::new(), Vec::new(), Vec::new());
    for (name, outcome) in outcomes {
        match outcome {
            Outcome::Proven(done, _) => deployed.push(done),
            Outcome::HandedBack { waiting_on, .. } => {
                unwatched.push(format!("`{name}` ({})", doing(waiting_on.as_ref())));
            }
            Outcome::Lost { failure, order, .. } => lost.push((order, name, *failure)),
            Outcome::Unwatched { doing, .. } => unwatched.push(format!("`{name}` ({doing})")),
            Outcome::Back { aftermath, .. } => back.push(format!("`{name}` {}", aftermath.left)),
            Outcome::Untouched(left) => untouched.push(format!("`{name}` ({left})")),
        }
    }
    lost.sort_by_key(|(order, ..)| *order);
    let mut lost = lost.into_iter();
    let Some((_, _, failure)) = lost.next() else {
        if unwatched.is_empty() && back.is_empty() && untouched.is_empty() {
            return Ok(deployed);
        }
        return Err(Failure::new(
            Kind::Bug,
            "services were given up and none had failed",
        ));
    };
    let also: Vec<(ServiceName, Failure)> = lost.map(|(_, name, failure)| (name, failure)).collect();
    let mut others: Vec<String> = also.iter().take(MOST_LINES).map(also_failed).collect();
    if also.len() > MOST_LINES {
        let names = also[MOST_LINES..].iter().map(|(name, _)| format!("`{name}`"));
        others.push(format!("also failed: {}", names.collect::<Vec<_>>().join(", ")));
    }
    let proven = deployed
        .iter()
        .map(|done| format!("`{}` runs `{}`", done.service, done.revision));
    for (heading, services) in [
        ("goes on unwatched", unwatched),
        ("taken back", back),
        ("not changed", untouched),
        ("proven", proven.collect()),
    ] {
        if !services.is_empty() {
            others.push(format!("{heading}: {}", services.join("; ")));
        }
    }
    Err(Failure { others, ..failure })
}

/// What a service was doing when it was left.
pub(super) fn doing(waiting_on: Option<&WaitingOn>) -> String {
    waiting_on.map_or_else(|| "just begun".to_owned(), |on| format!("waiting for {on}"))
}

fn also_failed((_, failure): &(ServiceName, Failure)) -> String {
    let why = failure.root_cause().map(|why| format!(": {why}"));
    let left = failure.left.as_ref().map(|left| format!("; left: {left}"));
    format!(
        "also failed: {}{}{}",
        failure.what,
        why.unwrap_or_default(),
        left.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::{Aftermath, Deployed, Outcome, UnderWay, sum_up};
    use crate::config::settings::Place;
    use crate::ecs::resume::{Before, Kept, Print};
    use crate::ecs::rollout::tests::build;
    use crate::failure::{Failure, Kind};
    use crate::name::ServiceName;
    use std::collections::BTreeSet;

    fn named(name: &str, outcome: Outcome) -> (ServiceName, Outcome) {
        (name.parse().unwrap(), outcome)
    }

    fn done(name: &str) -> Deployed {
        Deployed {
            service: name.parse().unwrap(),
            revision: format!("{name}:3"),
            deployment: None,
            images: Vec::new(),
        }
    }

    fn lost(order: usize, kind: Kind, what: &str) -> Outcome {
        Outcome::Lost {
            failure: Box::new(Failure::new(kind, what).left(format!("{what} is left"))),
            order,
            goes_on: None,
        }
    }

    fn unwatched(doing: &str) -> Outcome {
        Outcome::Unwatched {
            doing: doing.to_owned(),
            goes_on: None,
        }
    }

    fn taken_back(state: &str, stays: bool) -> Outcome {
        let aftermath = Aftermath {
            service: "shop".to_owned(),
            cluster: None,
            rolled_back: !stays,
            left: state.to_owned(),
            evidence: Vec::new(),
            hints: Vec::new(),
        };
        Outcome::Back { aftermath, stays }
    }

    #[test]
    fn a_service_that_was_lost_and_then_taken_back_is_told_as_both_and_goes_on_only_if_it_stays() {
        let under_way = UnderWay {
            cluster: "prod".to_owned(),
            service: "shop".to_owned(),
            deployment: "ecs-svc/2".to_owned(),
            revision: "shop:2".to_owned(),
            place: Place::default(),
            started: 0,
            changed: true,
            proven: false,
            containers: BTreeSet::new(),
            images: Print::of(""),
            before: Before::of(&build::before(1)),
            kept: Kept::of_seen(),
        };
        for (stays, kind) in [(false, Kind::RolledBack), (true, Kind::Deadline)] {
            let late = Outcome::Lost {
                failure: Box::new(Failure::new(Kind::Deadline, "too slow").left("goes on")),
                order: 3,
                goes_on: Some(Box::new(under_way.clone())),
            };
            let both = late.then(taken_back("what serves", stays));
            let Outcome::Lost {
                failure,
                order,
                goes_on,
            } = both
            else {
                panic!("{both:?}");
            };
            assert_eq!((failure.kind, order, goes_on.is_some()), (kind, 3, stays));
            assert_eq!(failure.what, "too slow");
            assert_eq!(failure.left.as_deref(), Some("what serves"));
        }
        let back = Outcome::Proven(done("shop"), None).then(taken_back("was healthy", false));
        assert!(matches!(back, Outcome::Back { .. }));
    }

    #[test]
    fn the_first_failure_decides_and_every_other_service_is_told() {
        let outcomes = vec![
            named("api", Outcome::Proven(done("api"), None)),
            named("jobs", lost(1, Kind::Superseded, "jobs was superseded")),
            named("web", lost(0, Kind::RolledBack, "web failed")),
            named("mail", unwatched("waiting for tasks to start")),
            named("cron", Outcome::Untouched("`cron:1` serves as before".to_owned())),
            named("shop", taken_back("was healthy, and `shop:1` is back", false)),
        ];
        let failure = sum_up(outcomes).unwrap_err();
        assert_eq!(
            (failure.kind, failure.what.as_str(), failure.left.as_deref()),
            (Kind::RolledBack, "web failed", Some("web failed is left"))
        );
        assert_eq!(
            failure.others,
            [
                "also failed: jobs was superseded; left: jobs was superseded is left",
                "goes on unwatched: `mail` (waiting for tasks to start)",
                "taken back: `shop` was healthy, and `shop:1` is back",
                "not changed: `cron` (`cron:1` serves as before)",
                "proven: `api` runs `api:3`",
            ]
        );
    }

    #[test]
    fn all_proven_is_success_and_nothing_else_is() {
        let proven = || named("api", Outcome::Proven(done("api"), None));
        assert_eq!(sum_up(vec![proven()]).unwrap(), [done("api")]);
        let given_up = named("web", unwatched("just begun"));
        assert_eq!(sum_up(vec![proven(), given_up]).unwrap_err().kind, Kind::Bug);
    }

    #[test]
    fn many_failures_take_few_lines() {
        let outcomes = (0..50).map(|n| named(&format!("s{n}"), lost(n, Kind::RolledBack, "x")));
        let failure = sum_up(outcomes.collect()).unwrap_err();
        assert_eq!(failure.others.len(), 6);
        assert!(failure.others[5].ends_with("`s49`"), "{:?}", failure.others);
    }
}
