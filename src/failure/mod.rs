//! What a failed run tells a person and a machine: one kind with one exit code, and what, why, where, left and next.
//!
//! Rendering is `report::human`'s work; adapters keep their own error enums and stages turn them into a [`Failure`].

pub mod line;
pub mod room;

use std::error::Error;
use std::fmt;

/// Every way in which a run can end other than done; each has its own exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Usage or configuration: nothing was done.
    Usage,
    /// An input is missing or unreadable (artifact, imagedefinitions.json, Dockerfile).
    Input,
    /// The image did not build.
    Build,
    /// The registry refused, or the digest did not match.
    Registry,
    /// AWS refused the change: nothing changed.
    Refused,
    /// The rollout failed and the new revision is still there.
    RolloutFailed,
    /// The rollout failed and ECS rolled back or is rolling back.
    RolledBack,
    /// Somebody else's deployment replaced ours.
    Superseded,
    /// The deadline was reached while the rollout still made progress.
    Deadline,
    /// The API did not answer, or access is denied: look before you act.
    Unclear,
    /// A gate said no (image scan, one-off task).
    Gate,
    /// A far end is down or throttling after all retries.
    FarEnd,
    /// A bug in slipway.
    Bug,
    /// Interrupted by SIGINT; the message says what was left behind.
    Interrupted,
    /// Terminated by SIGTERM; the message says what was left behind.
    Terminated,
}

impl Kind {
    /// Every kind, in the order of the exit codes.
    pub const ALL: [Self; 15] = [
        Self::Usage,
        Self::Input,
        Self::Build,
        Self::Registry,
        Self::Refused,
        Self::RolloutFailed,
        Self::RolledBack,
        Self::Superseded,
        Self::Deadline,
        Self::Unclear,
        Self::Gate,
        Self::FarEnd,
        Self::Bug,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The status that the process ends with.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Input => 3,
            Self::Build => 10,
            Self::Registry => 11,
            Self::Refused => 12,
            Self::RolloutFailed => 13,
            Self::RolledBack => 14,
            Self::Superseded => 15,
            Self::Deadline => 16,
            Self::Unclear => 17,
            Self::Gate => 18,
            Self::FarEnd => 20,
            Self::Bug => 70,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The sentence of the documented exit code table.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Usage => "usage or configuration: nothing was done",
            Self::Input => "an input is missing or unreadable (artifact, imagedefinitions.json, Dockerfile)",
            Self::Build => "the image did not build",
            Self::Registry => "the registry refused, or the digest did not match or could not be had",
            Self::Refused => "AWS refused the change: nothing changed",
            Self::RolloutFailed => {
                "the rollout failed and the new revision is still there (no rollback happened)"
            }
            Self::RolledBack => "the rollout failed and ECS rolled back or is rolling back",
            Self::Superseded => "superseded: somebody else's deployment replaced ours",
            Self::Deadline => "deadline reached while still making progress",
            Self::Unclear => "cannot tell (the API did not answer, or access is denied): look before you act",
            Self::Gate => "a gate said no (image scan, one-off task)",
            Self::FarEnd => "a far end is down or throttling after all retries",
            Self::Bug => "a bug in slipway",
            Self::Interrupted => "interrupted (SIGINT); the message says what was left behind",
            Self::Terminated => "terminated (SIGTERM); the message says what was left behind",
        }
    }

    /// A stable, greppable word for logs and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Input => "input",
            Self::Build => "build",
            Self::Registry => "registry",
            Self::Refused => "refused",
            Self::RolloutFailed => "rollout-failed",
            Self::RolledBack => "rolled-back",
            Self::Superseded => "superseded",
            Self::Deadline => "deadline",
            Self::Unclear => "unclear",
            Self::Gate => "gate",
            Self::FarEnd => "far-end",
            Self::Bug => "bug",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }
}

/// What stood between slipway and a far end, whatever that meant for the run: decides whom CodePipeline's failure type
/// sends to look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Nature {
    /// Nothing: what was asked for is what failed.
    #[default]
    Plain,
    /// A role may not do this.
    Denied(Box<Denial>),
    /// AWS does not take the credentials, or does not any more.
    Credentials,
    /// What was named does not exist.
    Missing,
    /// The far end is down, throttles, or gave no answer of its own.
    FarEnd,
    /// Somebody else was faster.
    Overtaken,
}

/// What may not be done, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The IAM action: `ecs:UpdateService`.
    pub action: String,
    /// The ARN of the role that may not, where it was assumed for this; the run's own if absent.
    pub role: Option<String>,
}

impl Nature {
    /// The run's own role may not do this.
    pub fn denied(action: impl Into<String>) -> Self {
        Self::Denied(Box::new(Denial {
            action: action.into(),
            role: None,
        }))
    }
}

