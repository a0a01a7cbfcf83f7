//! Why a build failed: the Engine's text cleaned, sorted, and with what it says of lines and exit codes.

use crate::secret::redact::redact;

/// A build that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct BuildFailure {
    /// The sort of failure.
    pub fault: BuildFault,
    /// The builder's error, without its wrappers and without anything that looks like a credential.
    pub error: String,
    /// The step that failed, as the builder names it: `[2/4] RUN make`, `Step 2/4 : RUN make`.
    pub step: Option<String>,
    /// Its line in the Dockerfile, where it can be found.
    pub line: Option<usize>,
    /// The exit code of the step's command.
    pub exit_code: Option<i64>,
    /// The last lines that the step printed.
    pub last_lines: Vec<String>,
}

/// The sorts of failed builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildFault {
    /// A step's command ended with an exit code other than 0.
    Step,
    /// The Dockerfile is wrong: syntax, an unknown stage, an unknown instruction.
    Dockerfile,
    /// A file that the Dockerfile copies is not in the context.
    MissingFile,
    /// A secret that a step needs was not given.
    MissingSecret,
    /// A base image does not exist.
    BaseNotFound,
    /// The registry of a base image refuses; for Docker Hub this is also its answer for what does not exist.
    BaseDenied,
    /// The registry of a base image cannot be reached.
    BaseUnreachable,
    /// An image or a program is not for the platform that is built.
    Platform,
    /// No space is left where the Engine keeps its data.
    NoSpace,
    /// The Dockerfile needs BuildKit, and the classic builder built it.
    NeedsBuildKit,
    /// The stream ended with neither an image nor an error.
    NoImage,
    /// Anything else.
    Other,
}

/// The first rule that has a mark in the text decides, so the particular stand before the general.
const RULES: [(BuildFault, &[&str]); 9] = [
    (BuildFault::NoSpace, &["no space left on device"]),
    (
        BuildFault::Platform,
        &[
            "exec format error",
            "no match for platform",
            "no matching manifest for",
            "does not match the specified platform",
            "does not provide the specified platform",
            "unknown operating system or architecture",
        ],
    ),
    (
        BuildFault::Step,
        &[
            "did not complete successfully",
            "executor failed running",
            "returned a non-zero code",
        ],
    ),
    (
        BuildFault::NeedsBuildKit,
        &[
            "requires buildkit",
            "buildkit to be enabled",
            "option requires buildkit",
        ],
    ),
    (BuildFault::MissingSecret, &["secret", "is required but not"]),
    (
        BuildFault::Dockerfile,
        &[
            "dockerfile parse error",
            "unknown instruction",
            "no build stage",
            "could not be found in dockerfile",
            "target stage",
            "failed to reach build target",
            "cannot be empty",
            "failed to read dockerfile",
            "cannot locate specified dockerfile",
            "invalid reference format",
            "failed to parse",
        ],
    ),
    (
        BuildFault::MissingFile,
        &[
            "failed to compute cache key",
            "failed to calculate checksum",
            "failed to walk",
            "copy failed",
            "add failed",
            "lstat",
        ],
    ),
    (
        BuildFault::BaseDenied,
        &[
            "pull access denied",
            "insufficient_scope",
            "authorization failed",
            "unauthorized",
            "denied",
            "forbidden",
            "no basic auth credentials",
        ],
    ),
    (
        BuildFault::BaseUnreachable,
        &[
            "connection refused",
            "no such host",
            "i/o timeout",
            "handshake timeout",
            "connection reset",
            "network is unreachable",
            "server misbehaving",
            "temporary failure in name resolution",
            "failed to do request",
            "client.timeout",
            "eof",
            "toomanyrequests",
        ],
    ),
];

/// The wrappers that the Engine puts before a cause.
const WRAPPERS: [&str; 7] = [
    "failed to solve: ",
    "failed to solve with frontend dockerfile.v0: ",
    "failed to solve with frontend gateway.v0: ",
    "failed to build LLB: ",
    "failed to create LLB definition: ",
    "rpc error: code = ",
    "error from sender: ",
];

/// The cause in an error text of the Engine.
pub(super) fn unwrap_text(text: &str) -> String {
    let mut rest = text.trim();
    'outer: loop {
        for wrapper in WRAPPERS {
            if let Some(inner) = rest.strip_prefix(wrapper) {
                // `rpc error: code = Unknown desc = ...`
                rest = match (wrapper.starts_with("rpc"), inner.split_once(" desc = ")) {
                    (true, Some((_, inner))) => inner,
                    _ => inner,
                };
                continue 'outer;
            }
        }
        return redact(rest);
    }
}

