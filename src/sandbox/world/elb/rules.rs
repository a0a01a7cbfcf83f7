//! Rules of Application Load Balancers' listeners, and the operations on them.
//!
//! A rule takes all requests of its listener: the only condition that the sandbox knows is the path pattern `/*`.

use super::balancers::Kind;
use super::forward::Forward;
use super::params::Params;
use super::{ApiError, Elb, Listener, page, xml};
use std::time::Duration;

/// A rule that somebody made; every listener has a default one besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The ARN of its listener.
    pub listener: String,
    /// The rule with the lowest decides.
    pub priority: u32,
    /// What it forwards to.
    pub forward: Forward,
}

impl Rule {
    fn xml(&self, arn: &str) -> String {
        let values = xml::element("Values", &xml::text("member", "/*"));
        let config = xml::element("PathPatternConfig", &values);
        let condition = xml::text("Field", "path-pattern") + &values + &config;
        [
            xml::text("RuleArn", arn),
            xml::text("Priority", self.priority.to_string()),
            xml::list("Conditions", [condition]),
            xml::list("Actions", [self.forward.xml()]),
            xml::text("IsDefault", "false"),
        ]
        .concat()
    }
}

/// The ARN of a listener's default rule.
fn default_rule(listener: &str) -> String {
    let id = listener.rsplit('/').next().unwrap_or_default();
    let reversed: String = id.chars().rev().collect();
    format!(
        "{}/{reversed}",
        listener.replacen(":listener/", ":listener-rule/", 1)
    )
}

fn default_xml(listener: &Listener, arn: &str) -> String {
    [
        xml::text("RuleArn", default_rule(arn)),
        xml::text("Priority", "default"),
        xml::list("Conditions", []),
        xml::list("Actions", [listener.forward.xml()]),
        xml::text("IsDefault", "true"),
    ]
    .concat()
}

impl Elb {
    pub(super) fn create_rule(&mut self, now: Duration, params: &Params<'_>) -> Result<String, ApiError> {
        let listener = params.required("ListenerArn")?;
        let load_balancer = self.require_listener(listener)?.load_balancer.clone();
        if self.require_load_balancer(&load_balancer)?.kind() != Kind::Application {
            return Err(params.wrong("rules are of listeners of Application Load Balancers only"));
        }
        let priority = params
            .number("Priority", &(1..=50_000_u32))?
            .ok_or_else(|| params.wrong("'Priority' must be specified"))?;
        check_conditions(params)?;
        let forward = Forward::read(params, "Actions")?;
        if self
            .rules
            .values()
            .any(|rule| rule.listener == listener && rule.priority == priority)
        {
            return Err(ApiError::new(
                "PriorityInUse",
                format!("Priority '{priority}' is currently in use"),
            ));
        }
        self.adopt(now, &load_balancer, &forward)?;
        let rule = Rule {
            listener: listener.to_owned(),
            priority,
            forward,
        };
        let path = listener.split_once(":listener/").map_or("", |(_, path)| path);
        let arn = self.mint(&format!("listener-rule/{path}"));
        let answer = xml::list("Rules", [rule.xml(&arn)]);
        self.rules.insert(arn, rule);
        Ok(answer)
    }

    pub(super) fn describe_rules(&mut self, _now: Duration, params: &Params<'_>) -> Result<String, ApiError> {
        let arns = params.texts("RuleArns");
        let listener = params.text("ListenerArn");
        match listener {
            Some(listener) => {
                self.require_listener(listener)?;
            }
            None if arns.is_empty() => {
                return Err(params.wrong("You must specify either listener rule ARNs or a listener ARN"));
            }
            None => {}
        }
        let defaults = self
            .listeners
            .iter()
            .map(|(arn, one)| (arn, default_rule(arn), default_xml(one, arn)));
        let made = self
            .rules
            .iter()
            .map(|(arn, rule)| (&rule.listener, arn.clone(), rule.xml(arn)));
        let mut all: Vec<(&String, String, String)> = made.chain(defaults).collect();
        all.sort_by(|a, b| a.1.cmp(&b.1));
        if let Some(missing) = arns.iter().find(|arn| !all.iter().any(|one| one.1 == **arn)) {
            return Err(no_rule(missing));
        }
        let chosen = all.into_iter().filter(|(of, arn, _)| {
            (arns.is_empty() || arns.contains(&arn.as_str())) && listener.is_none_or(|wanted| wanted == **of)
        });
        page(params, "Rules", chosen.map(|(_, arn, xml)| (arn, xml)))
    }