/// A failure on its way to the user.
///
/// `what` is a lower-case fragment that reads after `error:`; the causes come from `source` (the chain is walked by the
/// renderer, so no text repeats its source) unless `cause` names the root cause in better words.
#[derive(Debug)]
pub struct Failure {
    /// Decides the exit code.
    pub kind: Kind,
    /// What stood between slipway and a far end.
    pub nature: Nature,
    /// What failed.
    pub what: String,
    /// The root cause, where a diagnosis knows it better than the chain of sources.
    pub cause: Option<String>,
    /// Where: cluster, service, deployment, file, line.
    pub place: Option<String>,
    /// What serves traffic, or what was left behind.
    pub left: Option<String>,
    /// What became of the other services of the run, one line each.
    pub others: Vec<String>,
    /// What to do next, one line each.
    pub hints: Vec<String>,
    /// Tokens that take up the watch of what goes on, for `slipway deploy --resume`.
    pub resume: Vec<String>,
    /// Lines that prove the cause: stopped tasks, log tail, events. Shown between `cause` and `where`.
    pub evidence: Vec<String>,
    /// The error that led here.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// Starts a failure of a kind.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            nature: Nature::Plain,
            what: what.into(),
            cause: None,
            place: None,
            left: None,
            others: Vec::new(),
            hints: Vec::new(),
            resume: Vec::new(),
            evidence: Vec::new(),
            source: None,
        }
    }

    /// Says what stood between slipway and a far end.
    #[must_use]
    pub fn nature(mut self, nature: Nature) -> Self {
        self.nature = nature;
        self
    }

    /// Names the root cause.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Names the place.
    #[must_use]
    pub fn place(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// Says what serves, or what was left behind.
    #[must_use]
    pub fn left(mut self, left: impl Into<String>) -> Self {
        self.left = Some(left.into());
        self
    }

    /// Adds one line of advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds lines of evidence.
    #[must_use]
    pub fn evidence(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(lines);
        self
    }

    /// A configuration has problems, each with its place; `what` is its name: `slipway.toml`.
    #[must_use]
    pub fn misconfigured(what: &str, problems: Vec<String>) -> Self {
        let what = match problems.len() {
            1 => format!("{what} has a problem"),
            many => format!("{what} has {many} problems"),
        };
        Self::new(Kind::Usage, what)
            .problems(problems)
            .left("nothing was done")
    }

    /// Says what is wrong with what was written: one problem is the cause, several are evidence.
    #[must_use]
    pub fn problems(self, mut problems: Vec<String>) -> Self {
        match problems.len() {
            1 => self.cause(problems.remove(0)),
            _ => self.evidence(problems),
        }
    }

    /// Keeps the error that led here as the source.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl Failure {
    /// The cause to show: the one that a diagnosis named, or the chain of sources, outermost first. A link that only
    /// repeats what was said before is left out.
    #[must_use]
    pub fn root_cause(&self) -> Option<String> {
        if self.cause.is_some() {
            return self.cause.clone();
        }
        let said = links(vec![self.what.clone()], Error::source(self));
        (said.len() > 1).then(|| said[1..].join(": "))
    }
}

/// Two failures are the same if they say the same.
impl PartialEq for Failure {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            kind,
            nature: _,
            what,
            cause: _,
            place,
            left,
            others,
            hints,
            resume,
            evidence,
            source: _,
        } = self;
        *kind == other.kind
            && *what == other.what
            && self.root_cause() == other.root_cause()
            && *place == other.place
            && *left == other.left
            && *others == other.others
            && *hints == other.hints
            && *resume == other.resume
            && *evidence == other.evidence
    }
}

impl Eq for Failure {}

/// An error and what led to it in one text, outermost first, each link once.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    links(vec![error.to_string()], error.source()).join(": ")
}

/// What was said, and what each further link adds to it.
fn links(mut said: Vec<String>, mut link: Option<&(dyn Error + 'static)>) -> Vec<String> {
    while let Some(error) = link {
        let text = error.to_string();
        if !text.is_empty() && said.iter().all(|before| !before.contains(&text)) {
            said.push(text);
        }
        link = error.source();
    }
    said
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Kind, chain};
    use std::collections::BTreeSet;
    use std::io;

    #[test]
    fn a_chain_says_each_link_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("{what}")]
        struct Act {
            what: &'static str,
            #[source]
            why: io::Error,
        }
        let act = |what, why| Act {
            what,
            why: io::Error::other(why),
        };
        assert_eq!(
            chain(&act("open the box", "it is shut")),
            "open the box: it is shut"
        );
        assert_eq!(chain(&act("it is shut", "it is shut")), "it is shut");
        let failure = Failure::new(Kind::Input, "no box").because(act("open the box", "it is shut"));
        assert_eq!(failure.root_cause().as_deref(), Some("open the box: it is shut"));
        assert_eq!(Failure::new(Kind::Input, "no box").root_cause(), None);
    }

    #[test]
    fn every_kind_has_its_own_code_and_word() {
        let codes: BTreeSet<u8> = Kind::ALL.iter().map(|kind| kind.exit_code()).collect();
        let words: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!((codes.len(), words.len()), (Kind::ALL.len(), Kind::ALL.len()));
        assert!(!codes.contains(&0) && !codes.contains(&1));
    }
}
