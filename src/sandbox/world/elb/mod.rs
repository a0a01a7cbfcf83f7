//! ELBv2: load balancers, listeners, target groups and the health of their targets.
//!
//! What it knows: Application Load Balancers with HTTP listeners, Network Load Balancers with TCP listeners, target
//! groups with target type `ip`, forwarding to target groups with weights, rules for the path `/*`. Anything else is refused, never ignored. A listener's
//! port is a port of 127.0.0.1, so no two load balancers can have the same.

mod balancers;
mod check;
mod forward;
mod group;
mod groups;
mod health;
mod params;
mod rules;
mod target;
mod xml;

use super::WorldConfig;
use super::error::ApiError;
use super::orders::{CheckOutcome, Order, TargetId};
pub use check::Protocol;
pub use forward::Forward;
use group::Group;
use params::Params;
use std::collections::BTreeMap;
use std::time::Duration;

/// The state of ELBv2.
#[derive(Debug)]
pub struct Elb {
    region: String,
    /// Counts load balancers, listeners and target groups: the last part of their ARNs.
    made: u64,
    load_balancers: BTreeMap<String, balancers::LoadBalancer>,
    listeners: BTreeMap<String, Listener>,
    rules: BTreeMap<String, rules::Rule>,
    groups: BTreeMap<String, Group>,
    orders: Vec<Order>,
}

/// A listener, and what it forwards to unless a rule decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The ARN of its load balancer.
    pub load_balancer: String,
    /// HTTP or TCP.
    pub protocol: Protocol,
    /// The port, on 127.0.0.1 in the sandbox.
    pub port: u16,
    /// What it forwards to by default.
    pub forward: Forward,
}

/// A target's state, as DescribeTargetHealth names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetHealth {
    /// `initial`, `healthy`, `unhealthy`, `draining`, `unused`.
    pub state: &'static str,
    /// `Elb.RegistrationInProgress`, `Target.ResponseCodeMismatch`, ...
    pub reason: Option<&'static str>,
    /// `Health checks failed with these codes: [404]`.
    pub description: Option<String>,
}

