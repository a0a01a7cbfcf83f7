//! The continuation token of a deploy: all that another worker needs to go on. It holds names, ids and times, and no
//! secret: whoever may read the job may read it.
//!
//! `swj1.BEGAN.STEP.CHECK`: the version; when the action's first job was claimed, in seconds since the Unix epoch; `b`, or
//! `w.` and the token of the rollouts under way; the first digits of a SHA-256.

use super::result::LONGEST_TOKEN;
use crate::ecs::resume::{Resume, ResumeError};
use crate::failure::{Failure, Kind};
use crate::name::Digest;
use std::time::Duration;

/// What every token of this version begins with.
const VERSION: &str = "swj1";

/// Digits of the check.
const CHECK: usize = 8;

/// What a job is told by the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation {
    /// When the action's first job was claimed, since the Unix epoch, in whole seconds.
    pub began: Duration,
    /// Where to go on.
    pub step: Step,
}

/// Where a deploy goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// At the beginning: nothing was changed yet.
    Begin,
    /// With rollouts that are under way.
    Watch(Box<Resume>),
}

/// Why there is no token, or none that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// So many services do not fit.
    #[error("the {services} services under way do not fit into a continuation token")]
    TooLong {
        /// How many there are.
        services: usize,
    },
    /// It is something else.
    #[error("this is no continuation token of slipway: one begins with `{VERSION}.`")]
    Foreign,
    /// Another version made it.
    #[error("the continuation token is of version `{0}`, and this slipway reads `{VERSION}`")]
    OtherVersion(String),
    /// A part is missing, or changed on its way.
    #[error("the continuation token is damaged: a part of it is missing or was changed")]
    Damaged,
    /// It is whole, and what it says of the rollouts under way is not to be read.
    #[error("read what the continuation token says of the rollouts under way")]
    Resume(#[source] ResumeError),
}

impl Continuation {
    /// The continuation after the first job of an action, which was claimed at `claimed`.
    #[must_use]
    pub const fn first(claimed: Duration, step: Step) -> Self {
        Self {
            began: Duration::from_secs(claimed.as_secs()),
            step,
        }
    }

    /// The rollouts under way; none if nothing was changed yet.
    #[must_use]
    pub fn rollouts(&self) -> Option<&Resume> {
        match &self.step {
            Step::Watch(resume) => Some(resume),
            Step::Begin => None,
        }
    }

    /// The continuation after one more job.
    #[must_use]
    pub fn next(&self, step: Step) -> Self {
        Self {
            began: self.began,
            step,
        }
    }

    /// The token: at most 2048 characters, which need no escapes anywhere.
    ///
    /// # Errors
    /// [`TokenError::TooLong`] when more services are under way than one token holds; some fifty fit.
    pub fn token(&self) -> Result<String, TokenError> {
        let (step, services) = match &self.step {
            Step::Begin => ("b".to_owned(), 0),
            Step::Watch(run) => match run.tokens().as_slice() {
                [one] => (format!("w.{one}"), run.services.len()),
                _ => {
                    return Err(TokenError::TooLong {
                        services: run.services.len(),
                    });
                }
            },
        };
        let said = format!("{VERSION}.{}.{step}", self.began.as_secs());
        let token = format!("{said}.{}", check(&said));
        if token.len() > LONGEST_TOKEN {
            return Err(TokenError::TooLong { services });
        }
        Ok(token)
    }

    /// Reads a token.
    ///
    /// # Errors
    /// [`TokenError`] when it is not a whole token of this version.
    pub fn read(token: &str) -> Result<Self, TokenError> {
        let token = token.trim();
        let (version, _) = token.split_once('.').ok_or(TokenError::Foreign)?;
        let digits = version.strip_prefix("swj").unwrap_or_default();
        if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(TokenError::Foreign);
        }
        if version != VERSION {
            return Err(TokenError::OtherVersion(version.to_owned()));
        }
        let (said, checked) = token.rsplit_once('.').ok_or(TokenError::Damaged)?;
        if check(said) != checked {
            return Err(TokenError::Damaged);
        }
        let mut parts = said.splitn(3, '.').skip(1);
        let mut part = || parts.next().ok_or(TokenError::Damaged);
        let began = part()?.parse().map_err(|_| TokenError::Damaged)?;
        let step = match part()? {
            "b" => Step::Begin,
            step => {
                let run = step.strip_prefix("w.").ok_or(TokenError::Damaged)?;
                let run = Resume::read(&[run.to_owned()]).map_err(TokenError::Resume)?;
                Step::Watch(Box::new(run))
            }
        };
        Ok(Self {
            began: Duration::from_secs(began),
            step,
        })
    }
}

impl TokenError {
    /// The failure of a job whose token cannot be used. Nothing was changed by it; what goes on in ECS goes on.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        let hint = match &self {
            Self::TooLong { .. } => "deploy fewer services in one action",
            Self::Foreign => {
                "some other worker handed this job on: no other program may poll for slipway's action types"
            }
            Self::OtherVersion(_) | Self::Resume(ResumeError::OtherVersion(_)) => {
                "workers of several versions share this action type: bring them to one version, and retry the stage"
            }
            Self::Damaged | Self::Resume(_) => {
                "retry the stage: it finds what this run began, and goes on with it"
            }
        };
        let kind = match &self {
            Self::TooLong { .. } => Kind::Usage,
            Self::Foreign | Self::OtherVersion(_) | Self::Damaged | Self::Resume(_) => Kind::Input,
        };
        let failure = Failure::new(kind, "the job could not be taken up where it was handed on");
        let failure = match &self {
            Self::TooLong { .. } => failure,
            _ => failure.left("rollouts that were under way go on in ECS, unwatched"),
        };
        failure.because(self).hint(hint)
    }
}

