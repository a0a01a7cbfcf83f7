//! Load balancers and listeners, and the operations on them.

use super::check::Protocol;
use super::forward::Forward;
use super::params::Params;
use super::{ApiError, Elb, Listener, check_name, page, xml};
use std::collections::BTreeSet;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Whether a load balancer routes requests or connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// HTTP.
    Application,
    /// TCP.
    Network,
}

impl Kind {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Application => ("application", "app"),
            Self::Network => ("network", "net"),
        }
    }

    fn protocol(self) -> Protocol {
        match self {
            Self::Application => Protocol::Http,
            Self::Network => Protocol::Tcp,
        }
    }
}

/// A load balancer; it is `active` from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadBalancer {
    name: String,
    kind: Kind,
    scheme: String,
    subnets: Vec<String>,
    security_groups: Vec<String>,
    created: Duration,
}

impl LoadBalancer {
    /// Whether it routes requests or connections.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    fn xml(&self, arn: &str, region: &str) -> String {
        let id = arn.rsplit('/').next().unwrap_or_default();
        let created = OffsetDateTime::UNIX_EPOCH + self.created;
        let created = created.format(&Rfc3339).unwrap_or_default();
        let zones = self.subnets.iter().zip(["a", "b", "c"].iter().cycle());
        let mut members = [
            ("LoadBalancerArn", arn.to_owned()),
            (
                "DNSName",
                format!("{}-{id}.{region}.elb.amazonaws.com", self.name),
            ),
            ("CreatedTime", created),
            ("LoadBalancerName", self.name.clone()),
            ("Scheme", self.scheme.clone()),
            ("VpcId", "vpc-00000000000000000".to_owned()),
            ("Type", self.kind.words().0.to_owned()),
            ("IpAddressType", "ipv4".to_owned()),
        ]
        .map(|(name, value)| xml::text(name, value))
        .concat();
        members += &xml::element("State", &xml::text("Code", "active"));
        members += &xml::list(
            "AvailabilityZones",
            zones.map(|(subnet, zone)| {
                xml::text("ZoneName", format!("{region}{zone}")) + &xml::text("SubnetId", subnet)
            }),
        );
        let plain = self
            .security_groups
            .iter()
            .map(|group| xml::text("member", group));
        members + &xml::element("SecurityGroups", &plain.collect::<String>())
    }
}

impl Listener {
    fn xml(&self, arn: &str) -> String {
        [
            xml::text("ListenerArn", arn),
            xml::text("LoadBalancerArn", &self.load_balancer),
            xml::text("Port", self.port.to_string()),
            xml::text("Protocol", self.protocol.as_str()),
            xml::list("DefaultActions", [self.forward.xml()]),
        ]
        .concat()
    }
}

impl Elb {
    pub(super) fn create_load_balancer(
        &mut self,
        now: Duration,
        params: &Params<'_>,
    ) -> Result<String, ApiError> {
        let name = check_name("Load balancer", params)?;
        if name.starts_with("internal-") {
            return Err(params.wrong(format!(
                "Load balancer name '{name}' cannot begin with 'internal-'"
            )));
        }
        let kind = match params.text("Type").unwrap_or("application") {
            "application" => Kind::Application,
            "network" => Kind::Network,
            other => {
                return Err(params.wrong(format!(
                    "'Type' is '{other}'; the sandbox has load balancers of type 'application' and 'network' only"
                )));
            }
        };
        let mut subnets: Vec<String> = params.texts("Subnets").into_iter().map(str::to_owned).collect();
        for mapping in params.structures("SubnetMappings") {
            subnets.push(mapping.required("SubnetId")?.to_owned());
        }
        let fewest = if kind == Kind::Application { 2 } else { 1 };
        if subnets.len() < fewest {
            return Err(params.wrong(format!(
                "At least {fewest} subnets in different Availability Zones must be specified"
            )));
        }
        let scheme = params.text("Scheme").unwrap_or("internet-facing");
        if !["internet-facing", "internal"].contains(&scheme) {
            return Err(ApiError::new(
                "InvalidScheme",
                format!("'{scheme}' is not a valid scheme"),
            ));
        }
        let balancer = LoadBalancer {
            name: name.to_owned(),
            kind,
            scheme: scheme.to_owned(),
            subnets,
            security_groups: params
                .texts("SecurityGroups")
                .into_iter()
                .map(str::to_owned)
                .collect(),
            created: now,
        };
        if let Some((arn, known)) = self.load_balancers.iter().find(|(_, known)| known.name == name) {
            let created = known.created;
            return if *known == (LoadBalancer { created, ..balancer }) {
                Ok(xml::list("LoadBalancers", [known.xml(arn, &self.region)]))
            } else {
                Err(ApiError::new(
                    "DuplicateLoadBalancerName",
                    format!(
                        "A load balancer with the same name '{name}' exists, but with different settings"
                    ),
                ))
            };
        }
        let arn = self.mint(&format!("loadbalancer/{}/{name}", kind.words().1));
        let answer = xml::list("LoadBalancers", [balancer.xml(&arn, &self.region)]);
        self.load_balancers.insert(arn, balancer);
        Ok(answer)
    }