    pub(super) fn delete_rule(&mut self, _now: Duration, params: &Params<'_>) -> Result<String, ApiError> {
        let arn = params.required("RuleArn")?;
        if self
            .listeners
            .keys()
            .any(|listener| default_rule(listener) == arn)
        {
            return Err(ApiError::new(
                "OperationNotPermitted",
                format!("Default rule '{arn}' cannot be deleted"),
            ));
        }
        self.rules.remove(arn).ok_or_else(|| no_rule(arn))?;
        self.detach_unused();
        Ok(String::new())
    }

    fn require_listener(&self, arn: &str) -> Result<&Listener, ApiError> {
        self.listeners
            .get(arn)
            .ok_or_else(|| super::balancers::no_listener(arn))
    }

    /// What decides over the requests of a listener: its first rule, or what it forwards to by default.
    pub(super) fn forward_at(&self, port: u16) -> Option<&Forward> {
        let (arn, listener) = self
            .listeners
            .iter()
            .find(|(_, listener)| listener.port == port)?;
        let rules = self.rules.values().filter(|rule| rule.listener == *arn);
        let first = rules.min_by_key(|rule| rule.priority);
        Some(first.map_or(&listener.forward, |rule| &rule.forward))
    }

    /// The target groups and weights of a rule, or of a listener of a Network Load Balancer, by its ARN.
    #[must_use]
    pub fn forward_of(&self, arn: &str) -> Option<&[(String, u32)]> {
        let default = || {
            self.listeners
                .iter()
                .find(|(listener, _)| default_rule(listener) == arn)
        };
        let forward = match self.rules.get(arn) {
            Some(rule) => &rule.forward,
            None => match self.listeners.get(arn) {
                Some(listener) => &listener.forward,
                None => &default()?.1.forward,
            },
        };
        Some(&forward.0)
    }

    /// Sets the weights of target groups in a rule, or in a listener, as ECS does; the shares are tenths of a percent.
    /// Groups that it does not forward to stay out of it.
    pub fn weigh(&mut self, arn: &str, shares: &[(&str, u32)]) {
        let whole = shares.iter().all(|(_, share)| share % 10 == 0);
        let forward = match self.rules.get_mut(arn) {
            Some(rule) => Some(&mut rule.forward),
            None => self
                .listeners
                .iter_mut()
                .find(|(listener, _)| *listener == arn || default_rule(listener) == arn)
                .map(|(_, listener)| &mut listener.forward),
        };
        for (group, weight) in forward.into_iter().flat_map(|forward| &mut forward.0) {
            if let Some((_, share)) = shares.iter().find(|(known, _)| known == group) {
                *weight = if whole { share / 10 } else { *share };
            }
        }
    }
}

fn check_conditions(params: &Params<'_>) -> Result<(), ApiError> {
    let conditions = params.structures("Conditions");
    let fits = match conditions.as_slice() {
        [one] => {
            let values = [one.texts("Values"), one.texts("PathPatternConfig.Values")].concat();
            one.text("Field") == Some("path-pattern") && values == ["/*"]
        }
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(params.wrong("the sandbox has rules with one condition only: path-pattern '/*'"))
    }
}

fn no_rule(arn: &str) -> ApiError {
    ApiError::new("RuleNotFound", format!("One or more rules not found: '{arn}'"))
}
