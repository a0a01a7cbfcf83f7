//! What a pipeline looks like, stage by stage: told when it changes, and given as data at the end.

use crate::aws::Aws;
use aws_sdk_codepipeline::types::{ActionExecution, ActionState, StageState};
use serde_json::json;

/// So many characters of what an action says fit into its line.
const MOST: usize = 120;

/// An action of the pipeline, as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) stage: String,
    pub(super) action: String,
    /// CodePipeline's word: `InProgress`, `Succeeded`, `Failed`, `Abandoned`; none if it has not begun.
    pub(super) status: Option<String>,
    pub(super) summary: Option<String>,
    pub(super) percent: Option<i32>,
    /// The message of a failure.
    pub(super) error: Option<String>,
    /// Where the console's link leads to.
    pub(super) link: Option<String>,
}

/// The pipeline's actions; none if CodePipeline does not say.
pub(super) async fn look(aws: &Aws, name: &str) -> Option<Vec<Row>> {
    let state = aws
        .codepipeline
        .get_pipeline_state()
        .name(name)
        .send()
        .await
        .ok()?;
    Some(state.stage_states().iter().flat_map(rows).collect())
}

fn rows(stage: &StageState) -> Vec<Row> {
    let name = stage.stage_name().unwrap_or_default();
    stage
        .action_states()
        .iter()
        .map(|action| row(name, action))
        .collect()
}

fn row(stage: &str, action: &ActionState) -> Row {
    let latest = action.latest_execution();
    let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    Row {
        stage: stage.to_owned(),
        action: action.action_name().unwrap_or_default().to_owned(),
        status: latest.and_then(|latest| Some(latest.status()?.as_str().to_owned())),
        summary: latest.and_then(|latest| text(latest.summary())),
        percent: latest.and_then(ActionExecution::percent_complete),
        error: latest.and_then(|latest| text(latest.error_details()?.message())),
        link: latest.and_then(|latest| text(latest.external_execution_url())),
    }
}

impl Row {
    /// The row in a line: `Deploy   InProgress  60 %  hello: waiting for ...`.
    pub(super) fn line(&self) -> String {
        let status = self.status.as_deref().unwrap_or("-");
        let percent = self
            .percent
            .map(|percent| format!("{percent} %"))
            .unwrap_or_default();
        let said = self.error.as_ref().or(self.summary.as_ref());
        let said = said.and_then(|said| said.lines().next()).unwrap_or_default();
        let mut shown: String = said.chars().take(MOST).collect();
        if shown.len() < said.len() {
            shown.push_str("...");
        }
        format!("{:<8} {status:<11} {percent:>5}  {shown}", self.action)
            .trim_end()
            .to_owned()
    }

    /// The row as data.
    pub(super) fn json(&self) -> String {
        json!({
            "stage": self.stage,
            "action": self.action,
            "status": self.status,
            "summary": self.summary,
            "percent": self.percent,
            "error": self.error,
            "link": self.link,
        })
        .to_string()
    }

    /// Whether it has come to an end.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.status.as_deref(), Some("Succeeded" | "Failed" | "Abandoned"))
    }
}

/// Whether nothing moves any more: an action failed, or all have ended.
pub(super) fn is_over(rows: &[Row]) -> bool {
    let failed = rows
        .iter()
        .any(|row| matches!(row.status.as_deref(), Some("Failed" | "Abandoned")));
    failed || (!rows.is_empty() && rows.iter().all(Row::is_over))
}

#[cfg(test)]
mod tests {
    use super::{Row, is_over};

    fn row(action: &str, status: Option<&str>) -> Row {
        Row {
            stage: action.to_owned(),
            action: action.to_owned(),
            status: status.map(str::to_owned),
            summary: Some("half of it\nand more".to_owned()),
            percent: Some(50),
            error: None,
            link: None,
        }
    }

    #[test]
    fn a_pipeline_is_over_when_all_is_done_or_something_failed() {
        let pipeline = |build, deploy| [row("Build", build), row("Deploy", deploy)];
        for (build, deploy, over) in [
            (Some("InProgress"), None, false),
            (Some("Succeeded"), None, false),
            (Some("Succeeded"), Some("InProgress"), false),
            (Some("Succeeded"), Some("Succeeded"), true),
            (Some("Failed"), None, true),
        ] {
            assert_eq!(is_over(&pipeline(build, deploy)), over, "{build:?} {deploy:?}");
        }
        assert!(!is_over(&[]));
    }

    #[test]
    fn a_row_is_one_line() {
        assert_eq!(
            row("Deploy", Some("InProgress")).line(),
            "Deploy   InProgress   50 %  half of it"
        );
    }
}
