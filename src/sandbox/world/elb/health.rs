//! The operations on targets: register, deregister, and what their health is.

use super::params::Params;
use super::{ApiError, Elb, TargetHealth, xml};
use crate::sandbox::world::orders::TargetId;
use std::net::Ipv4Addr;
use std::time::Duration;

/// The quota of targets per target group of a load balancer.
const MOST_TARGETS: usize = 1000;

impl Elb {
    pub(super) fn register_targets(
        &mut self,
        now: Duration,
        params: &Params<'_>,
    ) -> Result<String, ApiError> {
        let arn = params.required("TargetGroupArn")?;
        let targets = self.named_targets(arn, params)?;
        if let Some(bad) = targets.iter().find(|target| !is_address_of_a_vpc(&target.id)) {
            return Err(params.wrong(format!(
                "The IP address '{}' is not valid for a target: it must be a private IPv4 address",
                bad.id
            )));
        }
        let group = self.group_mut(arn)?;
        let fresh = targets
            .iter()
            .filter(|target| group.health(target).is_none())
            .count();
        if group.targets().count() + fresh > MOST_TARGETS {
            return Err(ApiError::new(
                "TooManyTargets",
                format!("The maximum number of targets in target group '{arn}' is {MOST_TARGETS}"),
            ));
        }
        for target in targets {
            group.register(now, target);
        }
        Ok(String::new())
    }

    /// Deregisters targets; one that is not registered is no error ("the request succeeds").
    pub(super) fn deregister_targets(
        &mut self,
        now: Duration,
        params: &Params<'_>,
    ) -> Result<String, ApiError> {
        let arn = params.required("TargetGroupArn")?;
        for target in self.named_targets(arn, params)? {
            self.deregister(now, arn, &target);
        }
        Ok(String::new())
    }

    pub(super) fn describe_target_health(
        &mut self,
        _now: Duration,
        params: &Params<'_>,
    ) -> Result<String, ApiError> {
        let arn = params.required("TargetGroupArn")?;
        let group = self.group(arn)?;
        let asked: Vec<TargetId> = if params.structures("Targets").is_empty() {
            group.targets().cloned().collect()
        } else {
            self.named_targets(arn, params)?
        };
        Ok(xml::list(
            "TargetHealthDescriptions",
            asked.iter().map(|target| {
                let port = group.check.port.unwrap_or(target.port);
                description(target, port, &group.health(target).unwrap_or_else(not_registered))
            }),
        ))
    }

    /// The targets of a request; one without a port has the group's.
    fn named_targets(&self, arn: &str, params: &Params<'_>) -> Result<Vec<TargetId>, ApiError> {
        let default = self.group(arn)?.port;
        let targets = params.structures("Targets");
        if targets.is_empty() {
            return Err(params.wrong("'Targets' must be specified"));
        }
        targets
            .iter()
            .map(|target| {
                Ok(TargetId {
                    id: target.required("Id")?.to_owned(),
                    port: target.number("Port", &(1..=65535_u16))?.unwrap_or(default),
                })
            })
            .collect()
    }
}

/// RegisterTargets: addresses of the VPC, from RFC 1918 and RFC 6598.
fn is_address_of_a_vpc(id: &str) -> bool {
    id.parse::<Ipv4Addr>().is_ok_and(|address| {
        let [first, second, ..] = address.octets();
        address.is_private() || (first == 100 && (64..128).contains(&second))
    })
}

fn not_registered() -> TargetHealth {
    TargetHealth {
        state: "unused",
        reason: Some("Target.NotRegistered"),
        description: Some("Target is not registered to the target group".to_owned()),
    }
}

fn description(target: &TargetId, port: u16, health: &TargetHealth) -> String {
    let mut state = xml::text("State", health.state);
    if let Some(reason) = health.reason {
        state += &xml::text("Reason", reason);
    }
    if let Some(description) = &health.description {
        state += &xml::text("Description", description);
    }
    let target = xml::text("Id", &target.id) + &xml::text("Port", target.port.to_string());
    xml::element("Target", &target)
        + &xml::text("HealthCheckPort", port.to_string())
        + &xml::element("TargetHealth", &state)
}
