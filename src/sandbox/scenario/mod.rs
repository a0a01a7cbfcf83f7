//! A scenario file (TOML): what goes wrong in the sandbox, and when.
//!
//! `[[fault]]` tables are of the wire (throttling, 5xx, lost answers), `[[fate]]` tables are of simulated tasks (crash,
//! hang, unhealthy), `[[act]]` tables are of what somebody else does meanwhile, `[[hook]]` tables are of the functions
//! behind lifecycle hooks, `[[role]]` tables are of what roles demand of whoever assumes them, `[[wake]]` tables are of
//! queues that get events, `[quotas]` is of how often clients may ask, the `[ecs]` table chooses between behaviours that
//! ECS was seen to have, the `[codepipeline]` table sets what AWS publishes nowhere of CodePipeline.

pub mod acts;
pub mod codepipeline;
pub mod fates;
pub mod faults;
pub mod hooks;
pub mod placements;
pub mod quotas;
pub mod roles;
pub mod wakes;

use super::world::acts::Act;
use super::world::ecs::{HookScript, Quirks, Trouble};
use super::world::pipeline;
use super::world::quotas::{Category, Rate};
use super::world::sqs::Subscription;
use super::world::sts::Role;
use serde::Deserialize;
use std::time::Duration;

/// Seconds that no roll lasts, some thirty years.
const FOR_EVER: u32 = 1_000_000_000;

/// Everything that a scenario file says.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What goes wrong on the wire.
    pub faults: faults::Faults,
    /// What simulated tasks do.
    pub fates: fates::Fates,
    /// Whether a client that asks too often is refused.
    pub quotas_enforced: bool,
    /// How often it may ask, where the scenario says so.
    pub rates: Vec<(Category, Rate)>,
    /// Which tasks find no place.
    pub troubles: Vec<Trouble>,
    /// What somebody else does.
    pub acts: Vec<Act>,
    /// What the functions behind lifecycle hooks answer.
    pub hooks: HookScript,
    /// What roles demand of whoever assumes them.
    pub roles: Vec<Role>,
    /// Which queues get the events of pipelines.
    pub wakes: Vec<Subscription>,
    /// How ECS behaves where observations differ.
    pub quirks: Quirks,
    /// How CodePipeline behaves where AWS publishes nothing.
    pub codepipeline: pipeline::Quirks,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            faults: faults::Faults::default(),
            fates: fates::Fates::default(),
            quotas_enforced: true,
            rates: Vec::new(),
            troubles: Vec::new(),
            acts: Vec::new(),
            hooks: HookScript::default(),
            roles: Vec::new(),
            wakes: Vec::new(),
            quirks: Quirks::default(),
            codepipeline: pipeline::Quirks::default(),
        }
    }
}

/// Why a scenario file can not be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It is not TOML, or a table says something unknown.
    #[error("read the scenario")]
    Read(#[source] toml::de::Error),
    /// Faults that can not be.
    #[error("read the scenario's faults: {}", listed(.0))]
    Faults(Vec<faults::Problem>),
    /// Acts that can not be.
    #[error("read the scenario's acts: {}", .0.join("; "))]
    Acts(Vec<String>),
}

fn listed(problems: &[faults::Problem]) -> String {
    let each: Vec<String> = problems
        .iter()
        .map(|faults::Problem { place, problem }| format!("{place}: {problem}"))
        .collect();
    each.join("; ")
}

/// The file's top level.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    /// Read by [`faults::Faults::read`], which knows its places and reports all problems at once.
    fault: Option<toml::Value>,
    fate: fates::Fates,
    act: Vec<acts::Written>,
    hook: hooks::Hooks,
    placement: Vec<placements::Written>,
    role: Vec<roles::Written>,
    wake: Vec<wakes::Written>,
    ecs: WrittenQuirks,
    codepipeline: codepipeline::Written,
    quotas: quotas::Written,
}

/// The `[ecs]` table.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct WrittenQuirks {
    stale_describes: u32,
    rollback_mints_id: bool,
    draining_status: bool,
    reason_without_dot: bool,
    platform_digest: bool,
    registration_ms: u32,
    breaker_is_rolling_only: bool,
    stalls_after: Option<u32>,
    stall_minutes: Option<u32>,
    back_off_cap_seconds: Option<u32>,
    steady_after_update: bool,
}

