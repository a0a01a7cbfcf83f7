//! `${...}` in arguments, labels, tags and environment values: which variables there are, and where they come from.

use super::written::{Checkout, Environment};

/// What the variables stand for in this run.
#[derive(Debug, Clone, Copy)]
pub struct Variables<'a> {
    /// The environment: CodeBuild's variables, and `${env:NAME}`.
    pub environment: &'a Environment,
    /// The checkout, where CodeBuild does not say.
    pub checkout: &'a Checkout,
}

/// The variables, for error texts and documentation.
pub const NAMES: &str =
    "`${commit}`, `${short-commit}`, `${branch}`, `${build}`, `${env:NAME}`, `${CODEBUILD_...}`";

impl Variables<'_> {
    /// Replaces every `${...}`; `$${` stands for a plain `${`.
    ///
    /// # Errors
    /// The first variable that is unknown or has no value here, and why. The text may be a secret, so that only names
    /// of known variables are repeated.
    pub fn expand(&self, text: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, after) = rest.split_at(at);
            if let Some(plain) = before.strip_suffix('$') {
                out.push_str(plain);
                out.push_str("${");
                rest = after.get(2..).unwrap_or_default();
                continue;
            }
            out.push_str(before);
            let inside = after.get(2..).unwrap_or_default();
            let Some((name, tail)) = inside.split_once('}') else {
                return Err("a `${` has no closing brace; `$${` stands for a plain `${`".to_owned());
            };
            out.push_str(&self.value(name)?);
            rest = tail;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(&self, name: &str) -> Result<String, String> {
        let value = match name {
            "commit" => self.commit(),
            "short-commit" => self.commit().map(|commit| commit.chars().take(7).collect()),
            "branch" => self.branch().map(|branch| tag_safe(&branch)),
            "build" => self.build(),
            _ => match name.strip_prefix("env:") {
                Some(variable) => self.environment.value(variable).map(str::to_owned),
                None if name.starts_with("CODEBUILD_") => self.environment.value(name).map(str::to_owned),
                None => {
                    return Err(format!(
                        "a `${{...}}` names no variable; there are {NAMES}; `$${{` stands for a plain `${{`"
                    ));
                }
            },
        };
        value.ok_or_else(|| format!("`${{{name}}}` has no value here: {}", why_missing(name)))
    }

    /// The commit: CodeBuild's, or the checkout's. Sources other than git give CodeBuild a version that is no commit.
    #[must_use]
    pub fn commit(&self) -> Option<String> {
        ["CODEBUILD_RESOLVED_SOURCE_VERSION", "CODEBUILD_SOURCE_VERSION"]
            .into_iter()
            .filter_map(|name| self.environment.value(name))
            .find(|version| is_commit(version))
            .map(str::to_owned)
            .or_else(|| self.checkout.commit.clone())
    }

    /// The branch: CodeBuild's webhook, CodeBuild's source version where it is no commit, ARN or pull request, or the
    /// checkout's.
    fn branch(&self) -> Option<String> {
        let head = self
            .environment
            .value("CODEBUILD_WEBHOOK_HEAD_REF")
            .and_then(|reference| reference.strip_prefix("refs/heads/"));
        let version = self
            .environment
            .value("CODEBUILD_SOURCE_VERSION")
            .filter(|version| {
                !is_commit(version) && !version.starts_with("arn:") && !version.starts_with("pr/")
            })
            .map(|version| version.strip_prefix("refs/heads/").unwrap_or(version))
            .filter(|version| !version.starts_with("refs/"));
        head.or(version)
            .map(str::to_owned)
            .or_else(|| self.checkout.branch.clone())
    }

    /// CodeBuild's build number.
    fn build(&self) -> Option<String> {
        self.environment
            .value("CODEBUILD_BUILD_NUMBER")
            .map(str::to_owned)
    }
}

fn why_missing(name: &str) -> &'static str {
    match name {
        "commit" | "short-commit" => {
            "CODEBUILD_RESOLVED_SOURCE_VERSION is no commit, and the folder is in no git checkout"
        }
        "branch" => "CODEBUILD_SOURCE_VERSION is no branch, and the folder is on no git branch",
        "build" => "CODEBUILD_BUILD_NUMBER is not set",
        _ => "the environment variable is not set",
    }
}

/// A SHA-1 or SHA-256 object name of git.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A text with every character that a tag cannot hold replaced by `-`, cut to a tag's length.
fn tag_safe(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    text.trim_start_matches(['.', '-'])
        .chars()
        .map(|c| if safe(c) { c } else { '-' })
        .take(128)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Checkout, Environment, Variables};

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn expand(variables: &[(&str, &str)], checkout: &Checkout, text: &str) -> Result<String, String> {
        let environment: Environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Variables {
            environment: &environment,
            checkout,
        }
        .expand(text)
    }

    #[test]
    fn variables_of_codebuild_win_over_the_checkout() {
        let checkout = Checkout {
            commit: Some("f".repeat(40)),
            branch: Some("topic".to_owned()),
        };
        let codebuild = [
            ("CODEBUILD_RESOLVED_SOURCE_VERSION", COMMIT),
            ("CODEBUILD_SOURCE_VERSION", "refs/heads/feature/login"),
            ("CODEBUILD_BUILD_NUMBER", "7"),
        ];
        for (text, expanded) in [
            ("plain $HOME", "plain $HOME"),
            ("${commit}", COMMIT),
            ("v-${short-commit}-${build}", "v-0123456-7"),
            ("${branch}-latest", "feature-login-latest"),
            ("${CODEBUILD_RESOLVED_SOURCE_VERSION}", COMMIT),
            ("${env:CODEBUILD_BUILD_NUMBER}", "7"),
            ("$${commit}", "${commit}"),
        ] {
            assert_eq!(
                expand(&codebuild, &checkout, text).as_deref(),
                Ok(expanded),
                "{text}"
            );
        }
        assert_eq!(
            expand(&[], &checkout, "${short-commit} ${branch}").as_deref(),
            Ok("fffffff topic")
        );
    }

    #[test]
    fn an_s3_version_is_no_commit_and_an_arn_no_branch() {
        let pipeline = [
            ("CODEBUILD_RESOLVED_SOURCE_VERSION", "L4kqtJlcpXroDTDmpUMLUo"),
            (
                "CODEBUILD_SOURCE_VERSION",
                "arn:aws:s3:::bucket/pipeline/source/x.zip",
            ),
        ];
        for text in [
            "${commit}",
            "${branch}",
            "${build}",
            "${env:ABSENT}",
            "${CODEBUILD_ABSENT}",
        ] {
            let problem = expand(&pipeline, &Checkout::default(), text).unwrap_err();
            assert!(
                problem.starts_with(&format!("`{text}` has no value here: ")),
                "{problem}"
            );
        }
    }

    #[test]
    fn an_unknown_or_unclosed_variable_is_refused_and_the_text_is_not_repeated() {
        let none = Checkout::default();
        for (text, why) in [
            ("pass${canary}word", "names no variable; there are `${commit}`"),
            ("pass${canary", "no closing brace"),
        ] {
            let problem = expand(&[], &none, text).unwrap_err();
            assert!(problem.contains(why) && !problem.contains("canary"), "{problem}");
        }
    }
}
