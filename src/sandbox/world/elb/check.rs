//! How a target group checks its targets: settings, their ranges and defaults, and the matcher of status codes.

use super::super::error::ApiError;
use super::params::Params;
use std::fmt;
use std::time::Duration;

/// HTTP or TCP, for target groups, listeners and checks alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 behind an Application Load Balancer.
    Http,
    /// TCP behind a Network Load Balancer.
    Tcp,
}

impl Protocol {
    /// Reads `HTTP` or `TCP`; the sandbox knows no other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "HTTP" => Some(Self::Http),
            "TCP" => Some(Self::Tcp),
            _ => None,
        }
    }

    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Tcp => "TCP",
        }
    }
}

/// The health check settings of a target group (CreateTargetGroup).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What the check speaks.
    pub protocol: Protocol,
    /// The port; `None` is `traffic-port`.
    pub port: Option<u16>,
    /// The path of an HTTP check.
    pub path: String,
    /// From one check to the next; 5 s to 300 s.
    pub interval: Duration,
    /// How long a target may take; 2 s to 120 s, and less than the interval.
    pub timeout: Duration,
    /// Successes in a row that make an unhealthy target healthy; 2 to 10.
    pub healthy_threshold: u32,
    /// Failures in a row that make a target unhealthy; 2 to 10.
    pub unhealthy_threshold: u32,
    /// Which status codes are a success.
    pub matcher: Matcher,
}

impl HealthCheck {
    /// The defaults of CreateTargetGroup for a group's protocol.
    pub fn of_group(protocol: Protocol) -> Self {
        Self {
            protocol,
            port: None,
            path: "/".to_owned(),
            interval: Duration::from_secs(30),
            timeout: default_timeout(protocol, protocol),
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            matcher: default_matcher(protocol),
        }
    }

    /// These settings with what a request names changed; `group` is the protocol of the target group.
    ///
    /// # Errors
    /// The operation's error for a value out of range.
    pub fn with(mut self, group: Protocol, params: &Params<'_>) -> Result<Self, ApiError> {
        if let Some(text) = params.text("HealthCheckProtocol") {
            self.protocol = check_protocol(group, text, params)?;
            self.timeout = default_timeout(group, self.protocol);
        }
        if let Some(text) = params
            .text("HealthCheckPort")
            .filter(|text| *text != "traffic-port")
        {
            let port = text.parse::<u16>().ok().filter(|port| *port > 0);
            self.port = Some(port.ok_or_else(|| {
                params.wrong(format!(
                    "'HealthCheckPort' is '{text}', it must be `traffic-port` or between 1 and 65535"
                ))
            })?);
        }
        if let Some(path) = params.text("HealthCheckPath") {
            if !path.starts_with('/') || path.len() > 1024 {
                return Err(params.wrong(format!(
                    "'HealthCheckPath' is '{path}', it must start with '/' and have at most 1024 characters"
                )));
            }
            self.path = path.to_owned();
        }
        if params.text("HealthCheckEnabled") == Some("false") {
            return Err(
                params.wrong("health checks cannot be disabled for target groups with target type 'ip'")
            );
        }
        if let Some(seconds) = params.number("HealthCheckIntervalSeconds", &(5..=300))? {
            self.interval = Duration::from_secs(seconds);
        }
        if let Some(seconds) = params.number("HealthCheckTimeoutSeconds", &(2..=120))? {
            self.timeout = Duration::from_secs(seconds);
        }
        if let Some(count) = params.number("HealthyThresholdCount", &(2..=10))? {
            self.healthy_threshold = count;
        }
        if let Some(count) = params.number("UnhealthyThresholdCount", &(2..=10))? {
            self.unhealthy_threshold = count;
        }
        if let Some(text) = params.text("Matcher.HttpCode") {
            self.matcher = Matcher::parse(text, group).ok_or_else(|| {
                params.wrong(format!(
                    "'Matcher.HttpCode' is '{text}', it must be like '200', '200,202' or '200-299'"
                ))
            })?;
        }
        if self.timeout >= self.interval {
            return Err(params.wrong(format!(
                "the health check timeout of {} s must be smaller than the interval of {} s",
                self.timeout.as_secs(),
                self.interval.as_secs()
            )));
        }
        Ok(self)
    }
}