    pub(super) fn describe_load_balancers(
        &mut self,
        _now: Duration,
        params: &Params<'_>,
    ) -> Result<String, ApiError> {
        let arns = params.texts("LoadBalancerArns");
        let names = params.texts("Names");
        for arn in &arns {
            self.require_load_balancer(arn)?;
        }
        if let Some(name) = names
            .iter()
            .find(|name| !self.load_balancers.values().any(|known| known.name == **name))
        {
            return Err(no_load_balancer(name));
        }
        let chosen = self.load_balancers.iter().filter(|(arn, balancer)| {
            (arns.is_empty() || arns.contains(&arn.as_str()))
                && (names.is_empty() || names.contains(&balancer.name.as_str()))
        });
        page(
            params,
            "LoadBalancers",
            chosen.map(|(arn, balancer)| (arn.clone(), balancer.xml(arn, &self.region))),
        )
    }

    /// Deletes a load balancer with its listeners; one that does not exist is no error ("the call succeeds").
    pub(super) fn delete_load_balancer(
        &mut self,
        _now: Duration,
        params: &Params<'_>,
    ) -> Result<String, ApiError> {
        let arn = params.required("LoadBalancerArn")?;
        self.load_balancers.remove(arn);
        self.listeners.retain(|_, listener| listener.load_balancer != arn);
        let listeners = &self.listeners;
        self.rules
            .retain(|_, rule| listeners.contains_key(&rule.listener));
        self.detach_unused();
        Ok(String::new())
    }

    pub(super) fn create_listener(&mut self, now: Duration, params: &Params<'_>) -> Result<String, ApiError> {
        let load_balancer = params.required("LoadBalancerArn")?;
        let kind = self.require_load_balancer(load_balancer)?.kind;
        let protocol = params.required("Protocol")?;
        let protocol = Protocol::parse(protocol).ok_or_else(|| {
            ApiError::new(
                "UnsupportedProtocol",
                format!(
                    "'Protocol' is '{protocol}'; the sandbox has listeners of protocol HTTP and TCP only"
                ),
            )
        })?;
        if protocol != kind.protocol() {
            return Err(params.wrong(format!(
                "Listener protocol '{}' is not supported with load balancer type '{}'",
                protocol.as_str(),
                kind.words().0
            )));
        }
        let port = params
            .number("Port", &(1..=65535_u16))?
            .ok_or_else(|| params.wrong("'Port' must be specified"))?;
        let forward = Forward::read(params, "DefaultActions")?;
        self.check_free_port(load_balancer, port, params)?;
        let load_balancer = load_balancer.to_owned();
        self.adopt(now, &load_balancer, &forward)?;
        let listener = Listener {
            load_balancer: load_balancer.clone(),
            protocol,
            port,
            forward,
        };
        let path = load_balancer
            .split_once(":loadbalancer/")
            .map_or("", |(_, path)| path);
        let arn = self.mint(&format!("listener/{path}"));
        let answer = xml::list("Listeners", [listener.xml(&arn)]);
        self.listeners.insert(arn, listener);
        Ok(answer)
    }

