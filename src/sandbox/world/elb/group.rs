//! A target group: its settings, its attributes and its targets.

use super::super::error::ApiError;
use super::super::orders::{CheckOutcome, Order, TargetCheck, TargetId};
use super::TargetHealth;
use super::check::{HealthCheck, Protocol};
use super::params::Params;
use super::target::{Due, Target};
use super::xml;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a deregistered target drains (TargetGroupAttribute).
pub const DEREGISTRATION_DELAY: &str = "deregistration_delay.timeout_seconds";

/// The attributes of an HTTP target group with their defaults (TargetGroupAttribute).
const ATTRIBUTES: [(&str, &str); 7] = [
    (DEREGISTRATION_DELAY, "300"),
    ("load_balancing.algorithm.type", "round_robin"),
    (
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
    ),
    ("slow_start.duration_seconds", "0"),
    ("stickiness.enabled", "false"),
    ("stickiness.lb_cookie.duration_seconds", "86400"),
    ("stickiness.type", "lb_cookie"),
];

/// A target group with target type `ip`.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What its targets speak.
    pub protocol: Protocol,
    /// The port of targets that are registered without one.
    pub port: u16,
    /// The VPC that was named.
    pub vpc: String,
    /// How targets are checked.
    pub check: HealthCheck,
    /// The load balancer that forwards to it; its targets are `unused` without one.
    pub load_balancer: Option<String>,
    delay: Duration,
    targets: BTreeMap<TargetId, Target>,
}

impl Group {
    /// A group without targets.
    pub fn new(name: String, protocol: Protocol, port: u16, vpc: String, check: HealthCheck) -> Self {
        Self {
            name,
            protocol,
            port,
            vpc,
            check,
            load_balancer: None,
            delay: Duration::from_secs(300),
            targets: BTreeMap::new(),
        }
    }

    /// Attaches the group to a load balancer: its targets are checked from then on.
    pub fn attach(&mut self, now: Duration, load_balancer: String) {
        if self.load_balancer.replace(load_balancer).is_none() {
            for target in self.targets.values_mut() {
                *target = Target::registered(now);
            }
        }
    }

    /// Registers a target, or one that drains anew.
    pub fn register(&mut self, now: Duration, target: TargetId) {
        self.targets
            .entry(target)
            .and_modify(|known| known.register_again(now))
            .or_insert_with(|| Target::registered(now));
    }

    /// Starts a target's drain; in a group without a load balancer it is gone at once.
    pub fn deregister(&mut self, now: Duration, target: &TargetId) {
        if self.load_balancer.is_none() {
            self.targets.remove(target);
        } else if let Some(known) = self.targets.get_mut(target) {
            known.drain(now + self.delay);
        }
    }

    /// The registered targets, those that drain included.
    pub fn targets(&self) -> impl Iterator<Item = &TargetId> {
        self.targets.keys()
    }

    /// The health of a target; `None` when it is not registered (any more).
    pub fn health(&self, target: &TargetId) -> Option<TargetHealth> {
        let known = self.targets.get(target)?;
        Some(match self.load_balancer {
            Some(_) => known.health(),
            None => TargetHealth {
                state: "unused",
                reason: Some("Target.NotInUse"),
                description: Some(
                    "Target group is not configured to receive traffic from the load balancer".to_owned(),
                ),
            },
        })
    }

    /// Where a request may go: healthy targets; with none of them any that does not drain, as a load balancer that
    /// fails open does.
    pub fn routes(&self) -> Vec<TargetId> {
        let those = |wanted: fn(&Target) -> bool| -> Vec<TargetId> {
            let chosen = self.targets.iter().filter(|(_, target)| wanted(target));
            chosen.map(|(id, _)| id.clone()).collect()
        };
        let healthy = those(Target::is_healthy);
        if healthy.is_empty() {
            those(|target| !target.is_draining())
        } else {
            healthy
        }
    }

    /// Learns the outcome of a check.
    pub fn checked(&mut self, now: Duration, target: &TargetId, outcome: &CheckOutcome) {
        if let Some(known) = self.targets.get_mut(target) {
            known.checked(now, &self.check, outcome);
        }
    }