fn check_protocol(group: Protocol, text: &str, params: &Params<'_>) -> Result<Protocol, ApiError> {
    match (group, Protocol::parse(text)) {
        (Protocol::Http, Some(Protocol::Tcp)) => {
            Err(params
                .wrong("'HealthCheckProtocol' must be HTTP or HTTPS for a target group of protocol HTTP"))
        }
        (_, Some(protocol)) => Ok(protocol),
        (_, None) => Err(params.wrong(format!(
            "'HealthCheckProtocol' is '{text}'; the sandbox checks with HTTP or TCP"
        ))),
    }
}

/// CreateTargetGroup: 5 s for HTTP groups; for TCP groups 6 s for HTTP checks and 10 s for TCP checks.
fn default_timeout(group: Protocol, check: Protocol) -> Duration {
    Duration::from_secs(match (group, check) {
        (Protocol::Http, _) => 5,
        (Protocol::Tcp, Protocol::Http) => 6,
        (Protocol::Tcp, Protocol::Tcp) => 10,
    })
}

/// The `Matcher` member: 200 for an Application Load Balancer, 200-399 for a Network Load Balancer.
fn default_matcher(group: Protocol) -> Matcher {
    match group {
        Protocol::Http => Matcher(vec![(200, 200)]),
        Protocol::Tcp => Matcher(vec![(200, 399)]),
    }
}

/// The status codes that count as a success, as ranges with both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher(Vec<(u16, u16)>);

impl Matcher {
    /// Reads `200`, `200,202` or `200-299`; codes from 200 to 499, to 599 for TCP groups (the `Matcher` type).
    pub fn parse(text: &str, group: Protocol) -> Option<Self> {
        let highest = match group {
            Protocol::Http => 499,
            Protocol::Tcp => 599,
        };
        let ranges = text
            .split(',')
            .map(|part| {
                let (low, high) = part.split_once('-').unwrap_or((part, part));
                let range = (code(low)?, code(high)?);
                (200 <= range.0 && range.0 <= range.1 && range.1 <= highest).then_some(range)
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self(ranges))
    }

    /// Whether a status code counts as a success.
    pub fn accepts(&self, status: u16) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&status))
    }
}

fn code(text: &str) -> Option<u16> {
    (text.len() == 3).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (low, high)) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(",")?;
            }
            if low == high {
                write!(f, "{low}")?;
            } else {
                write!(f, "{low}-{high}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{HealthCheck, Matcher, Params, Protocol};
    use std::collections::BTreeMap;

    #[test]
    fn matchers_are_read_as_written_and_refused_when_out_of_range() {
        for text in ["200", "200,202", "200-299", "200-204,301"] {
            assert_eq!(Matcher::parse(text, Protocol::Http).unwrap().to_string(), text);
        }
        for text in ["", "20", "199", "500", "299-200", "200;201", "+200"] {
            assert_eq!(Matcher::parse(text, Protocol::Http), None, "{text}");
        }
        assert!(Matcher::parse("200-599", Protocol::Tcp).unwrap().accepts(503));
        assert!(!Matcher::parse("200,204", Protocol::Http).unwrap().accepts(201));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for (name, value, says) in [
            (
                "HealthCheckIntervalSeconds",
                "4",
                "'HealthCheckIntervalSeconds' is '4', it must be between 5 and 300",
            ),
            (
                "HealthCheckTimeoutSeconds",
                "30",
                "the health check timeout of 30 s must be smaller than the interval of 30 s",
            ),
            (
                "UnhealthyThresholdCount",
                "1",
                "'UnhealthyThresholdCount' is '1', it must be between 2 and 10",
            ),
            (
                "HealthCheckPort",
                "0",
                "'HealthCheckPort' is '0', it must be `traffic-port` or between 1 and 65535",
            ),
            (
                "HealthCheckProtocol",
                "TCP",
                "'HealthCheckProtocol' must be HTTP or HTTPS for a target group of protocol HTTP",
            ),
        ] {
            let all = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            let params = Params::new(&all, "InvalidConfigurationRequest");
            let error = HealthCheck::of_group(Protocol::Http)
                .with(Protocol::Http, &params)
                .unwrap_err();
            assert_eq!(error.message, says);
        }
    }
}
