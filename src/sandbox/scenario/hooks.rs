//! What the Lambda functions of lifecycle hooks answer: the `[[hook]]` tables of a scenario file.
//!
//! ```toml
//! [[hook]]
//! service = "shop"            # which invocations: service, target and stage must all match, as far as given
//! target = "smoke-test"       # the end of the function's ARN
//! stage = "POST_SCALE_UP"
//! times = 1                   # only the first one
//! outcome = "fails"           # succeeds, fails, breaks, hangs
//! after-seconds = 30
//! ```
//!
//! The first table that matches an invocation decides over it; without one the function succeeds.

use crate::sandbox::world::ecs::{HookOutcome, HookRule, HookScript, LifecycleStage};
use serde::{Deserialize, Deserializer, de};
use std::time::Duration;

/// The tables, in the file's order.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Hooks {
    rules: Vec<Rule>,
}

/// One `[[hook]]` table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Rule {
    service: Option<String>,
    target: Option<String>,
    #[serde(default, deserialize_with = "stage")]
    stage: Option<String>,
    times: Option<u32>,
    outcome: Outcome,
    after_seconds: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Succeeds,
    Fails,
    Breaks,
    Hangs,
}

/// A stage that a Lambda hook can have.
fn stage<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(deserializer)?;
    let known = LifecycleStage::ALL
        .into_iter()
        .any(|stage| stage.as_str() == name && stage.takes_hooks(false));
    if known {
        Ok(Some(name))
    } else {
        Err(de::Error::custom(format!(
            "`{name}` is no lifecycle stage with hooks"
        )))
    }
}

impl From<Hooks> for HookScript {
    fn from(hooks: Hooks) -> Self {
        let rules = hooks.rules.into_iter().map(|rule| HookRule {
            service: rule.service,
            target: rule.target,
            stage: rule.stage,
            times: rule.times,
            outcome: match rule.outcome {
                Outcome::Succeeds => HookOutcome::Succeeds,
                Outcome::Fails => HookOutcome::Fails,
                Outcome::Breaks => HookOutcome::Breaks,
                Outcome::Hangs => HookOutcome::Hangs,
            },
            after: rule
                .after_seconds
                .map(|seconds| Duration::from_secs(seconds.into())),
        });
        Self::new(rules.collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::sandbox::scenario::Scenario;
    use crate::sandbox::world::ecs::HookOutcome;
    use std::error::Error as _;
    use std::time::Duration;

    #[test]
    fn a_scenario_says_what_functions_answer() {
        let text = "[[hook]]\ntarget = \"smoke\"\nstage = \"POST_SCALE_UP\"\noutcome = \"fails\"\nafter-seconds = 30\n\
                    [[hook]]\noutcome = \"hangs\"\ntimes = 2";
        let hooks = Scenario::parse(text).unwrap().hooks;
        let [first, second] = hooks.rules.as_slice() else {
            panic!("two rules, not {:?}", hooks.rules);
        };
        assert_eq!(
            (first.target.as_deref(), first.outcome, first.after),
            (Some("smoke"), HookOutcome::Fails, Some(Duration::from_secs(30)))
        );
        assert_eq!(
            (second.outcome, second.times, second.after),
            (HookOutcome::Hangs, Some(2), None)
        );
    }

    #[test]
    fn a_stage_without_hooks_and_a_missing_outcome_are_refused() {
        for (text, says) in [
            (
                "[[hook]]\nstage = \"BAKE_TIME\"\noutcome = \"fails\"",
                "`BAKE_TIME` is no lifecycle stage with hooks",
            ),
            ("[[hook]]\nstage = \"POST_SCALE_UP\"", "missing field `outcome`"),
            ("[[hook]]\noutcome = \"sulks\"", "unknown variant `sulks`"),
        ] {
            let error = Scenario::parse(text).unwrap_err();
            let cause = error.source().unwrap().to_string();
            assert!(cause.contains(says), "{text}: {cause}");
        }
    }
}
