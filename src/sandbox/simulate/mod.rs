//! The simulated runner: carries orders out as the scenario's fates say, on whatever time it is given.
//!
//! It is pure: orders go in with an instant, facts come out when their instant has come. [`drive`] moves a world and a
//! simulator together, which is all that a server without Docker, or a test, needs.

mod verdicts;

use super::scenario::fates::{Course, Fates, Health, Interruptor, Rule, Silence, Target};
use super::world::World;
use super::world::ecs::Timings;
use super::world::orders::{
    CheckOutcome, ContainerSpec, Fact, Interruption, Order, TargetCheck, TaskId, TaskSpec,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Runs tasks that do not exist.
#[derive(Debug)]
pub struct Simulator {
    fates: Fates,
    timings: Timings,
    /// What will happen, by instant and then in the order of planning.
    agenda: BTreeMap<(Duration, u64), Fact>,
    tasks: BTreeMap<TaskId, Simulated>,
    /// How many tasks each of the fates decided over.
    used: Vec<u32>,
    planned: u64,
    made: u32,
    /// The instant up to which [`drive`] came.
    driven: Duration,
}

/// A task that was ordered and is not gone.
#[derive(Debug)]
struct Simulated {
    address: IpAddr,
    rule: Rule,
    containers: Vec<SimulatedContainer>,
    /// When its containers start.
    starts: Duration,
}

#[derive(Debug)]
struct SimulatedContainer {
    name: String,
    stop_timeout: Duration,
    runs: bool,
}

impl Simulator {
    /// A runner for these fates; `timings` are those of the world.
    #[must_use]
    pub fn new(fates: Fates, timings: Timings) -> Self {
        Self {
            used: vec![0; fates.rules.len()],
            fates,
            timings,
            agenda: BTreeMap::new(),
            tasks: BTreeMap::new(),
            planned: 0,
            made: 0,
            driven: Duration::ZERO,
        }
    }

    /// Takes an order at `now`; what comes of it is due later.
    pub fn obey(&mut self, now: Duration, order: Order) {
        match order {
            Order::Start(spec) => self.start(now, &spec),
            Order::Stop { task } => self.stop(now, task),
            Order::Check(check) => self.check(now, check),
        }
    }

    /// The instant of the next fact.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        self.agenda.keys().next().map(|(at, _)| *at)
    }

    /// The facts that are due at `now`, in order.
    pub fn due(&mut self, now: Duration) -> Vec<Fact> {
        let later = self.agenda.split_off(&(now + Duration::from_nanos(1), 0));
        let due = std::mem::replace(&mut self.agenda, later);
        due.into_values().inspect(|fact| self.note(fact)).collect()
    }

    /// A scenario's seconds.
    fn seconds(&self, count: u32) -> Duration {
        self.timings.second * count
    }

    fn plan(&mut self, at: Duration, fact: Fact) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), fact);
    }

    /// Keeps in mind which containers run.
    fn note(&mut self, fact: &Fact) {
        let (task, container, runs) = match fact {
            Fact::ContainerStarted { task, container, .. } => (task, container, true),
            Fact::ContainerExited { task, container, .. } => (task, container, false),
            Fact::TaskGone { task } => {
                self.tasks.remove(task);
                return;
            }
            Fact::Address { .. }
            | Fact::PullStarted { .. }
            | Fact::PullStopped { .. }
            | Fact::ContainerRefused { .. }
            | Fact::TaskRefused { .. }
            | Fact::Interrupted { .. }
            | Fact::ContainerHealth { .. }
            | Fact::LogLine { .. }
            | Fact::TargetChecked { .. } => return,
        };
        let containers = self
            .tasks
            .get_mut(task)
            .into_iter()
            .flat_map(|task| &mut task.containers);
        for one in containers.filter(|one| one.name == *container) {
            one.runs = runs;
        }
    }

    fn start(&mut self, now: Duration, spec: &TaskSpec) {
        let rule = match self.fates.of(spec, &self.used) {
            Some((index, rule)) => {
                let rule = rule.clone();
                self.used[index] += 1;
                rule
            }
            None => Rule::default(),
        };
        let address = self.address();
        let task = spec.task.clone();
        let addressed = now + self.timings.address;
        let pulling = addressed + self.timings.pull_delay;
        let pulled = pulling + self.timings.pull;
        let starts = pulled + self.timings.start + self.seconds(rule.starts_after_seconds);
        self.plan(
            addressed,
            Fact::Address {
                task: task.clone(),
                address,
            },
        );
        self.plan(pulling, Fact::PullStarted { task: task.clone() });
        self.tasks.insert(
            task.clone(),
            Simulated {
                address,
                rule: rule.clone(),
                containers: spec.containers.iter().map(simulated).collect(),
                starts,
            },
        );
        if let Some(interrupted) = &rule.interrupted {
            let by = match interrupted.by {
                Interruptor::Spot => Interruption::Spot,
                Interruptor::Termination => Interruption::Termination,
                Interruptor::Infrastructure => Interruption::Infrastructure,
            };
            let task = task.clone();
            self.plan(
                starts + self.seconds(interrupted.after_seconds),
                Fact::Interrupted { task, by },
            );
        }
        let second = self.timings.second;
        let fails_after = |usual| rule.fails_after_seconds.map_or(usual, |count| second * count);
        if let Some(reason) = rule.start_failure {
            let at = pulling + fails_after(self.timings.pull_failure);
            self.plan(at, Fact::TaskRefused { task, reason });
            return;
        }
        let first = spec.containers.first().map(|container| container.name.clone());
        let named = rule.container.clone().or(first).unwrap_or_default();
        if let Some(reason) = rule.pull_failure {
            let container = named;
            let at = pulling + fails_after(self.timings.pull_failure);
            self.plan(
                at,
                Fact::ContainerRefused {
                    task,
                    container,
                    reason,
                },
            );
            return;
        }
        let digests = spec.containers.iter().filter_map(digest).collect();
        let refused = rule
            .container_failure
            .clone()
            .map(|reason| Fact::ContainerRefused {
                task: task.clone(),
                container: named,
                reason,
            });
        self.plan(pulled, Fact::PullStopped { task, digests });
        match refused {
            Some(refused) => self.plan(pulled + fails_after(self.timings.start), refused),
            None if rule.never_starts => {}
            None => self.run(starts, spec, &rule),
        }
    }

    /// Plans what containers do once they run. Containers that others wait for until their end run first.
    fn run(&mut self, at: Duration, spec: &TaskSpec, rule: &Rule) {
        let mut at = at;
        let (first, then): (Vec<&ContainerSpec>, Vec<&ContainerSpec>) = spec
            .containers
            .iter()
            .partition(|container| is_awaited(container, spec));
        if !first.is_empty() {
            for container in first {
                self.run_container(at, spec, container, rule);
                let (task, container) = (spec.task.clone(), container.name.clone());
                let end = Fact::ContainerExited {
                    task,
                    container,
                    code: 0,
                    out_of_memory: false,
                };
                self.plan(at + self.timings.answer, end);
            }
            at += self.timings.answer;
        }
        for container in then {
            self.run_container(at, spec, container, rule);
        }
    }

    fn run_container(&mut self, at: Duration, spec: &TaskSpec, spec_of: &ContainerSpec, rule: &Rule) {
        let (task, container) = (spec.task.clone(), spec_of.name.clone());
        let runtime_id = format!(
            "{task}-{:010}",
            self.planned.wrapping_mul(2_654_435_761) % 10_000_000_000
        );
        let started = Fact::ContainerStarted {
            task: task.clone(),
            container: container.clone(),
            runtime_id,
        };
        self.plan(at, started);
        let essential = spec_of.definition["essential"].as_bool().unwrap_or(true);
        let fated = match &rule.container {
            Some(named) => *named == container,
            None => essential,
        };
        if fated {
            for line in &rule.lines {
                let (task, container, line) = (task.clone(), container.clone(), line.clone());
                self.plan(
                    at,
                    Fact::LogLine {
                        task,
                        container,
                        line,
                    },
                );
            }
        }
        let health = if fated {
            rule.health
        } else {
            Course::Steady(Health::Passes)
        };
        for (after, health) in verdicts::of(spec_of, health, self.timings.second) {
            let (task, container) = (task.clone(), container.clone());
            self.plan(
                at + after,
                Fact::ContainerHealth {
                    task,
                    container,
                    health,
                },
            );
        }
        if let Some((after, code, out_of_memory)) = rule.end().filter(|_| fated) {
            let exit = Fact::ContainerExited {
                task,
                container,
                code,
                out_of_memory,
            };
            self.plan(at + self.seconds(after), exit);
        }
    }

    fn stop(&mut self, now: Duration, task: TaskId) {
        self.agenda.retain(|_, fact| fact.task() != Some(&task));
        let Some(running) = self.tasks.get(&task) else {
            return;
        };
        let hangs = running.rule.hangs_at_stop;
        let mut last = now + self.timings.answer;
        let mut exits = Vec::new();
        for container in running.containers.iter().filter(|container| container.runs) {
            let killed = hangs || container.stop_timeout < self.timings.exit;
            let (wait, code) = if killed {
                (container.stop_timeout, 137)
            } else {
                (self.timings.exit, 143)
            };
            last = last.max(now + wait);
            exits.push((now + wait, container.name.clone(), code));
        }
        for (at, container, code) in exits {
            let task = task.clone();
            self.plan(
                at,
                Fact::ContainerExited {
                    task,
                    container,
                    code,
                    out_of_memory: false,
                },
            );
        }
        self.plan(last, Fact::TaskGone { task });
    }

    fn check(&mut self, now: Duration, check: TargetCheck) {
        let running = self
            .tasks
            .values()
            .find(|task| task.address.to_string() == check.target.id)
            .filter(|task| task.containers.iter().any(|container| container.runs));
        let second = self.timings.second;
        let finds = |task: &Simulated| task.rule.target.at(now.saturating_sub(task.starts), second);
        let (after, outcome) = match running.map(finds) {
            Some(Target::Status(status)) => (self.timings.answer, CheckOutcome::Status(status)),
            Some(Target::Silent(Silence::Timeout)) => (check.timeout, CheckOutcome::Timeout),
            Some(Target::Silent(Silence::Refused)) | None => (self.timings.answer, CheckOutcome::Refused),
        };
        let TargetCheck {
            target_group, target, ..
        } = check;
        self.plan(
            now + after,
            Fact::TargetChecked {
                target_group,
                target,
                outcome,
            },
        );
    }

    /// The next address of a private network, the first four and the broadcast one of each /24 left out.
    fn address(&mut self) -> IpAddr {
        let host = self.made % 250 + 4;
        let net = self.made / 250;
        self.made += 1;
        let [_, high, low, _] = (net << 8).to_be_bytes();
        let last = u8::try_from(host).unwrap_or(u8::MAX);
        IpAddr::V4(Ipv4Addr::new(10, high, low, last))
    }
}