    pub(super) fn describe_listeners(
        &mut self,
        _now: Duration,
        params: &Params<'_>,
    ) -> Result<String, ApiError> {
        let arns = params.texts("ListenerArns");
        let balancer = params.text("LoadBalancerArn");
        if let Some(balancer) = balancer {
            self.require_load_balancer(balancer)?;
        } else if arns.is_empty() {
            return Err(params.wrong("You must specify either listener ARNs or a load balancer ARN"));
        }
        if let Some(arn) = arns.iter().find(|arn| !self.listeners.contains_key(**arn)) {
            return Err(no_listener(arn));
        }
        let chosen = self.listeners.iter().filter(|(arn, listener)| {
            (arns.is_empty() || arns.contains(&arn.as_str()))
                && balancer.is_none_or(|balancer| listener.load_balancer == balancer)
        });
        page(
            params,
            "Listeners",
            chosen.map(|(arn, listener)| (arn.clone(), listener.xml(arn))),
        )
    }

    pub(super) fn delete_listener(
        &mut self,
        _now: Duration,
        params: &Params<'_>,
    ) -> Result<String, ApiError> {
        let arn = params.required("ListenerArn")?;
        self.listeners.remove(arn).ok_or_else(|| no_listener(arn))?;
        self.rules.retain(|_, rule| rule.listener != arn);
        self.detach_unused();
        Ok(String::new())
    }

    pub(super) fn require_load_balancer(&self, arn: &str) -> Result<&LoadBalancer, ApiError> {
        self.load_balancers.get(arn).ok_or_else(|| no_load_balancer(arn))
    }

    fn check_free_port(&self, load_balancer: &str, port: u16, params: &Params<'_>) -> Result<(), ApiError> {
        match self.listeners.values().find(|listener| listener.port == port) {
            None => Ok(()),
            Some(other) if other.load_balancer == load_balancer => Err(ApiError::new(
                "DuplicateListener",
                format!("A listener already exists on port {port} for load balancer '{load_balancer}'"),
            )),
            Some(other) => Err(params.wrong(format!(
                "port {port} belongs to load balancer '{}'; in the sandbox all share 127.0.0.1",
                other.load_balancer
            ))),
        }
    }

    /// Attaches target groups to the load balancer that is to forward to them.
    ///
    /// # Errors
    /// TargetGroupNotFound, IncompatibleProtocols, TargetGroupAssociationLimit: nothing is attached then.
    pub(super) fn adopt(
        &mut self,
        now: Duration,
        load_balancer: &str,
        forward: &Forward,
    ) -> Result<(), ApiError> {
        let protocol = self.require_load_balancer(load_balancer)?.kind.protocol();
        for (arn, _) in &forward.0 {
            let group = self.group(arn)?;
            if group.protocol != protocol {
                return Err(ApiError::new(
                    "IncompatibleProtocols",
                    format!("The protocols of the listener and of target group '{arn}' are incompatible"),
                ));
            }
            if group
                .load_balancer
                .as_deref()
                .is_some_and(|other| other != load_balancer)
            {
                return Err(ApiError::new(
                    "TargetGroupAssociationLimit",
                    format!(
                        "The following target groups cannot be associated with more than one load balancer: {arn}"
                    ),
                ));
            }
        }
        for (arn, _) in &forward.0 {
            self.group_mut(arn)?.attach(now, load_balancer.to_owned());
        }
        Ok(())
    }

    /// Groups that nothing forwards to any more have no load balancer, and their targets are unused.
    pub(super) fn detach_unused(&mut self) {
        let listeners = self.listeners.values().map(|listener| &listener.forward);
        let forwards = listeners.chain(self.rules.values().map(|rule| &rule.forward));
        let used: BTreeSet<&String> = forwards
            .flat_map(|forward| &forward.0)
            .map(|(group, _)| group)
            .collect();
        for (arn, group) in &mut self.groups {
            if !used.contains(arn) {
                group.load_balancer = None;
            }
        }
    }
}

fn no_load_balancer(which: &str) -> ApiError {
    ApiError::new(
        "LoadBalancerNotFound",
        format!("Load balancers '[{which}]' not found"),
    )
}

pub fn no_listener(arn: &str) -> ApiError {
    ApiError::new(
        "ListenerNotFound",
        format!("One or more listeners not found: '{arn}'"),
    )
}