impl Scenario {
    /// Reads a scenario file's text.
    ///
    /// # Errors
    /// [`ScenarioError`] with the places in the text.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let written: Written = toml::from_str(text).map_err(ScenarioError::Read)?;
        let mut problems = Vec::new();
        let faults = faults::Faults::read(written.fault.as_ref(), &mut problems);
        if !problems.is_empty() {
            return Err(ScenarioError::Faults(problems));
        }
        let acts = acts::read(written.act).map_err(ScenarioError::Acts)?;
        Ok(Self {
            faults,
            fates: written.fate,
            acts,
            hooks: written.hook.into(),
            quotas_enforced: written.quotas.enforce,
            rates: written.quotas.rates(),
            wakes: written.wake.into_iter().map(Subscription::from).collect(),
            roles: written.role.into_iter().map(Role::from).collect(),
            codepipeline: written.codepipeline.into(),
            troubles: written.placement.into_iter().map(Trouble::from).collect(),
            quirks: Quirks {
                stale_describes: written.ecs.stale_describes,
                rollback_mints_id: written.ecs.rollback_mints_id,
                draining_status: written.ecs.draining_status,
                reason_without_dot: written.ecs.reason_without_dot,
                platform_digest: written.ecs.platform_digest,
                registration: Duration::from_millis(written.ecs.registration_ms.into()),
                breaker_is_rolling_only: written.ecs.breaker_is_rolling_only,
                stalls_after: written.ecs.stalls_after,
                stall_seconds: written
                    .ecs
                    .stall_minutes
                    .map_or(FOR_EVER, |minutes| minutes.saturating_mul(60)),
                back_off_cap_seconds: written.ecs.back_off_cap_seconds,
                steady_after_update: written.ecs.steady_after_update,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Scenario;
    use super::fates::{Course, Crash, Health, Silence, Target};
    use std::error::Error as _;

    #[test]
    fn a_scenario_says_what_becomes_of_tasks() {
        let scenario = Scenario::parse(
            r#"
            [ecs]
            stale-describes = 2
            draining-status = true

            [[fate]]
            family = "web"
            revision = 2
            tasks = 3
            lines = ["no database"]
            crash = { after-seconds = 1, exit-code = 3 }

            [[fate]]
            service = "shop"
            health = "fails"
            target = 503

            [[fate]]
            target = "timeout"
            "#,
        )
        .unwrap();
        assert_eq!(scenario.quirks.stale_describes, 2);
        assert!(scenario.quirks.draining_status && !scenario.quirks.rollback_mints_id);
        let [first, second, third] = scenario.fates.rules.as_slice() else {
            panic!("three rules, not {:?}", scenario.fates.rules);
        };
        let crash = Crash {
            after_seconds: 1,
            exit_code: 3,
            out_of_memory: false,
        };
        assert_eq!(
            (first.revision, first.tasks, &first.crash),
            (Some(2), Some(3), &Some(crash))
        );
        assert_eq!(
            (second.health, second.target),
            (Course::Steady(Health::Fails), Course::Steady(Target::Status(503)))
        );
        assert_eq!(third.target, Course::Steady(Target::Silent(Silence::Timeout)));
    }

    #[test]
    fn faults_are_read_and_their_problems_are_placed() {
        let mut scenario = Scenario::parse("[[fault]]\nservice = \"ecs\"\naction = \"throttle\"").unwrap();
        assert!(scenario.faults.decide("ecs", "DescribeServices", false).is_some());
        let error = Scenario::parse("[[fault]]\naction = \"sulk\"")
            .unwrap_err()
            .to_string();
        assert!(error.contains("fault[1].action: "), "{error}");
    }

    #[test]
    fn what_a_scenario_does_not_know_is_named() {
        for (text, says) in [
            ("[[fate]]\ncolour = 1", "unknown field `colour`"),
            ("[ecs]\nlag = 1", "unknown field `lag`"),
            ("fates = 1", "unknown field `fates`"),
            (
                "[[fate]]\nhealth = \"poor\"",
                "expected `passes`, `fails` or `undecided`",
            ),
        ] {
            let error = Scenario::parse(text).unwrap_err();
            let cause = error.source().unwrap().to_string();
            assert!(cause.contains(says), "{text}: {cause}");
        }
    }
}