/// Sorts a cause. Only texts exist here, no codes; this is the one place that reads them.
pub(super) fn fault_of(text: &str, step: Option<&str>) -> BuildFault {
    let lower = text.to_ascii_lowercase();
    let fault = RULES
        .iter()
        .find(|(fault, marks)| match fault {
            // `secret npm: not found`; the word alone may stand in any name.
            BuildFault::MissingSecret => lower.contains("secret") && lower.contains("not found"),
            _ => marks.iter().any(|mark| lower.contains(mark)),
        })
        .map(|(fault, _)| *fault);
    let at_base = step.is_none_or(|step| step.contains("FROM ") || step.contains("load metadata for"));
    let is_missing =
        lower.contains("not found") || lower.contains("manifest unknown") || lower.contains("no such image");
    match fault {
        Some(fault) => fault,
        None if at_base && is_missing => BuildFault::BaseNotFound,
        None => BuildFault::Other,
    }
}

/// The exit code in `... exit code: 7` (BuildKit) or `... returned a non-zero code: 7` (classic).
pub(super) fn exit_code_of(text: &str) -> Option<i64> {
    ["exit code: ", "non-zero code: "].iter().find_map(|mark| {
        let (_, rest) = text.rsplit_once(mark)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    })
}

/// The line in `dockerfile parse error line 3: ...` or `... on line 3: ...`.
pub(super) fn parse_error_line(text: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    let (_, rest) = lower.split_once("dockerfile parse error ")?;
    let rest = rest.strip_prefix("on ").unwrap_or(rest).strip_prefix("line ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{BuildFault, exit_code_of, fault_of, parse_error_line, unwrap_text};

    #[test]
    fn causes_are_sorted_by_what_builders_say() {
        for (text, fault) in [
            (
                "executor failed running [/bin/sh -c make]: exit code: 2",
                BuildFault::Step,
            ),
            (
                "process \"/bin/sh -c make\" did not complete successfully: exit code: 2",
                BuildFault::Step,
            ),
            (
                "The command '/bin/sh -c make' returned a non-zero code: 2",
                BuildFault::Step,
            ),
            (
                "dockerfile parse error line 3: unknown instruction: RUNN",
                BuildFault::Dockerfile,
            ),
            ("target stage nope could not be found", BuildFault::Dockerfile),
            (
                "the --mount option requires BuildKit. Refer to the docs",
                BuildFault::NeedsBuildKit,
            ),
            (
                "failed to compute cache key: \"/nope\" not found: not found",
                BuildFault::MissingFile,
            ),
            (
                "COPY failed: file not found in build context",
                BuildFault::MissingFile,
            ),
            ("secret npm: not found", BuildFault::MissingSecret),
            ("docker.io/library/nope:1: not found", BuildFault::BaseNotFound),
            (
                "manifest for r.example.com/x:1 not found: manifest unknown",
                BuildFault::BaseNotFound,
            ),
            (
                "pull access denied for x, repository does not exist or may require 'docker login'",
                BuildFault::BaseDenied,
            ),
            (
                "failed to do request: Head \"https://r/v2/\": dial tcp: lookup r: no such host",
                BuildFault::BaseUnreachable,
            ),
            (
                "no match for platform in manifest sha256:x: not found",
                BuildFault::Platform,
            ),
            ("runc did not start: exec format error", BuildFault::Platform),
            ("write /x: no space left on device", BuildFault::NoSpace),
            ("something else", BuildFault::Other),
        ] {
            assert_eq!(fault_of(text, None), fault, "{text}");
        }
    }

    #[test]
    fn only_a_step_that_needs_a_base_can_lack_one() {
        let text = "failed to open writer: lease does not exist: not found";
        for (step, fault) in [
            ("[1/2] FROM r.example.com/x:1", BuildFault::BaseNotFound),
            (
                "[internal] load metadata for r.example.com/x:1",
                BuildFault::BaseNotFound,
            ),
            ("Step 5/5 : LABEL x=y", BuildFault::Other),
        ] {
            assert_eq!(fault_of(text, Some(step)), fault, "{step}");
        }
    }

    #[test]
    fn wrappers_are_taken_off() {
        for (text, cause) in [
            (
                "failed to solve: rpc error: code = Unknown desc = executor failed",
                "executor failed",
            ),
            (
                "failed to solve with frontend dockerfile.v0: failed to build LLB: x: y",
                "x: y",
            ),
            (
                "failed to create LLB definition: r/x:1: not found",
                "r/x:1: not found",
            ),
            ("plain", "plain"),
        ] {
            assert_eq!(unwrap_text(text), cause);
        }
    }

    #[test]
    fn codes_and_lines_are_read() {
        assert_eq!(
            exit_code_of("executor failed running [x]: exit code: 137"),
            Some(137)
        );
        assert_eq!(exit_code_of("'x' returned a non-zero code: 3"), Some(3));
        assert_eq!(exit_code_of("exit code: none"), None);
        assert_eq!(parse_error_line("dockerfile parse error line 3: x"), Some(3));
        assert_eq!(parse_error_line("dockerfile parse error on line 12: x"), Some(12));
        assert_eq!(parse_error_line("Dockerfile parse error line x"), None);
    }
}