/// Moves the world and the simulator together up to `until`, stepping from one change to the next.
///
/// Orders that API calls left behind are obeyed at the instant that the last drive reached: call it with the present
/// instant right before every request, and once after it to let what the request ordered begin.
pub fn drive(world: &mut World, simulator: &mut Simulator, until: Duration) {
    let mut at = match simulator.driven {
        Duration::ZERO => until,
        driven => driven.min(until),
    };
    pass_orders(world, simulator, at);
    loop {
        let next = [world.next_change(), simulator.next_due()]
            .into_iter()
            .flatten()
            .min();
        let Some(next) = next.filter(|next| *next <= until) else {
            break;
        };
        at = next.max(at);
        world.advance(at);
        pass_orders(world, simulator, at);
        for fact in simulator.due(at) {
            world.learn(at, fact);
            pass_orders(world, simulator, at);
        }
    }
    world.advance(until);
    pass_orders(world, simulator, until);
    simulator.driven = until;
}

fn pass_orders(world: &mut World, simulator: &mut Simulator, at: Duration) {
    for order in world.take_orders() {
        simulator.obey(at, order);
    }
}

fn simulated(container: &ContainerSpec) -> SimulatedContainer {
    // RegisterTaskDefinition: the default stopTimeout is 30 seconds.
    let seconds = container.definition["stopTimeout"].as_u64().unwrap_or(30);
    SimulatedContainer {
        name: container.name.clone(),
        stop_timeout: Duration::from_secs(seconds),
        runs: false,
    }
}

/// The digest that a container's image has, as far as its reference says it.
fn digest(container: &ContainerSpec) -> Option<(String, String)> {
    let (_, digest) = container.pull.split_once('@')?;
    Some((container.name.clone(), digest.to_owned()))
}

/// Whether another container waits for the end of this one.
fn is_awaited(container: &ContainerSpec, spec: &TaskSpec) -> bool {
    spec.containers
        .iter()
        .filter_map(|other| other.definition["dependsOn"].as_array())
        .flatten()
        .any(|dependency| {
            let ends = dependency["condition"] == "COMPLETE" || dependency["condition"] == "SUCCESS";
            ends && dependency["containerName"] == container.name.as_str()
        })
}

#[cfg(test)]
mod tests;
