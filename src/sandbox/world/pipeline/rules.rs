//! The limits of members, as the service's model has them (API version 2015-07-09).

use super::check::Text;

const WORD: &str = "[0-9A-Za-z_-]+";
const NAME_PATTERN: &str = r"[A-Za-z0-9.@\-_]+";
const UUID_PATTERN: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";

/// The categories of actions.
pub const CATEGORY: Text = Text::among(&[
    "Source", "Build", "Deploy", "Test", "Invoke", "Approval", "Compute",
]);
/// Who made an action type.
pub const OWNER: Text = Text::among(&["AWS", "ThirdParty", "Custom"]);
/// The provider of an action type.
pub const PROVIDER: Text = Text::of(1, 35).like(WORD, is_word);
/// The version of an action type.
pub const VERSION: Text = Text::of(1, 9).like(WORD, is_word);
/// A URL, or a template of one.
pub const URL: Text = Text::of(1, 2048);
/// The name of a configuration property.
pub const PROPERTY: Text = Text::of(1, 50);
/// What a configuration property is for.
pub const DESCRIPTION: Text = Text::of(1, 160);
/// The type of a configuration property.
pub const PROPERTY_TYPE: Text = Text::among(&["String", "Number", "Boolean"]);
/// The value of a queryable property.
pub const QUERYABLE: Text = Text::of(1, 50).like("[a-zA-Z0-9_-]+", is_word);
/// The value of a configuration property, which may be a secret.
pub const PROPERTY_VALUE: Text = Text::of(1, 1000).unshown();
/// The id of a job, and of an execution of a pipeline.
pub const UUID: Text = Text::of(0, usize::MAX).like(UUID_PATTERN, is_uuid);
/// The number of an offer.
pub const NONCE: Text = Text::of(1, 50);
/// What a job worker hands back.
pub const CONTINUATION: Text = Text::of(1, 2048);
/// One line for people.
pub const SUMMARY: Text = Text::of(1, 2048);
/// The id of an execution elsewhere.
pub const EXTERNAL_ID: Text = Text::of(1, 1500);
/// A source's revision.
pub const REVISION: Text = Text::of(1, 1500);
/// What tells a source's changes apart.
pub const CHANGE_IDENTIFIER: Text = Text::of(1, 100);
/// The name of an output variable.
pub const VARIABLE: Text = Text::of(0, usize::MAX).like(r"[A-Za-z0-9@\-_]+", is_variable);
/// Any text.
pub const ANYTHING: Text = Text::of(0, usize::MAX);
/// The sort of a failure.
pub const FAILURE_TYPE: Text = Text::among(&[
    "JobFailed",
    "ConfigurationError",
    "PermissionError",
    "RevisionOutOfSync",
    "RevisionUnavailable",
    "SystemUnavailable",
]);
/// Why a job failed.
pub const MESSAGE: Text = Text::of(1, 5000);
/// The name of a pipeline, a stage or an action.
pub const NAME: Text = Text::of(1, 100).like(NAME_PATTERN, is_name);
/// The ARN of a role.
pub const ROLE: Text = Text::of(0, 1024).like(r"arn:aws(-[\w]+)*:iam::[0-9]{12}:role/.*", is_role);
/// The name of a bucket.
pub const BUCKET: Text = Text::of(3, 63).like(r"[a-zA-Z0-9\-\.]+", is_bucket);
/// The type of an artifact store.
pub const STORE_TYPE: Text = Text::among(&["S3"]);
/// The id, ARN or alias of a key.
pub const KEY_ID: Text = Text::of(1, 400);
/// The type of a key.
pub const KEY_TYPE: Text = Text::among(&["KMS"]);
/// The name of an artifact.
pub const ARTIFACT: Text = Text::of(1, 100).like(r"[a-zA-Z0-9_\-]+", is_word);
/// The namespace of an action's variables.
pub const NAMESPACE: Text = Text::of(1, 100).like(r"[A-Za-z0-9@\-_]+", is_variable);
/// How executions of a pipeline meet.
pub const MODE: Text = Text::among(&["QUEUED", "SUPERSEDED", "PARALLEL"]);
/// The type of a pipeline.
pub const PIPELINE_TYPE: Text = Text::among(&["V1", "V2"]);
/// The name of a pipeline's variable.
pub const PIPELINE_VARIABLE: Text = Text::of(1, 128).like(r"[A-Za-z0-9@\-_]+", is_variable);
/// The value of a pipeline's variable.
pub const PIPELINE_VARIABLE_VALUE: Text = Text::of(1, 1000);
/// The name of a region.
pub const REGION: Text = Text::of(4, 30);
/// Where a listing goes on.
pub const NEXT_TOKEN: Text = Text::of(1, 2048);
/// What makes a request one that was sent before.
pub const CLIENT_TOKEN: Text = Text::of(1, 128).like("^[a-zA-Z0-9-]+$", is_client_token);
/// What is retried of a stage.
pub const RETRY_MODE: Text = Text::among(&["FAILED_ACTIONS", "ALL_ACTIONS"]);
/// Why an execution is stopped.
pub const STOP_REASON: Text = Text::of(0, 200);
/// The key of a tag.
pub const TAG_KEY: Text = Text::of(1, 128);
/// The value of a tag.
pub const TAG_VALUE: Text = Text::of(0, 256);
/// Which executions of an action are wanted.
pub const START_TIME_RANGE: Text = Text::among(&["Latest", "All"]);

fn all(text: &str, others: &[u8]) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

fn is_word(text: &str) -> bool {
    all(text, b"_-")
}

fn is_name(text: &str) -> bool {
    all(text, b".@-_")
}

fn is_variable(text: &str) -> bool {
    all(text, b"@-_")
}

fn is_bucket(text: &str) -> bool {
    all(text, b"-.")
}

fn is_client_token(text: &str) -> bool {
    all(text, b"-")
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &&str| {
        part.bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(hex)
}

fn is_role(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts[..] else {
        return false;
    };
    let partition = partition == "aws" || partition.starts_with("aws-");
    let account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    partition && account && resource.starts_with("role/")
}

#[cfg(test)]
mod tests {
    use super::{is_name, is_role, is_uuid, is_word};

    #[test]
    fn patterns_hold_what_the_model_says() {
        for (good, is, text) in [
            (
                true,
                is_uuid as fn(&str) -> bool,
                "01234567-89ab-4cde-8f01-23456789abcd",
            ),
            (false, is_uuid, "01234567-89AB-4cde-8f01-23456789abcd"),
            (false, is_uuid, "0123456789ab4cde8f0123456789abcd"),
            (
                true,
                is_role,
                "arn:aws:iam::000000000000:role/service-role/pipeline",
            ),
            (true, is_role, "arn:aws-cn:iam::000000000000:role/x"),
            (false, is_role, "arn:aws:iam::1:role/x"),
            (false, is_role, "arn:aws:iam::000000000000:user/x"),
            (true, is_name, "my.pipeline@1-2_3"),
            (false, is_name, "my pipeline"),
            (true, is_word, "Slip_way-1"),
            (false, is_word, "Slip.way"),
            (false, is_word, ""),
        ] {
            assert_eq!(is(text), good, "{text}");
        }
    }
}
