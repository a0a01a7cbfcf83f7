//! What is true in the world at an instant, by definitions that share nothing with the judge.

use super::{PORT, Place, STAYS, id_of, text};
use crate::runner::{DEPLOYED, PLATFORM};
use crate::script::{Digests, Fate, Kind};
use serde_json::{Value, json};
use slipway::sandbox::world::orders::TargetId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How much later than the world a watch knows that a task has run for long enough: a pause before it saw it start.
pub const GRAIN: Duration = Duration::from_secs(15);

/// What is true at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    pub at: Duration,
    pub active: bool,
    pub primary: String,
    pub desired: u64,
    /// Our deployment's `rolloutState`, while the world lists it.
    pub ours: Option<String>,
    /// Our tasks that run, are meant to, and pass every check that is configured.
    pub good: u64,
    /// Those of them that pass a check, or have run for longer than any watch needs to see it.
    pub lasting: u64,
    /// Our running tasks with another image.
    pub wrong: u64,
    /// Our running tasks that nothing reports a digest of.
    pub unproven: u64,
    /// Tasks of others that are not gone, and targets that drain.
    pub old: u64,
    /// How long each of our tasks has run whose checks pass.
    pub ran: Vec<Duration>,
}

impl Truth {
    /// The definition of healthy: our deployment is the one that the service wants, and as many of its tasks as are
    /// desired run, pass, and have the right image.
    pub fn is_healthy(&self, ours: &str) -> bool {
        self.active
            && self.primary == ours
            && self.desired > 0
            && self.good >= self.desired
            && self.wrong == 0
    }

    pub fn is_completed(&self) -> bool {
        self.ours.as_deref() == Some("COMPLETED")
    }
}

impl Place {
    /// Looks at what is true now.
    pub fn truth(&mut self) -> Truth {
        let service = self.described();
        let service = &*service;
        let primary = text(&service["deployments"][0]["id"]);
        self.primaries.insert(primary.clone());
        let ours = ours_of(service, &self.ours)["rolloutState"]
            .as_str()
            .map(str::to_owned);
        let mut truth = Truth {
            at: self.now,
            active: service["status"] == "ACTIVE",
            primary,
            desired: service["desiredCount"].as_u64().unwrap(),
            ours,
            good: 0,
            lasting: 0,
            wrong: 0,
            unproven: 0,
            old: 0,
            ran: Vec::new(),
        };
        if truth.is_completed() {
            self.completed.get_or_insert(self.now);
        }
        let runs = ours_of(service, &self.ours)["runningCount"]
            .as_u64()
            .unwrap_or_default();
        if runs > 0 || !truth.active || service["deployments"].as_array().unwrap().len() > 1 {
            self.count_tasks(&mut truth);
        }
        truth
    }

    fn count_tasks(&mut self, truth: &mut Truth) {
        // With early success ECS says so of a part of the tasks.
        let partly = matches!(self.script.kind, Kind::EarlySuccess { percent, .. } if percent < 100);
        let completed = truth.is_completed() && !partly;
        let arns = self.listed("RUNNING");
        let meant: BTreeSet<String> = arns.iter().map(id_of).collect();
        self.learn_origins();
        let right = self.right();
        for (id, job) in &self.runner.jobs {
            let state = || {
                let target = TargetId {
                    id: job.address.to_string(),
                    port: PORT,
                };
                let health = self.world.elb.health(self.target_group.as_ref()?, &target);
                Some(health?.state)
            };
            if self.started_by.get(id) != Some(&self.ours) {
                let drains = state().is_some_and(|state| state == "draining");
                truth.old += u64::from(job.ended.is_none() && meant.contains(id) || drains);
                continue;
            }
            if !job.runs() || !meant.contains(id) {
                continue;
            }
            match job.digest.as_deref() {
                None => truth.unproven += 1,
                Some(digest) if !right.contains(&digest) => truth.wrong += 1,
                Some(_) => {}
            }
            let checked = self.script.check.is_none() || job.passes == Some(true);
            let served = self.target_group.is_none() || state().is_some_and(|state| state == "healthy");
            let ran_for = |time: Duration| job.started.is_some_and(|started| self.now >= started + time);
            let is_checked = self.script.check.is_some() || self.target_group.is_some();
            let stayed = (completed && job.started <= self.completed) || is_checked || ran_for(STAYS);
            truth.good += u64::from(checked && served && stayed);
            if checked && served {
                let ran = job.started.map(|started| self.now.saturating_sub(started));
                truth.ran.push(ran.unwrap_or_default());
            }
            truth.lasting += u64::from(checked && served && (is_checked || ran_for(STAYS + GRAIN)));
        }
    }

    /// The digests that are right.
    fn right(&self) -> [&'static str; 2] {
        match self.script.digests {
            Digests::Deployed => [DEPLOYED, DEPLOYED],
            Digests::Index | Digests::UnreadableIndex => [DEPLOYED, PLATFORM],
        }
    }

    /// Whether a revision names another digest than a right one.
    pub fn revision_is_wrong(&mut self, arn: &Value) -> bool {
        let said = arn.as_str().map(|arn| self.revision(arn)).unwrap_or_default();
        let images = said
            .iter()
            .filter_map(|revision| revision["containerImages"].as_array());
        let mut digests = images.flatten().filter_map(|image| image["imageDigest"].as_str());
        digests.any(|digest| !self.right().contains(&digest))
    }

    /// Asks once for each task which deployment started it.
    fn learn_origins(&mut self) {
        let unknown: Vec<Value> = self
            .runner
            .jobs
            .keys()
            .filter(|id| !self.started_by.contains_key(*id))
            .map(|id| json!(id))
            .collect();
        for task in self.tasks(&unknown) {
            self.started_by
                .insert(id_of(&task["taskArn"]), text(&task["startedBy"]));
        }
    }

    /// Our tasks that ended although nobody wanted them to, with what became of them.
    fn failed(&mut self) -> Vec<Fate> {
        let stopped = self.listed("STOPPED");
        let ours = self.ours.clone();
        let tasks = self.tasks(&stopped);
        let failed = |task: &&Value| {
            let code = task["stopCode"].as_str().unwrap_or_default();
            let reason = task["stoppedReason"].as_str().unwrap_or_default();
            task["startedBy"] == ours.as_str()
                && code != "UserInitiated"
                && !reason.starts_with("Scaling activity initiated by")
        };
        let fates = tasks
            .iter()
            .filter(failed)
            .filter_map(|task| self.runner.jobs.get(&id_of(&task["taskArn"])));
        fates.map(|job| job.fate.clone()).collect()
    }

    /// How many of our tasks failed.
    pub fn failures(&mut self) -> usize {
        self.failed().len()
    }

    /// How many of our tasks failed for the same cause, which does not pass.
    pub fn failures_alike(&mut self) -> usize {
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for cause in self.failed().iter().filter_map(Fate::cause) {
            *times.entry(cause).or_default() += 1;
        }
        times.into_values().max().unwrap_or_default()
    }
}

/// Our deployment in a service as described; null where it is not listed.
fn ours_of<'a>(service: &'a Value, ours: &str) -> &'a Value {
    let deployments = service["deployments"].as_array();
    let mut deployments = deployments.into_iter().flatten();
    deployments.find(|one| one["id"] == ours).unwrap_or(&Value::Null)
}
