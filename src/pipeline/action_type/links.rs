//! Where the links of an action lead: AWS's consoles, by partition, and a log.

/// What CodePipeline puts a job's external execution id for.
pub const EXTERNAL_ID: &str = "{ExternalExecutionId}";

/// The log group that the sample task definition writes to.
const LOG_GROUP: &str = "/slipway/worker";

/// The region whose consoles are linked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(String);

impl Place {
    /// A region by its name.
    #[must_use]
    pub fn in_region(region: &str) -> Self {
        Self(region.to_owned())
    }

    /// The region of whatever stack the type is registered by: CloudFormation fills it in.
    #[must_use]
    pub fn of_the_stack() -> Self {
        Self("${AWS::Region}".to_owned())
    }

    /// The console's address, without a path; none in a partition whose console has no public name.
    fn console(&self) -> Option<String> {
        let region = &self.0;
        if region.starts_with("cn-") {
            return Some(format!("https://{region}.console.amazonaws.cn"));
        }
        if region.starts_with("us-gov-") {
            return Some(format!("https://{region}.console.amazonaws-us-gov.com"));
        }
        let is_isolated = ["us-iso", "eu-iso", "eusc-"]
            .iter()
            .any(|partition| region.starts_with(partition));
        (!is_isolated).then(|| format!("https://{region}.console.aws.amazon.com"))
    }

    /// The deployments of the service that a job's external id names: `clusters/CLUSTER/services/SERVICE`.
    pub(super) fn deployments(&self) -> Option<String> {
        let region = &self.0;
        let console = self.console()?;
        Some(format!(
            "{console}/ecs/v2/{EXTERNAL_ID}/deployments?region={region}"
        ))
    }

    /// The clusters of the region.
    pub(super) fn clusters(&self) -> Option<String> {
        let region = &self.0;
        Some(format!("{}/ecs/v2/clusters?region={region}", self.console()?))
    }

    /// The repositories of the region.
    pub(super) fn repositories(&self) -> Option<String> {
        let region = &self.0;
        Some(format!(
            "{}/ecr/private-registry/repositories?region={region}",
            self.console()?
        ))
    }
}

/// Where the log of a build is found by its external id, which is its action execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogLink {
    /// A group of CloudWatch Logs, searched for the id.
    Group(String),
    /// Another log system: a URL template with `{ExternalExecutionId}`.
    Url(String),
}

impl Default for LogLink {
    fn default() -> Self {
        Self::Group(LOG_GROUP.to_owned())
    }
}

impl LogLink {
    pub(super) fn url(&self, place: &Place) -> Option<String> {
        let group = match self {
            Self::Url(url) => return Some(url.clone()),
            Self::Group(group) => group,
        };
        let region = &place.0;
        let console = place.console()?;
        // `?filterPattern="ID"`: the console's own way of writing a query behind `#`.
        Some(format!(
            "{console}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{}\
             /log-events$3FfilterPattern$3D$2522{EXTERNAL_ID}$2522",
            twice_encoded(group)
        ))
    }
}

/// A name as the console of CloudWatch Logs wants it behind `#`: percent-encoded twice, with `$` for the outer `%`.
fn twice_encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("$25{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{LogLink, Place};

    #[test]
    fn each_partition_has_its_console_and_a_secret_one_has_none() {
        for (region, expected) in [
            (
                "eu-west-1",
                Some(
                    "https://eu-west-1.console.aws.amazon.com/ecs/v2/{ExternalExecutionId}/deployments?region=eu-west-1",
                ),
            ),
            (
                "cn-north-1",
                Some(
                    "https://cn-north-1.console.amazonaws.cn/ecs/v2/{ExternalExecutionId}/deployments?region=cn-north-1",
                ),
            ),
            (
                "us-gov-west-1",
                Some(
                    "https://us-gov-west-1.console.amazonaws-us-gov.com/ecs/v2/{ExternalExecutionId}/deployments\
                     ?region=us-gov-west-1",
                ),
            ),
            ("us-iso-east-1", None),
            ("us-isob-east-1", None),
        ] {
            assert_eq!(Place::in_region(region).deployments().as_deref(), expected);
        }
    }

    #[test]
    fn a_log_is_searched_for_the_execution_in_the_given_group_or_system() {
        let place = Place::in_region("eu-west-1");
        assert_eq!(
            LogLink::Group("/team a/slipway".to_owned()).url(&place).unwrap(),
            "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/\
             $252Fteam$2520a$252Fslipway/log-events$3FfilterPattern$3D$2522{ExternalExecutionId}$2522"
        );
        let other = "https://logs.example.com/?q={ExternalExecutionId}";
        assert_eq!(LogLink::Url(other.to_owned()).url(&place).unwrap(), other);
        let isolated = Place::in_region("us-iso-east-1");
        assert_eq!(LogLink::default().url(&isolated), None);
    }
}
