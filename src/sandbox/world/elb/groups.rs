//! The operations on target groups.

use super::check::{HealthCheck, Protocol};
use super::group::Group;
use super::params::Params;
use super::{ApiError, Elb, check_name, page, xml};
use std::time::Duration;

impl Elb {
    pub(super) fn create_target_group(
        &mut self,
        _now: Duration,
        params: &Params<'_>,
    ) -> Result<String, ApiError> {
        let name = check_name("Target group", params)?;
        let kind = params.text("TargetType").unwrap_or("instance");
        if kind != "ip" {
            return Err(params.wrong(format!(
                "'TargetType' is '{kind}'; the sandbox has target groups of type 'ip' only"
            )));
        }
        let protocol = params.required("Protocol")?;
        let Some(protocol) = Protocol::parse(protocol) else {
            return Err(params.wrong(format!(
                "'Protocol' is '{protocol}'; the sandbox has target groups of protocol HTTP and TCP only"
            )));
        };
        let version = params.text("ProtocolVersion").unwrap_or("HTTP1");
        if version != "HTTP1" {
            return Err(params.wrong(format!(
                "'ProtocolVersion' is '{version}'; the sandbox speaks HTTP1 only"
            )));
        }
        let port = params
            .number("Port", &(1..=65535_u16))?
            .ok_or_else(|| params.wrong("'Port' must be specified"))?;
        let vpc = params.required("VpcId")?.to_owned();
        let check = HealthCheck::of_group(protocol).with(protocol, params)?;
        let group = Group::new(name.to_owned(), protocol, port, vpc, check);

        if let Some((arn, known)) = self.groups.iter().find(|(_, group)| group.name == name) {
            let same = (known.protocol, known.port, &known.vpc, &known.check)
                == (group.protocol, group.port, &group.vpc, &group.check);
            return if same {
                Ok(xml::list("TargetGroups", [known.xml(arn)]))
            } else {
                Err(ApiError::new(
                    "DuplicateTargetGroupName",
                    format!("A target group with the same name '{name}' exists, but with different settings"),
                ))
            };
        }
        let arn = self.mint(&format!("targetgroup/{name}"));
        let answer = xml::list("TargetGroups", [group.xml(&arn)]);
        self.groups.insert(arn, group);
        Ok(answer)
    }

    pub(super) fn describe_target_groups(
        &mut self,
        _now: Duration,
        params: &Params<'_>,
    ) -> Result<String, ApiError> {
        let arns = params.texts("TargetGroupArns");
        let names = params.texts("Names");
        let balancer = params.text("LoadBalancerArn");
        if let Some(balancer) = balancer {
            self.require_load_balancer(balancer)?;
        }
        for arn in &arns {
            self.group(arn)?;
        }
        for name in &names {
            if !self.groups.values().any(|group| group.name == *name) {
                return Err(not_found());
            }
        }
        let chosen = self.groups.iter().filter(|(arn, group)| {
            (arns.is_empty() || arns.contains(&arn.as_str()))
                && (names.is_empty() || names.contains(&group.name.as_str()))
                && balancer.is_none_or(|balancer| group.load_balancer.as_deref() == Some(balancer))
        });
        page(
            params,
            "TargetGroups",
            chosen.map(|(arn, group)| (arn.clone(), group.xml(arn))),
        )
    }

    pub(super) fn modify_target_group(
        &mut self,
        _now: Duration,
        params: &Params<'_>,
    ) -> Result<String, ApiError> {
        let arn = params.required("TargetGroupArn")?;
        let group = self.group_mut(arn)?;
        group.check = group.check.clone().with(group.protocol, params)?;
        Ok(xml::list("TargetGroups", [group.xml(arn)]))
    }

    /// Deletes a target group; one that does not exist is no error (DeleteTargetGroup declares none).
    pub(super) fn delete_target_group(
        &mut self,
        _now: Duration,
        params: &Params<'_>,
    ) -> Result<String, ApiError> {
        let arn = params.required("TargetGroupArn")?;
        if self.is_attached(arn) == Some(true) {
            return Err(ApiError::new(
                "ResourceInUse",
                format!("Target group '{arn}' is currently in use by a listener or a rule"),
            ));
        }
        self.groups.remove(arn);
        Ok(String::new())
    }

    pub(super) fn modify_attributes(
        &mut self,
        _now: Duration,
        params: &Params<'_>,
    ) -> Result<String, ApiError> {
        let group = self.group_mut(params.required("TargetGroupArn")?)?;
        group.set_attributes(params)?;
        Ok(group.attributes_xml())
    }

    pub(super) fn describe_attributes(
        &mut self,
        _now: Duration,
        params: &Params<'_>,
    ) -> Result<String, ApiError> {
        let group = self.group(params.required("TargetGroupArn")?)?;
        Ok(group.attributes_xml())
    }

    pub(super) fn group(&self, arn: &str) -> Result<&Group, ApiError> {
        self.groups.get(arn).ok_or_else(not_found)
    }

    pub(super) fn group_mut(&mut self, arn: &str) -> Result<&mut Group, ApiError> {
        self.groups.get_mut(arn).ok_or_else(not_found)
    }
}

fn not_found() -> ApiError {
    ApiError::new("TargetGroupNotFound", "One or more target groups not found")
}
