//! The pure part of the sandbox: what exists, and how it changes as time passes.
//!
//! Time is an argument (counted from the Unix epoch), ids are counters, maps are ordered: the same calls give the same
//! answers. Tasks are run by somebody else: the world gives [`orders::Order`]s and learns [`orders::Fact`]s.

pub mod acts;
pub mod ecr;
pub mod ecs;
pub mod elb;
pub mod error;
pub mod input;
pub mod logs;
pub mod orders;
pub mod pipeline;
pub mod quotas;
pub mod s3;
pub mod sessions;
pub mod sqs;
pub mod sts;

use orders::{Fact, Order};
use std::time::Duration;

/// The account of everything in the sandbox; AWS never gives it to anybody.
pub const ACCOUNT: &str = "000000000000";

/// What every world knows from the start.
#[derive(Debug, Clone)]
pub struct WorldConfig {
    /// The region of every ARN.
    pub region: String,
    /// `127.0.0.1:4566`: the host of repository URIs.
    pub registry_host: String,
    /// How long things take in ECS.
    pub timings: ecs::Timings,
}

/// Everything that exists in the sandbox.
#[derive(Debug)]
pub struct World {
    /// What it knew from the start.
    pub config: WorldConfig,
    /// Clusters, task definitions, services, tasks, deployments.
    pub ecs: ecs::Ecs,
    /// Load balancers, target groups, targets.
    pub elb: elb::Elb,
    /// Repositories and images.
    pub ecr: ecr::Ecr,
    /// Buckets and objects.
    pub s3: s3::S3,
    /// Temporary credentials that were given out.
    pub sessions: sessions::Sessions,
    /// What roles demand of whoever assumes them.
    pub sts: sts::Sts,
    /// Queues and their messages.
    pub sqs: sqs::Sqs,
    /// Action types, pipelines, and the jobs of their actions.
    pub pipeline: pipeline::CodePipeline,
    /// Log groups, streams and events.
    pub logs: logs::Logs,
    /// What somebody else is going to do.
    pub acts: acts::Acts,
    /// How often clients may ask.
    pub quotas: quotas::Quotas,
}

impl World {
    /// An empty world.
    #[must_use]
    pub fn new(config: WorldConfig) -> Self {
        Self {
            ecs: ecs::Ecs::new(&config),
            elb: elb::Elb::new(&config),
            ecr: ecr::Ecr::new(&config),
            s3: s3::S3::new(),
            sessions: sessions::Sessions::default(),
            sts: sts::Sts::default(),
            sqs: sqs::Sqs::new(&config),
            pipeline: pipeline::CodePipeline::new(&config),
            logs: logs::Logs::new(&config),
            acts: acts::Acts::default(),
            quotas: quotas::Quotas::new(config.timings.second),
            config,
        }
    }

    /// Lets time pass up to `now`; everything that was due until then happens, in order.
    pub fn advance(&mut self, now: Duration) {
        while let Some(due) = self.next_change().filter(|due| *due <= now) {
            self.step(due);
        }
        self.step(now);
    }

    /// The next instant at which something changes by itself.
    #[must_use]
    pub fn next_change(&self) -> Option<Duration> {
        [
            self.ecs.next_change(),
            self.elb.next_change(),
            self.pipeline.next_change(),
            self.acts.next_change(&self.ecs),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn step(&mut self, now: Duration) {
        self.elb.advance(now);
        self.ecs.advance(now, &mut self.elb, &self.ecr, &self.logs);
        self.pipeline.advance(now, &mut self.s3);
        for event in self.pipeline.take_events() {
            self.sqs.publish(now, &event);
        }
        for deed in self.acts.take_due(now, &self.ecs) {
            if let Err(error) = deed.carry_out(now, &mut self.ecs, &mut self.elb, &self.ecr) {
                tracing::warn!(?deed, %error, "an act of the scenario was refused");
            }
        }
    }

    /// Takes the orders for whoever runs tasks and checks targets.
    pub fn take_orders(&mut self) -> Vec<Order> {
        let mut orders = self.ecs.take_orders();
        orders.extend(self.elb.take_orders());
        orders
    }

    /// Learns what became of an order.
    pub fn learn(&mut self, now: Duration, fact: Fact) {
        match fact {
            Fact::TargetChecked {
                target_group,
                target,
                outcome,
            } => {
                self.elb.checked(now, &target_group, &target, &outcome);
            }
            Fact::LogLine {
                ref task,
                ref container,
                ref line,
            } => {
                if let Some((group, stream)) = self.ecs.log_destination(task, container) {
                    self.logs.append(now, &group, &stream, line);
                }
            }
            fact => self.ecs.learn(now, fact, &mut self.elb),
        }
        self.step(now);
    }
}
