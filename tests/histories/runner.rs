//! Runs tasks that do not exist, as the script says, and keeps books on what really runs: the truth that verdicts are
//! held against.

use crate::script::{Digests, Fate, Script};
use slipway::sandbox::world::World;
use slipway::sandbox::world::ecs::Timings;
use slipway::sandbox::world::orders::{
    CheckOutcome, ContainerHealth, Fact, Interruption, Order, TargetCheck, TaskSpec,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The only container of every task.
pub const CONTAINER: &str = "web";
/// What was deployed: version 2.
pub const DEPLOYED: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";
/// The manifest of our platform, where version 2 is an index.
pub const PLATFORM: &str = "sha256:2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a";
/// Something else.
pub const WRONG: &str = "sha256:6666666666666666666666666666666666666666666666666666666666666666";
pub const BEFORE_IMAGE: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// What the runner knows of one task.
#[derive(Debug, Clone)]
pub struct Job {
    pub fate: Fate,
    pub address: IpAddr,
    /// What runs; none where the runtime does not say.
    pub digest: Option<String>,
    pub started: Option<Duration>,
    pub ended: Option<Duration>,
    /// What its container's check said last.
    pub passes: Option<bool>,
}

impl Job {
    pub fn runs(&self) -> bool {
        self.started.is_some() && self.ended.is_none()
    }

    /// Whether a check at `now` passes.
    fn is_well(&self, now: Duration) -> bool {
        let age = self
            .started
            .map_or(0, |started| (now.saturating_sub(started)).as_secs());
        match self.fate {
            Fate::Sick => false,
            Fate::Heals(at) => age >= at.into(),
            Fate::Sickens(at) => age < at.into(),
            _ => true,
        }
    }
}

pub struct Runner {
    script: Script,
    timings: Timings,
    agenda: BTreeMap<(Duration, u64), Fact>,
    pub jobs: BTreeMap<String, Job>,
    planned: u64,
    /// Tasks of version 2 so far.
    drawn: usize,
}

impl Runner {
    pub fn new(script: Script, timings: Timings) -> Self {
        Self {
            script,
            timings,
            agenda: BTreeMap::new(),
            jobs: BTreeMap::new(),
            planned: 0,
            drawn: 0,
        }
    }

    fn plan(&mut self, at: Duration, fact: Fact) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), fact);
    }

    fn obey(&mut self, now: Duration, order: Order) {
        match order {
            Order::Start(spec) => self.start(now, &spec),
            Order::Stop { task } => self.stop(now, &task),
            Order::Check(check) => self.check(now, check),
        }
    }

    fn start(&mut self, now: Duration, spec: &TaskSpec) {
        let task = spec.task.clone();
        let ours = spec.revision == "shop:2";
        let fate = if ours {
            self.drawn += 1;
            self.script.fate(self.drawn - 1).clone()
        } else {
            Fate::Healthy
        };
        let number = u32::try_from(self.jobs.len()).unwrap() + 4;
        let address = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number));
        let digest = match (&fate, ours, self.script.digests) {
            (Fate::NoDigest, ..) => None,
            (Fate::WrongImage, ..) => Some(WRONG),
            (_, false, _) => Some(BEFORE_IMAGE),
            (_, true, Digests::Deployed) => Some(DEPLOYED),
            (_, true, Digests::Index | Digests::UnreadableIndex) => Some(PLATFORM),
        };
        let digest = digest.map(str::to_owned);
        let job = Job {
            fate: fate.clone(),
            address,
            digest: digest.clone(),
            started: None,
            ended: None,
            passes: None,
        };
        self.jobs.insert(task.clone(), job);
        let addressed = now + self.timings.address;
        let pulling = addressed + self.timings.pull_delay;
        self.plan(
            addressed,
            Fact::Address {
                task: task.clone(),
                address,
            },
        );
        self.plan(pulling, Fact::PullStarted { task: task.clone() });
        if fate == Fate::PullFailure {
            let reason =
                "CannotPullContainerError: failed to resolve ref registry.example/shop/web: not found";
            let refused = Fact::ContainerRefused {
                task,
                container: CONTAINER.to_owned(),
                reason: reason.to_owned(),
            };
            self.plan(pulling + self.timings.pull_failure, refused);
            return;
        }
        if matches!(fate, Fate::StartFailure | Fate::Unreachable) {
            let reason = if fate == Fate::StartFailure {
                "ResourceInitializationError: unable to pull secrets or registry auth: AccessDenied"
            } else {
                "ResourceInitializationError: unable to pull secrets or registry auth: dial tcp: i/o timeout"
            };
            let refused = Fact::TaskRefused {
                task,
                reason: reason.to_owned(),
            };
            self.plan(pulling + self.timings.pull, refused);
            return;
        }
        let pulled = pulling + self.timings.pull;
        let digests = digest.map(|digest| (CONTAINER.to_owned(), digest));
        self.plan(
            pulled,
            Fact::PullStopped {
                task: task.clone(),
                digests: digests.into_iter().collect(),
            },
        );
        if fate == Fate::NeverStarts {
            return;
        }
        let slow = if let Fate::Slow(by) = fate { by } else { 0 };
        let starts = pulled + self.timings.start + Duration::from_secs(slow.into());
        let started = Fact::ContainerStarted {
            task: task.clone(),
            container: CONTAINER.to_owned(),
            runtime_id: format!("{task}-1"),
        };
        self.plan(starts, started);
        if let Some(interval) = self.script.check {
            self.plan_verdicts(starts, &task, &fate, interval.into());
        }
        if let Fate::Interrupted(after) = fate {
            let taken = Fact::Interrupted {
                task: task.clone(),
                by: Interruption::Spot,
            };
            self.plan(starts + Duration::from_secs(after.into()), taken);
        }
        if let Fate::Crash {
            after,
            code,
            out_of_memory,
        } = fate
        {
            let exited = Fact::ContainerExited {
                task,
                container: CONTAINER.to_owned(),
                code,
                out_of_memory,
            };
            self.plan(starts + Duration::from_secs(after.into()), exited);
        }
    }

    /// When the container's own check changes its mind: a first success ends the start, three failures in a row are
    /// UNHEALTHY.
    fn plan_verdicts(&mut self, starts: Duration, task: &str, fate: &Fate, interval: u64) {
        let mut say = |after: u64, health| {
            let fact = Fact::ContainerHealth {
                task: task.to_owned(),
                container: CONTAINER.to_owned(),
                health,
            };
            self.plan(starts + Duration::from_secs(after), fact);
        };
        let first_after = |second: u64| (second.div_ceil(interval).max(1)) * interval;
        match *fate {
            Fate::Sick => say(3 * interval, ContainerHealth::Unhealthy),
            Fate::Heals(at) => {
                let well = first_after(at.into());
                if well > 3 * interval {
                    say(3 * interval, ContainerHealth::Unhealthy);
                }
                say(well, ContainerHealth::Healthy);
            }
            Fate::Sickens(at) => {
                let ill = first_after(at.into());
                if ill > interval {
                    say(interval, ContainerHealth::Healthy);
                }
                say(ill + 2 * interval, ContainerHealth::Unhealthy);
            }
            _ => say(interval, ContainerHealth::Healthy),
        }
    }

    fn stop(&mut self, now: Duration, task: &str) {
        self.agenda
            .retain(|_, fact| fact.task().is_none_or(|of| of != task));
        let mut gone = now + self.timings.answer;
        if self.jobs.get(task).is_some_and(Job::runs) {
            gone = now + self.timings.exit;
            let exited = Fact::ContainerExited {
                task: task.to_owned(),
                container: CONTAINER.to_owned(),
                code: 143,
                out_of_memory: false,
            };
            self.plan(gone, exited);
        }
        self.plan(
            gone,
            Fact::TaskGone {
                task: task.to_owned(),
            },
        );
    }

    fn check(&mut self, now: Duration, check: TargetCheck) {
        let job = self
            .jobs
            .values()
            .find(|job| job.runs() && job.address.to_string() == check.target.id);
        let (after, outcome) = match job {
            Some(job) if job.is_well(now) => (self.timings.answer, CheckOutcome::Status(200)),
            Some(job) => match job.address {
                IpAddr::V4(address) if address.octets()[3] % 2 == 0 => (check.timeout, CheckOutcome::Timeout),
                _ => (self.timings.answer, CheckOutcome::Status(503)),
            },
            None => (self.timings.answer, CheckOutcome::Refused),
        };
        self.plan(
            now + after,
            Fact::TargetChecked {
                target_group: check.target_group,
                target: check.target,
                outcome,
            },
        );
    }

    /// Writes a fact into the books.
    fn note(&mut self, now: Duration, fact: &Fact) {
        let Some(job) = fact.task().and_then(|task| self.jobs.get_mut(task)) else {
            return;
        };
        match fact {
            Fact::ContainerStarted { .. } => job.started = Some(now),
            Fact::ContainerExited { .. } => job.ended = Some(now),
            Fact::ContainerHealth { health, .. } => job.passes = Some(*health == ContainerHealth::Healthy),
            _ => {}
        }
    }

    fn next_due(&self) -> Option<Duration> {
        self.agenda.keys().next().map(|(at, _)| *at)
    }

    fn due(&mut self, now: Duration) -> Vec<Fact> {
        let later = self.agenda.split_off(&(now + Duration::from_nanos(1), 0));
        let due = std::mem::replace(&mut self.agenda, later);
        due.into_values().collect()
    }
}

/// Moves world and runner from change to change up to `until`.
pub fn drive(world: &mut World, runner: &mut Runner, from: Duration, until: Duration) {
    let mut at = from;
    pass_orders(world, runner, at);
    loop {
        let next = [world.next_change(), runner.next_due()]
            .into_iter()
            .flatten()
            .min();
        let Some(next) = next.filter(|next| *next <= until) else {
            break;
        };
        at = next.max(at);
        world.advance(at);
        pass_orders(world, runner, at);
        for fact in runner.due(at) {
            runner.note(at, &fact);
            world.learn(at, fact);
            pass_orders(world, runner, at);
        }
    }
    world.advance(until);
    pass_orders(world, runner, until);
}

fn pass_orders(world: &mut World, runner: &mut Runner, at: Duration) {
    for order in world.take_orders() {
        runner.obey(at, order);
    }
}
