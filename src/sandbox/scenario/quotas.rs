//! How often clients may ask: the `[quotas]` table of a scenario file.
//!
//! ```toml
//! [quotas]
//! enforce = true              # false: nobody is refused for asking too often
//!
//! [quotas.codepipeline]       # AWS publishes no rates: these are the sandbox's own
//! poll        = { burst = 10, per-second = 5 }    # PollForJobs
//! acknowledge = { burst = 20, per-second = 10 }   # AcknowledgeJob
//! details     = { burst = 20, per-second = 10 }   # GetJobDetails
//! result      = { burst = 20, per-second = 10 }   # PutJobSuccessResult, PutJobFailureResult
//! read        = { burst = 10, per-second = 5 }    # GetPipelineState and whatever else only reads
//! change      = { burst = 10, per-second = 5 }    # StartPipelineExecution and whatever else changes pipelines
//! action-type = { burst = 5, per-second = 1 }     # CreateCustomActionType, DeleteCustomActionType
//! ```

use crate::sandbox::world::quotas::{Category, Rate};
use serde::Deserialize;
use std::num::NonZeroU32;

/// The `[quotas]` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    /// Whether a client that asks too often is refused.
    pub enforce: bool,
    codepipeline: Pipelines,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            enforce: true,
            codepipeline: Pipelines::default(),
        }
    }
}

/// The `[quotas.codepipeline]` table.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Pipelines {
    poll: Option<WrittenRate>,
    acknowledge: Option<WrittenRate>,
    details: Option<WrittenRate>,
    result: Option<WrittenRate>,
    read: Option<WrittenRate>,
    change: Option<WrittenRate>,
    action_type: Option<WrittenRate>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WrittenRate {
    burst: NonZeroU32,
    per_second: NonZeroU32,
}

impl Written {
    /// The rates that the table sets.
    #[must_use]
    pub fn rates(&self) -> Vec<(Category, Rate)> {
        let pipelines = &self.codepipeline;
        [
            (Category::JobPoll, pipelines.poll),
            (Category::JobAcknowledge, pipelines.acknowledge),
            (Category::JobRead, pipelines.details),
            (Category::JobResult, pipelines.result),
            (Category::PipelineRead, pipelines.read),
            (Category::PipelineModify, pipelines.change),
            (Category::ActionTypeModify, pipelines.action_type),
        ]
        .into_iter()
        .filter_map(|(category, written)| {
            let WrittenRate { burst, per_second } = written?;
            let rate = Rate {
                burst: burst.get(),
                per_second: per_second.get(),
            };
            Some((category, rate))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::sandbox::scenario::Scenario;
    use crate::sandbox::world::quotas::{Category, Rate};

    #[test]
    fn a_scenario_lifts_the_quotas_or_sets_their_rates() {
        assert!(Scenario::parse("").unwrap().quotas_enforced);
        assert!(
            !Scenario::parse("[quotas]\nenforce = false")
                .unwrap()
                .quotas_enforced
        );
        let text = "[quotas.codepipeline]\npoll = { burst = 2, per-second = 1 }\naction-type = { burst = 9, per-second = 8 }";
        let rate = |burst, per_second| Rate { burst, per_second };
        assert_eq!(
            Scenario::parse(text).unwrap().rates,
            [
                (Category::JobPoll, rate(2, 1)),
                (Category::ActionTypeModify, rate(9, 8)),
            ]
        );
        for refused in [
            "[quotas.codepipeline]\npoll = { burst = 0, per-second = 1 }",
            "[quotas.codepipeline]\nsulk = { burst = 1, per-second = 1 }",
        ] {
            assert!(Scenario::parse(refused).is_err(), "{refused}");
        }
    }
}