fn check(said: &str) -> String {
    Digest::of(said.as_bytes()).hex().chars().take(CHECK).collect()
}

#[cfg(test)]
mod tests {
    use super::{Continuation, LONGEST_TOKEN, Step, TokenError};
    use crate::ecs::resume::Resume;
    use crate::failure::Kind;
    use proptest::prelude::*;
    use std::time::Duration;

    /// A token of two services, as `slipway deploy` prints it after a deadline.
    fn run() -> Resume {
        crate::ecs::resume::tests::run(2)
    }

    fn watch() -> Continuation {
        Continuation {
            began: Duration::from_secs(1_767_225_600),
            step: Step::Watch(Box::new(run())),
        }
    }

    #[test]
    fn what_is_handed_on_comes_back() {
        let begin = Continuation::first(Duration::from_millis(1_767_225_600_400), Step::Begin);
        let token = begin.token().unwrap();
        assert!(token.starts_with("swj1.1767225600.b."), "{token}");
        assert_eq!(Continuation::read(&token).unwrap(), begin);
        let next = begin.next(Step::Watch(Box::new(run())));
        assert_eq!(next.began, begin.began);
        let token = next.token().unwrap();
        assert_eq!(Continuation::read(&format!(" {token}\n")).unwrap(), next);
    }

    #[test]
    fn what_does_not_fit_is_told_and_not_cut() {
        for services in [1, 20, 40, 60, 80, 300] {
            let run = crate::ecs::resume::tests::run(services);
            let fits = run.tokens().len() == 1 && run.tokens()[0].len() <= LONGEST_TOKEN - 40;
            let watch = Continuation::first(Duration::from_secs(9_999_999_999), Step::Watch(Box::new(run)));
            match watch.token() {
                Ok(token) => assert!(token.len() <= LONGEST_TOKEN),
                Err(error) => {
                    assert!(!fits, "{services}");
                    assert_eq!(error, TokenError::TooLong { services });
                    let failure = error.into_failure();
                    assert_eq!((failure.kind, failure.left), (Kind::Usage, None));
                }
            }
        }
    }

    #[test]
    fn a_token_of_somebody_else_or_of_another_time_is_told_from_a_damaged_one() {
        let token = watch().token().unwrap();
        let newer = token.replacen("swj1", "swj2", 1);
        let cut = token[..token.len() - 20].to_owned();
        let inner = run().tokens().remove(0);
        for (token, error) in [
            ("", TokenError::Foreign),
            ("d-7XKIZ5", TokenError::Foreign),
            ("eyJhbGciOiJIUzI1NiJ9.e30.x", TokenError::Foreign),
            (inner.as_str(), TokenError::Foreign),
            ("swj.1", TokenError::Foreign),
            (newer.as_str(), TokenError::OtherVersion("swj2".to_owned())),
            (cut.as_str(), TokenError::Damaged),
            ("swj1.", TokenError::Damaged),
            ("swj1.2.b", TokenError::Damaged),
        ] {
            assert_eq!(Continuation::read(token), Err(error.clone()), "{token}");
            let failure = error.into_failure();
            assert_eq!((failure.kind, failure.hints.len()), (Kind::Input, 1));
        }
    }

    #[test]
    fn a_whole_token_with_a_newer_run_in_it_says_so() {
        let said = format!("swj1.2.w.{}", run().tokens()[0].replacen("sw", "sw9", 1));
        let token = format!("{said}.{}", super::check(&said));
        assert!(matches!(Continuation::read(&token), Err(TokenError::Resume(_))));
        for step in ["", "x", "w", "b.b", "w.b"] {
            let said = format!("swj1.2.{step}");
            let token = format!("{said}.{}", super::check(&said));
            assert!(Continuation::read(&token).is_err(), "{step}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_taken_for_a_token_and_none_panics(text in "(swj1\\.)?\\PC{0,200}") {
            prop_assert!(Continuation::read(&text).is_err());
        }

        #[test]
        fn no_change_of_a_token_goes_unnoticed(at in 0_usize..400, by in 1_u8..25) {
            let token = watch().token().unwrap();
            let mut bytes = token.clone().into_bytes();
            let at = at % bytes.len();
            bytes[at] = b'a' + (bytes[at] + by) % 26;
            let changed = String::from_utf8(bytes).unwrap();
            prop_assume!(changed != token);
            prop_assert!(Continuation::read(&changed).is_err());
        }

        #[test]
        fn every_begin_comes_back(began in any::<u32>()) {
            let begin = Continuation { began: Duration::from_secs(began.into()), step: Step::Begin };
            let token = begin.token().unwrap();
            prop_assert!(token.len() <= LONGEST_TOKEN);
            prop_assert_eq!(Continuation::read(&token).unwrap(), begin);
        }
    }
}
