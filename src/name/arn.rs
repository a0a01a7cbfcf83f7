//! Amazon resource names.

use super::{NameError, wrong};
use std::fmt;
use std::str::FromStr;

/// The error of a text that is not an ARN.
pub type ArnError = NameError;

/// An ARN, `arn:partition:service:region:account:resource`, kept as written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arn(String);

impl Arn {
    /// The whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn part(&self, index: usize) -> &str {
        self.0.splitn(6, ':').nth(index).unwrap_or_default()
    }

    /// The service, such as `ecs`.
    #[must_use]
    pub fn service(&self) -> &str {
        self.part(2)
    }

    /// The region; empty for global services.
    #[must_use]
    pub fn region(&self) -> &str {
        self.part(3)
    }

    /// The account id; empty for S3.
    #[must_use]
    pub fn account(&self) -> &str {
        self.part(4)
    }

    /// Everything after the account: `task-definition/web:42`.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.part(5)
    }

    /// The text after the last `/`: a task's id, a revision's number, `web:42` of a task definition.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Arn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        match parts.as_slice() {
            ["arn", partition, service, _, _, resource]
                if !partition.is_empty() && !service.is_empty() && !resource.is_empty() =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(wrong(
                "ARN",
                text,
                "expected `arn:partition:service:region:account:resource`",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Arn;

    #[test]
    fn an_arn_gives_its_parts() {
        let arn: Arn = "arn:aws:ecs:eu-west-1:000000000000:task-definition/web:42"
            .parse()
            .unwrap();
        assert_eq!(
            (
                arn.service(),
                arn.region(),
                arn.account(),
                arn.resource(),
                arn.short()
            ),
            (
                "ecs",
                "eu-west-1",
                "000000000000",
                "task-definition/web:42",
                "web:42"
            )
        );
        for bad in ["", "web:42", "arn:aws:ecs:eu-west-1:0:", "arn::ecs:r:a:x"] {
            assert!(bad.parse::<Arn>().is_err(), "{bad}");
        }
    }
}