    /// The next instant at which something changes by itself.
    pub fn next_change(&self) -> Option<Duration> {
        self.load_balancer.as_ref()?;
        self.targets.values().filter_map(Target::next_change).min()
    }

    /// Does what is due at `now`, and orders the checks that it takes.
    pub fn advance(&mut self, now: Duration, arn: &str, orders: &mut Vec<Order>) {
        if self.load_balancer.is_none() {
            return;
        }
        let check = &self.check;
        self.targets
            .retain(|id, target| match target.advance(now, check) {
                Due::Nothing => true,
                Due::Gone => false,
                Due::Check => {
                    orders.push(Order::Check(TargetCheck {
                        target_group: arn.to_owned(),
                        target: id.clone(),
                        protocol: check.protocol.as_str().to_owned(),
                        port: check.port.unwrap_or(id.port),
                        path: check.path.clone(),
                        timeout: check.timeout,
                    }));
                    true
                }
            });
    }

    /// Changes attributes. Only the deregistration delay can have another value than its default: the sandbox does not
    /// imitate the rest, and a setting that is taken and then not obeyed would hide a mistake.
    ///
    /// # Errors
    /// InvalidConfigurationRequest for an unknown key or a value that cannot be had.
    pub fn set_attributes(&mut self, params: &Params<'_>) -> Result<(), ApiError> {
        let mut delay = self.delay;
        for attribute in params.structures("Attributes") {
            let key = attribute.required("Key")?;
            let value = attribute.text("Value").unwrap_or_default();
            if key == DEREGISTRATION_DELAY {
                let seconds = attribute.number("Value", &(0..=3600))?;
                delay =
                    Duration::from_secs(seconds.ok_or_else(|| attribute.wrong("'Value' must be specified"))?);
                continue;
            }
            match ATTRIBUTES.iter().find(|(known, _)| *known == key) {
                None => {
                    return Err(params.wrong(format!("Target group attribute key '{key}' is not recognized")));
                }
                Some((_, only)) if *only != value => {
                    return Err(params.wrong(format!(
                        "Target group attribute '{key}' is '{only}' in the sandbox, it cannot be '{value}'"
                    )));
                }
                Some(_) => {}
            }
        }
        self.delay = delay;
        Ok(())
    }

    /// The attributes, as XML.
    pub fn attributes_xml(&self) -> String {
        let delay = self.delay.as_secs().to_string();
        xml::list(
            "Attributes",
            ATTRIBUTES.iter().map(|(key, value)| {
                let value = if *key == DEREGISTRATION_DELAY {
                    &delay
                } else {
                    *value
                };
                xml::text("Key", key) + &xml::text("Value", value)
            }),
        )
    }

    /// The members of a `TargetGroup`, as XML.
    pub fn xml(&self, arn: &str) -> String {
        let check = &self.check;
        let port = check
            .port
            .map_or_else(|| "traffic-port".to_owned(), |port| port.to_string());
        let mut members = [
            ("TargetGroupArn", arn.to_owned()),
            ("TargetGroupName", self.name.clone()),
            ("Protocol", self.protocol.as_str().to_owned()),
            ("Port", self.port.to_string()),
            ("VpcId", self.vpc.clone()),
            ("HealthCheckProtocol", check.protocol.as_str().to_owned()),
            ("HealthCheckPort", port),
            ("HealthCheckEnabled", "true".to_owned()),
            ("HealthCheckIntervalSeconds", check.interval.as_secs().to_string()),
            ("HealthCheckTimeoutSeconds", check.timeout.as_secs().to_string()),
            ("HealthyThresholdCount", check.healthy_threshold.to_string()),
            ("UnhealthyThresholdCount", check.unhealthy_threshold.to_string()),
            ("TargetType", "ip".to_owned()),
            ("IpAddressType", "ipv4".to_owned()),
        ]
        .map(|(name, value)| xml::text(name, value))
        .concat();
        if check.protocol == Protocol::Http {
            members += &xml::text("HealthCheckPath", &check.path);
            members += &xml::element("Matcher", &xml::text("HttpCode", check.matcher.to_string()));
        }
        if self.protocol == Protocol::Http {
            members += &xml::text("ProtocolVersion", "HTTP1");
        }
        members + &xml::list("LoadBalancerArns", self.load_balancer.clone())
    }
}
