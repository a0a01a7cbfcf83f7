//! A failure in the one text that CodePipeline shows: the same fields as on a terminal, in the same order.

use super::fit::{fit, fit_log, one_line};
use super::{FailureReport, FailureType, LONGEST_MESSAGE};
use crate::failure::room::share;
use crate::failure::{Denial, Failure, Kind, Nature};
use crate::secret::Secret;
use crate::secret::redact::mask;
use std::fmt;

/// Whose role asked for what failed: whoever reads of a denial must know which policy to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose<'a> {
    /// The pipeline's, which the artifact keys of a job are a session of.
    Pipeline,
    /// The worker's own.
    Worker,
    /// One that the worker assumed; its ARN.
    Assumed(&'a str),
}

impl fmt::Display for Whose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pipeline => f.write_str("the pipeline's role"),
            Self::Worker => f.write_str("the worker's role"),
            Self::Assumed(arn) => write!(f, "role `{arn}`"),
        }
    }
}

/// What stands between two fields.
const BETWEEN: &str = "; ";

/// Bytes that a field keeps however long the others are; together with what stands between them they fit into a message.
const LEAST_OF_A_FIELD: usize = 550;

impl FailureReport {
    /// What CodePipeline is told of a failure; `whose` is the role that asked, where the failure itself names none.
    /// `secrets` are values that no text may show, such as those of a job's secret properties.
    #[must_use]
    pub fn of(failure: &Failure, whose: Whose<'_>, secrets: &[Secret<String>]) -> Self {
        let mut fields: Vec<(&str, String)> = vec![("error", failure.what.clone())];
        fields.extend(failure.root_cause().map(|cause| ("cause", cause)));
        fields.extend(blame(failure, whose).map(|blame| ("role", blame)));
        if !failure.evidence.is_empty() {
            fields.push((EVIDENCE, failure.evidence.join("\n")));
        }
        fields.extend(failure.place.clone().map(|place| ("where", place)));
        fields.extend(failure.left.clone().map(|left| ("left", left)));
        if !failure.others.is_empty() {
            fields.push(("others", failure.others.join("\n")));
        }
        if !failure.hints.is_empty() {
            fields.push(("hint", failure.hints.join("\n")));
        }
        // Masked before anything is cut: the rest of a secret would not be known for one.
        let texts: Vec<(&str, String)> = fields
            .into_iter()
            .map(|(label, text)| (label, format!("{label}: {}", one_line(&mask(&text, secrets)))))
            .collect();
        Self::new(kind(failure), joined(&texts))
    }
}

/// The field that takes what the others leave.
const EVIDENCE: &str = "evidence";

/// The fields in their order, each in its share of a message.
fn joined(texts: &[(&str, String)]) -> String {
    let between = BETWEEN.len() * texts.len().saturating_sub(1);
    let mut order: Vec<usize> = (0..texts.len()).collect();
    // What is left over goes to evidence last; its least it has before.
    order.sort_by_key(|at| texts[*at].0 == EVIDENCE);
    let wishes: Vec<(usize, usize)> = order
        .iter()
        .map(|at| (texts[*at].1.len(), LEAST_OF_A_FIELD))
        .collect();
    let mut shares = vec![0; texts.len()];
    for (at, share) in order.iter().zip(share(LONGEST_MESSAGE - between, &wishes)) {
        shares[*at] = share;
    }
    let shown = texts.iter().zip(shares).map(|((label, text), share)| {
        if *label == EVIDENCE {
            fit_log(text, share)
        } else {
            fit(text, share)
        }
    });
    shown.collect::<Vec<_>>().join(BETWEEN)
}

/// Who was refused.
fn blame(failure: &Failure, whose: Whose<'_>) -> Option<String> {
    match &failure.nature {
        Nature::Denied(denial) => {
            let Denial { action, role } = &**denial;
            let whose = role.as_deref().map_or(whose, Whose::Assumed);
            // Jobs are the worker's to ask for, also where it asks for the keys of their artifacts.
            let is_of_jobs = action.starts_with("codepipeline:");
            let whose = if is_of_jobs { Whose::Worker } else { whose };
            // Whoever may not list a bucket is told the same of an object that is not there.
            let may_not = if action == "s3:GetObject" && failure.kind == Kind::Input {
                format!(
                    "either the object is not there, or {whose} may not do `{action}`, or `kms:Decrypt` with its key"
                )
            } else {
                format!("{whose} may not do `{action}`")
            };
            Some(match whose {
                Whose::Pipeline => format!(
                    "{may_not}: its policy, the bucket's and the KMS key's decide, and not the worker's role"
                ),
                Whose::Worker | Whose::Assumed(_) => may_not,
            })
        }
        Nature::Credentials => Some(format!("the credentials of {whose} are not accepted")),
        Nature::Plain | Nature::Missing | Nature::FarEnd | Nature::Overtaken => None,
    }
}

/// Whom the failure sends to look.
fn kind(failure: &Failure) -> FailureType {
    match (&failure.nature, failure.kind) {
        (Nature::Denied(_) | Nature::Credentials, _) => FailureType::PermissionError,
        (Nature::Missing, Kind::Input) => FailureType::RevisionUnavailable,
        (Nature::FarEnd, _) | (_, Kind::FarEnd) => FailureType::SystemUnavailable,
        (Nature::Plain | Nature::Missing, Kind::Usage | Kind::Input | Kind::Refused) => {
            FailureType::ConfigurationError
        }
        // Where somebody else was faster, nothing is wrong with what was asked for.
        (Nature::Overtaken, _)
        | (
            Nature::Plain | Nature::Missing,
            Kind::Build
            | Kind::Registry
            | Kind::RolloutFailed
            | Kind::RolledBack
            | Kind::Superseded
            | Kind::Deadline
            | Kind::Unclear
            | Kind::Gate
            | Kind::Bug
            | Kind::Interrupted
            | Kind::Terminated,
        ) => FailureType::JobFailed,
    }
}
