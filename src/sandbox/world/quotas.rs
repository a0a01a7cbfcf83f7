//! How often a client may ask: token buckets, one for each category of operations, shared by all clients.
//!
//! Those of ECS are "Request throttling for the Amazon ECS API", per account and region. CodePipeline publishes none:
//! its rates are an assumption, modest enough that a client which asks without pauses meets them, and a scenario sets
//! others (`[quotas.codepipeline]`).

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
    /// The rates of which a scenario says something else.
    rates: BTreeMap<Category, Rate>,
}

/// How fast a category is refilled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many requests at once.
    pub burst: u32,
    /// How many a second in the long run, at least 1.
    pub per_second: u32,
}

/// The API that an operation belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Amazon ECS.
    Ecs,
    /// AWS CodePipeline.
    CodePipeline,
}

/// What operations are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// Registering and deregistering task definitions.
    TaskDefinitionModify,
    /// Describing and listing task definitions.
    TaskDefinitionRead,
    /// Creating, updating and deleting services.
    ServiceModify,
    /// Describing and listing services.
    ServiceRead,
    /// Running and stopping tasks.
    ClusterResourceModify,
    /// Describing and listing tasks.
    ClusterResourceRead,
    /// Describing and listing service deployments.
    ServiceDeploymentRead,
    /// Describing service revisions.
    ServiceRevisionRead,
    /// Describing and listing clusters.
    ClusterRead,
    /// Tagging and untagging.
    TagModify,
    /// Listing tags.
    TagRead,
    /// PollForJobs.
    JobPoll,
    /// AcknowledgeJob.
    JobAcknowledge,
    /// GetJobDetails.
    JobRead,
    /// PutJobSuccessResult and PutJobFailureResult.
    JobResult,
    /// Everything else of CodePipeline that only reads.
    PipelineRead,
    /// Everything of pipelines and their executions that changes something.
    PipelineModify,
    /// Creating and deleting custom action types.
    ActionTypeModify,
}

impl Category {
    /// The category of an operation; `None` for those of ECS whose rate AWS does not publish.
    fn of(api: Api, operation: &str) -> Option<Self> {
        match api {
            Api::Ecs => Self::of_ecs(operation),
            Api::CodePipeline => Some(Self::of_pipelines(operation)),
        }
    }

    fn of_pipelines(operation: &str) -> Self {
        match operation {
            "PollForJobs" => Self::JobPoll,
            "AcknowledgeJob" => Self::JobAcknowledge,
            "GetJobDetails" => Self::JobRead,
            "PutJobSuccessResult" | "PutJobFailureResult" => Self::JobResult,
            "CreateCustomActionType" | "DeleteCustomActionType" => Self::ActionTypeModify,
            reads if reads.starts_with("Get") || reads.starts_with("List") => Self::PipelineRead,
            _ => Self::PipelineModify,
        }
    }

    fn of_ecs(operation: &str) -> Option<Self> {
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

    const fn rate(self) -> Rate {
        let (burst, per_second) = match self {
            Self::TaskDefinitionModify => (20, 1),
            Self::ServiceModify => (50, 5),
            Self::ServiceRead | Self::ClusterResourceRead => (100, 20),
            Self::ClusterResourceModify => (100, 40),
            Self::TagModify | Self::JobAcknowledge | Self::JobRead | Self::JobResult => (20, 10),
            Self::JobPoll | Self::PipelineRead | Self::PipelineModify => (10, 5),
            Self::ActionTypeModify => (5, 1),
            Self::TaskDefinitionRead
            | Self::ServiceDeploymentRead
            | Self::ServiceRevisionRead
            | Self::ClusterRead
            | Self::TagRead => (50, 20),
        };
        Rate { burst, per_second }
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
            rates: BTreeMap::new(),
        }
    }

    /// Sets another rate for a category.
    pub fn set(&mut self, category: Category, rate: Rate) {
        self.rates.insert(category, rate);
    }

    /// Whether a client may ask for this operation now; if so, it did. A request that is refused costs nothing.
    pub fn admits(&mut self, now: Duration, api: Api, operation: &str) -> bool {
        let Some(category) = Category::of(api, operation).filter(|_| self.enforced) else {
            return true;
        };
        let rate = self.rates.get(&category).copied();
        let Rate { burst, per_second } = rate.unwrap_or_else(|| category.rate());
        let token = self.second / per_second.max(1);
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
    use super::{Api, Category, Quotas, Rate};
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many of a thousand requests at one instant are admitted.
    fn admitted(quotas: &mut Quotas, now: Duration, operation: &str) -> usize {
        admitted_by(quotas, now, Api::Ecs, operation)
    }

    fn admitted_by(quotas: &mut Quotas, now: Duration, api: Api, operation: &str) -> usize {
        (0..1000).filter(|_| quotas.admits(now, api, operation)).count()
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
        assert!(!quotas.admits(SECOND, Api::Ecs, "DeregisterTaskDefinition"));
        assert!(quotas.admits(SECOND, Api::Ecs, "DescribeTaskDefinition"));
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

    #[test]
    fn operations_of_pipelines_have_buckets_of_their_own_and_a_scenario_sets_their_rates() {
        let mut quotas = Quotas::new(SECOND);
        for (operation, burst, per_second) in [
            ("PollForJobs", 10, 5),
            ("AcknowledgeJob", 20, 10),
            ("GetJobDetails", 20, 10),
            ("PutJobSuccessResult", 20, 10),
            ("GetPipelineState", 10, 5),
            ("StartPipelineExecution", 10, 5),
            ("CreateCustomActionType", 5, 1),
        ] {
            let mut ask = |now| admitted_by(&mut quotas, now, Api::CodePipeline, operation);
            assert_eq!((ask(SECOND), ask(2 * SECOND)), (burst, per_second), "{operation}");
        }
        assert_eq!(
            admitted_by(&mut quotas, 2 * SECOND, Api::CodePipeline, "PutJobFailureResult"),
            0
        );
        // The same name, and another API.
        assert_eq!(admitted(&mut quotas, SECOND, "TagResource"), 20);
        let rate = Rate {
            burst: 3,
            per_second: 2,
        };
        quotas.set(Category::JobPoll, rate);
        assert_eq!(
            admitted_by(&mut quotas, 9 * SECOND, Api::CodePipeline, "PollForJobs"),
            3
        );
    }
}
