//! The `[codepipeline]` table: what AWS leaves unpublished of CodePipeline.

use crate::sandbox::world::pipeline::Quirks;
use serde::Deserialize;

/// The table; what it does not say is as usual.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Written {
    redispatch_seconds: Option<u32>,
    continuation_seconds: Option<u32>,
    source_seconds: Option<u32>,
    action_timeout_minutes: Option<u32>,
    credentials_seconds: Option<u32>,
    acknowledge_again: bool,
    forget_jobs_after_seconds: Option<u32>,
    start_when_created: Option<bool>,
}

impl From<Written> for Quirks {
    fn from(written: Written) -> Self {
        let usual = Self::default();
        Self {
            redispatch_seconds: written.redispatch_seconds.unwrap_or(usual.redispatch_seconds),
            continuation_seconds: written.continuation_seconds.unwrap_or(usual.continuation_seconds),
            source_seconds: written.source_seconds.unwrap_or(usual.source_seconds),
            action_timeout_minutes: written
                .action_timeout_minutes
                .unwrap_or(usual.action_timeout_minutes),
            credentials_seconds: written.credentials_seconds.unwrap_or(usual.credentials_seconds),
            acknowledge_again: written.acknowledge_again,
            forget_jobs_after_seconds: written.forget_jobs_after_seconds,
            start_when_created: written.start_when_created.unwrap_or(usual.start_when_created),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sandbox::scenario::Scenario;
    use crate::sandbox::world::pipeline::Quirks;

    #[test]
    fn the_table_changes_what_it_says_and_nothing_else() {
        let scenario = Scenario::parse(
            "[codepipeline]\nredispatch-seconds = 5\nacknowledge-again = true\nforget-jobs-after-seconds = 0\n\
             start-when-created = false",
        )
        .unwrap();
        let expected = Quirks {
            redispatch_seconds: 5,
            acknowledge_again: true,
            forget_jobs_after_seconds: Some(0),
            start_when_created: false,
            ..Quirks::default()
        };
        assert_eq!(scenario.codepipeline, expected);
        assert_eq!(Scenario::parse("").unwrap().codepipeline, Quirks::default());
        assert!(Scenario::parse("[codepipeline]\nlease-seconds = 1").is_err());
    }
}