/// An operation's implementation, and the code that it declares for a bad value.
type Operation = (
    fn(&mut Elb, Duration, &Params<'_>) -> Result<String, ApiError>,
    &'static str,
);

/// Bad values where the operation declares this error.
const CONFIGURATION: &str = "InvalidConfigurationRequest";
/// Bad targets (RegisterTargets, DeregisterTargets, DescribeTargetHealth).
const TARGET: &str = "InvalidTarget";
/// Bad values where the operation declares no error for them: one of the errors common to all operations.
const VALIDATION: &str = "ValidationError";

fn operation(name: &str) -> Option<Operation> {
    Some(match name {
        "CreateLoadBalancer" => (Elb::create_load_balancer, CONFIGURATION),
        "DescribeLoadBalancers" => (Elb::describe_load_balancers, VALIDATION),
        "DeleteLoadBalancer" => (Elb::delete_load_balancer, VALIDATION),
        "CreateListener" => (Elb::create_listener, CONFIGURATION),
        "DescribeListeners" => (Elb::describe_listeners, VALIDATION),
        "DeleteListener" => (Elb::delete_listener, VALIDATION),
        "CreateRule" => (Elb::create_rule, CONFIGURATION),
        "DescribeRules" => (Elb::describe_rules, VALIDATION),
        "DeleteRule" => (Elb::delete_rule, VALIDATION),
        "CreateTargetGroup" => (Elb::create_target_group, CONFIGURATION),
        "DescribeTargetGroups" => (Elb::describe_target_groups, VALIDATION),
        "ModifyTargetGroup" => (Elb::modify_target_group, CONFIGURATION),
        "DeleteTargetGroup" => (Elb::delete_target_group, VALIDATION),
        "ModifyTargetGroupAttributes" => (Elb::modify_attributes, CONFIGURATION),
        "DescribeTargetGroupAttributes" => (Elb::describe_attributes, VALIDATION),
        "RegisterTargets" => (Elb::register_targets, TARGET),
        "DeregisterTargets" => (Elb::deregister_targets, TARGET),
        "DescribeTargetHealth" => (Elb::describe_target_health, TARGET),
        _ => return None,
    })
}

impl Elb {
    /// No load balancers yet.
    #[must_use]
    pub fn new(config: &WorldConfig) -> Self {
        Self {
            region: config.region.clone(),
            made: 0,
            load_balancers: BTreeMap::new(),
            listeners: BTreeMap::new(),
            rules: BTreeMap::new(),
            groups: BTreeMap::new(),
            orders: Vec::new(),
        }
    }

    /// Answers one operation of the query protocol with the XML inside `<...Result>`.
    ///
    /// # Errors
    /// The operation's declared errors; an unknown operation is refused by name.
    pub fn call(
        &mut self,
        now: Duration,
        operation: &str,
        params: &BTreeMap<String, String>,
    ) -> Result<String, ApiError> {
        let Some((answer, wrong)) = self::operation(operation) else {
            return Err(ApiError::new(
                "InvalidAction",
                format!("the sandbox does not know the operation {operation} of elasticloadbalancing"),
            ));
        };
        answer(self, now, &Params::new(params, wrong))
    }

    /// Whether a target group exists and is attached to a load balancer (CreateService requires it).
    #[must_use]
    pub fn is_attached(&self, target_group: &str) -> Option<bool> {
        Some(self.groups.get(target_group)?.load_balancer.is_some())
    }

    /// Registers a target; it starts as `initial`.
    pub fn register(&mut self, now: Duration, target_group: &str, target: TargetId) {
        if let Some(group) = self.groups.get_mut(target_group) {
            group.register(now, target);
        }
    }

    /// Deregisters a target; it drains for the group's deregistration delay.
    ///
    /// It does so even when no request is in flight: "the status of the target is displayed as draining until the
    /// deregistration delay timeout expires" (Elastic Load Balancing, deregistration delay).
    pub fn deregister(&mut self, now: Duration, target_group: &str, target: &TargetId) {
        if let Some(group) = self.groups.get_mut(target_group) {
            group.deregister(now, target);
        }
    }

    /// The health of a target; `None` when it is not registered (any more).
    #[must_use]
    pub fn health(&self, target_group: &str, target: &TargetId) -> Option<TargetHealth> {
        self.groups.get(target_group)?.health(target)
    }

    /// The listeners, whose ports the balancer must serve.
    pub fn listeners(&self) -> impl Iterator<Item = &Listener> {
        self.listeners.values()
    }

    /// Where the request of a turn goes that comes in at a listener's port: weights choose the target group, and its
    /// targets take turns. The healthy ones do; all that do not drain when none is healthy. None when there is no target,
    /// or no listener.
    #[must_use]
    pub fn route(&self, listener_port: u16, turn: usize) -> Option<TargetId> {
        let (group, turn) = self.forward_at(listener_port)?.pick(turn)?;
        let mut targets = self.groups.get(group)?.routes();
        let index = turn.checked_rem(targets.len())?;
        Some(targets.swap_remove(index))
    }

    /// Whether a request in flight to a target may go on: it may until the target's drain is over.
    #[must_use]
    pub fn carries(&self, listener_port: u16, target: &TargetId) -> bool {
        let groups = self.forward_at(listener_port).into_iter();
        let mut groups = groups.flat_map(|forward| &forward.0);
        groups.any(|(group, _)| self.health(group, target).is_some())
    }

    /// Learns the outcome of a check.
    pub fn checked(&mut self, now: Duration, target_group: &str, target: &TargetId, outcome: &CheckOutcome) {
        if let Some(group) = self.groups.get_mut(target_group) {
            group.checked(now, target, outcome);
        }
    }

    /// The next instant at which something changes by itself.
    #[must_use]
    pub fn next_change(&self) -> Option<Duration> {
        self.groups.values().filter_map(Group::next_change).min()
    }

    /// Does what is due at `now`: checks to order, drains to end.
    pub fn advance(&mut self, now: Duration) {
        for (arn, group) in &mut self.groups {
            group.advance(now, arn, &mut self.orders);
        }
    }

    /// Takes the checks to carry out.
    pub fn take_orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    /// The ARN of a resource that is made: `kind` is `targetgroup/NAME`, `loadbalancer/app/NAME`, ...
    fn mint(&mut self, kind: &str) -> String {
        self.made += 1;
        // A multiplicative hash with an odd factor: unique, and as random to the eye as AWS's ids.
        let id = self.made.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        format!(
            "arn:aws:elasticloadbalancing:{}:{}:{kind}/{id:016x}",
            self.region,
            crate::sandbox::ACCOUNT
        )
    }
}

/// The name rule of load balancers and target groups: letters, digits and hyphens, 32 at most, no hyphen at an end.
fn check_name<'a>(what: &str, params: &Params<'a>) -> Result<&'a str, ApiError> {
    let name = params.required("Name")?;
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !plain || name.starts_with('-') || name.ends_with('-') {
        return Err(params.wrong(format!(
            "{what} name '{name}' can only contain letters, digits and hyphens, and must not begin or end with a hyphen"
        )));
    }
    if name.len() > 32 {
        return Err(params.wrong(format!(
            "{what} name '{name}' cannot be longer than '32' characters"
        )));
    }
    Ok(name)
}

/// One page of an answer, and the marker of the one that follows: `PageSize` is 1 to 400, and 400 when missing.
fn page(
    params: &Params<'_>,
    list: &str,
    all: impl Iterator<Item = (String, String)>,
) -> Result<String, ApiError> {
    let size = params.number("PageSize", &(1..=400_usize))?.unwrap_or(400);
    let after = params.text("Marker").unwrap_or_default();
    let mut rest = all.filter(|(arn, _)| arn.as_str() > after).peekable();
    let mut last = String::new();
    let members: Vec<String> = rest
        .by_ref()
        .take(size)
        .map(|(arn, xml)| {
            last = arn;
            xml
        })
        .collect();
    let mut answer = xml::list(list, members);
    if rest.peek().is_some() {
        answer += &xml::text("NextMarker", last);
    }
    Ok(answer)
}

#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod tests;
