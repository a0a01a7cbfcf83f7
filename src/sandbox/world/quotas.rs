//! How often a client may ask: ECS's token buckets, one for each category of operations, shared by all clients.
//!
//! Source: "Request throttling for the Amazon ECS API", per account and region.

use std::collections::BTreeMap;
use std::time::Duration;

/// The buckets that were asked of, and whether they matter.
#[derive(Debug)]
pub struct Quotas {
    /// Whether a client that asks too often is refused.
    pub enforced: bool,
    /// How long a second of the quotas takes.
    second: Duration,
    /// For each category the instant at which its bucket is full again.
    full_at: BTreeMap<Category, Duration>,
}

/// What operations are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Category {
    TaskDefinitionModify,
    TaskDefinitionRead,
    ServiceModify,
    ServiceRead,
    ClusterResourceModify,
    ClusterResourceRead,
    ServiceDeploymentRead,
    ServiceRevisionRead,
    ClusterRead,
    TagModify,
    TagRead,
}

impl Category {
    /// The category of an operation of ECS; `None` for those whose rate AWS does not publish.
    fn of(operation: &str) -> Option<Self> {
        Some(match operation {
            "RegisterTaskDefinition" | "DeregisterTaskDefinition" => Self::TaskDefinitionModify,
            "DescribeTaskDefinition" | "ListTaskDefinitions" | "ListTaskDefinitionFamilies" => {
                Self::TaskDefinitionRead
            }
            "CreateService" | "UpdateService" | "DeleteService" => Self::ServiceModify,
            "DescribeServices" | "ListServices" => Self::ServiceRead,
            "RunTask" | "StopTask" => Self::ClusterResourceModify,
            "DescribeTasks" | "ListTasks" => Self::ClusterResourceRead,
            "DescribeServiceDeployments" | "ListServiceDeployments" => Self::ServiceDeploymentRead,
            "DescribeServiceRevisions" => Self::ServiceRevisionRead,
            "DescribeClusters" | "ListClusters" => Self::ClusterRead,
            "TagResource" | "UntagResource" => Self::TagModify,
            "ListTagsForResource" => Self::TagRead,
            _ => return None,
        })
    }

    /// How many requests at once, and how many a second in the long run.
    const fn rates(self) -> (u32, u32) {
        match self {
            Self::TaskDefinitionModify => (20, 1),
            Self::ServiceModify => (50, 5),
            Self::ServiceRead | Self::ClusterResourceRead => (100, 20),
            Self::ClusterResourceModify => (100, 40),
            Self::TagModify => (20, 10),
            Self::TaskDefinitionRead
            | Self::ServiceDeploymentRead
            | Self::ServiceRevisionRead
            | Self::ClusterRead
            | Self::TagRead => (50, 20),
        }
    }
}

impl Quotas {
    /// Full buckets; `second` is how long a second takes.
    #[must_use]
    pub fn new(second: Duration) -> Self {
        Self {
            enforced: true,
            second,
            full_at: BTreeMap::new(),
        }
    }

    /// Whether a client may ask for this operation of ECS now; if so, it did. A request that is refused costs nothing.
    pub fn admits(&mut self, now: Duration, operation: &str) -> bool {
        let Some(category) = Category::of(operation).filter(|_| self.enforced) else {
            return true;
        };
        let (burst, sustained) = category.rates();
        let token = self.second / sustained;
        let full_at = self.full_at.entry(category).or_default();
        let with_this = (*full_at).max(now) + token;
        if with_this > now + token * burst {
            return false;
        }
        *full_at = with_this;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Quotas;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many of a thousand requests at one instant are admitted.
    fn admitted(quotas: &mut Quotas, now: Duration, operation: &str) -> usize {
        (0..1000).filter(|_| quotas.admits(now, operation)).count()
    }

    #[test]
    fn a_bucket_holds_its_burst_and_fills_at_its_rate() {
        for (operation, burst, sustained) in [
            ("RegisterTaskDefinition", 20, 1),
            ("DescribeTaskDefinition", 50, 20),
            ("UpdateService", 50, 5),
            ("DescribeServices", 100, 20),
            ("DescribeTasks", 100, 20),
            ("RunTask", 100, 40),
            ("DescribeServiceDeployments", 50, 20),
            ("DescribeServiceRevisions", 50, 20),
            ("TagResource", 20, 10),
        ] {
            let mut quotas = Quotas::new(SECOND);
            let start = 1000 * SECOND;
            assert_eq!(admitted(&mut quotas, start, operation), burst, "{operation}");
            assert_eq!(
                admitted(&mut quotas, start + SECOND, operation),
                sustained,
                "{operation}"
            );
            assert_eq!(
                admitted(&mut quotas, start + 3 * SECOND, operation),
                2 * sustained,
                "{operation}"
            );
            assert_eq!(
                admitted(&mut quotas, start + 900 * SECOND, operation),
                burst,
                "{operation}"
            );
        }
    }

    #[test]
    fn operations_of_a_category_share_a_bucket_and_others_do_not() {
        let mut quotas = Quotas::new(SECOND);
        assert_eq!(admitted(&mut quotas, SECOND, "RegisterTaskDefinition"), 20);
        assert!(!quotas.admits(SECOND, "DeregisterTaskDefinition"));
        assert!(quotas.admits(SECOND, "DescribeTaskDefinition"));
        assert_eq!(admitted(&mut quotas, SECOND, "CreateCluster"), 1000);
    }

    #[test]
    fn a_faster_clock_fills_faster_and_a_scenario_may_lift_the_quotas() {
        let mut quotas = Quotas::new(SECOND / 10);
        assert_eq!(admitted(&mut quotas, SECOND, "RegisterTaskDefinition"), 20);
        assert_eq!(admitted(&mut quotas, 2 * SECOND, "RegisterTaskDefinition"), 10);
        quotas.enforced = false;
        assert_eq!(admitted(&mut quotas, 2 * SECOND, "RegisterTaskDefinition"), 1000);
    }
}
