//! STS: who asks, and the sessions of roles.
//!
//! Every role can be assumed, unless a `[[role]]` table of the scenario says what it demands: the sandbox imitates no
//! trust policies beyond that. What an operation does not know is refused by name, since a session policy that is
//! ignored would open more than AWS opens.

use super::ecr::repository::digest_of;
use super::error::ApiError;
use super::sessions::{Keys, Scope, Session, Sessions};
use crate::sandbox::ACCOUNT;
use quick_xml::escape::escape;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Whom the account's own keys belong to.
const USER: &str = "arn:aws:iam::000000000000:user/sandbox";
/// How long a session lasts that says nothing of it, and how long a role lets one last that says nothing of it.
const HOUR: u32 = 3600;
/// `DurationSeconds` of AssumeRole.
const SECONDS: RangeInclusive<u32> = 900..=43_200;

/// The parameters of AssumeRole that the sandbox knows.
const KNOWN: &[&str] = &[
    "Action",
    "Version",
    "RoleArn",
    "RoleSessionName",
    "ExternalId",
    "DurationSeconds",
];

/// What the trust policy of a role demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// `arn:aws:iam::ACCOUNT:role/NAME`.
    pub arn: String,
    /// The external id without which nobody may assume it.
    pub external_id: Option<String>,
    /// The account whose callers may assume it; a session of a role is in the role's account.
    pub account: String,
    /// The longest session.
    pub longest: u32,
}

/// The roles of which something is known.
#[derive(Debug, Default)]
pub struct Sts {
    /// The scenario's roles.
    pub roles: Vec<Role>,
}

impl Sts {
    /// Answers an operation: the XML inside its result.
    ///
    /// # Errors
    /// The operation's own; an unknown operation is refused by name.
    pub fn call(
        &self,
        now: Duration,
        operation: &str,
        params: &BTreeMap<String, String>,
        caller: Option<&Session>,
        sessions: &mut Sessions,
    ) -> Result<String, ApiError> {
        match operation {
            "GetCallerIdentity" => Ok(caller_identity(caller)),
            "AssumeRole" => self.assume_role(now, params, caller, sessions),
            other => Err(ApiError::new(
                "InvalidAction",
                format!("the sandbox does not know the operation {other} of STS"),
            )),
        }
    }

    fn assume_role(
        &self,
        now: Duration,
        params: &BTreeMap<String, String>,
        caller: Option<&Session>,
        sessions: &mut Sessions,
    ) -> Result<String, ApiError> {
        let asked = Asked::read(params)?;
        let role = self.roles.iter().find(|role| role.arn == asked.role_arn);
        check_trust(role, &asked, caller)?;
        check_length(role, &asked, caller)?;
        let ends = now + Duration::from_secs(asked.seconds.into());
        let (role_name, session) = (asked.role.name, asked.session);
        let arn = format!(
            "arn:aws:sts::{}:assumed-role/{role_name}/{session}",
            asked.role.account
        );
        let keys = sessions.issue(
            now,
            Session {
                arn: arn.clone(),
                scope: Scope::Role,
                ends,
            },
        );
        Ok(answer(&arn, session, &keys, ends))
    }
}

/// What an AssumeRole asks for.
#[derive(Debug)]
struct Asked<'a> {
    role_arn: &'a str,
    role: Named<'a>,
    session: &'a str,
    external_id: Option<&'a str>,
    seconds: u32,
}

/// The parts of a role's ARN.
#[derive(Debug)]
struct Named<'a> {
    account: &'a str,
    /// Without its path: the ARN of a session has none.
    name: &'a str,
}

impl<'a> Asked<'a> {
    fn read(params: &'a BTreeMap<String, String>) -> Result<Self, ApiError> {
        if let Some(unknown) = params.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(validation(format!(
                "the sandbox does not know the parameter {unknown} of AssumeRole"
            )));
        }
        let text = |name: &str| params.get(name).map(String::as_str);
        let role_arn = required("roleArn", text("RoleArn"), 20..=2048, "")?;
        let session = required("roleSessionName", text("RoleSessionName"), 2..=64, "_+=,.@-")?;
        let external_id = text("ExternalId")
            .map(|id| required("externalId", Some(id), 2..=1224, "_+=,.@:/-"))
            .transpose()?;
        let seconds = text("DurationSeconds").map_or(Ok(HOUR), read_seconds)?;
        let role = named(role_arn).ok_or_else(|| validation(format!("{role_arn} is invalid")))?;
        Ok(Self {
            role_arn,
            role,
            session,
            external_id,
            seconds,
        })
    }
}

/// A text of a length and of letters, digits and `extra`; nothing is demanded of its characters without `extra`.
fn required<'a>(
    name: &str,
    text: Option<&'a str>,
    length: RangeInclusive<usize>,
    extra: &str,
) -> Result<&'a str, ApiError> {
    let Some(text) = text else {
        return Err(constraint("null", name, "Member must not be null"));
    };
    let value = format!("'{text}'");
    if text.chars().count() < *length.start() {
        let rule = format!(
            "Member must have length greater than or equal to {}",
            length.start()
        );
        return Err(constraint(&value, name, &rule));
    }
    if text.chars().count() > *length.end() {
        let rule = format!("Member must have length less than or equal to {}", length.end());
        return Err(constraint(&value, name, &rule));
    }
    let allowed = |one: char| one.is_ascii_alphanumeric() || extra.contains(one);
    if !extra.is_empty() && !text.chars().all(allowed) {
        let rule = format!(
            "Member must satisfy regular expression pattern: [\\w{}]*",
            extra.trim_start_matches('_')
        );
        return Err(constraint(&value, name, &rule));
    }
    Ok(text)
}

fn read_seconds(text: &str) -> Result<u32, ApiError> {
    let value = format!("'{text}'");
    match text.parse::<u32>() {
        Ok(seconds) if SECONDS.contains(&seconds) => Ok(seconds),
        Ok(seconds) if seconds < *SECONDS.start() => Err(constraint(
            &value,
            "durationSeconds",
            &format!(
                "Member must have value greater than or equal to {}",
                SECONDS.start()
            ),
        )),
        Ok(_) => Err(constraint(
            &value,
            "durationSeconds",
            &format!("Member must have value less than or equal to {}", SECONDS.end()),
        )),
        Err(_) => Err(ApiError::new("MalformedInput", "")),
    }
}

fn named(arn: &str) -> Option<Named<'_>> {
    let [
        "arn",
        "aws" | "aws-cn" | "aws-us-gov",
        "iam",
        "",
        account,
        resource,
    ] = arn.splitn(6, ':').collect::<Vec<_>>()[..]
    else {
        return None;
    };
    let name = resource.strip_prefix("role/")?.rsplit('/').next()?;
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (is_account && !name.is_empty()).then_some(Named { account, name })
}

/// One refusal for whatever a trust policy does not like, as of AWS: it never says what is missing.
fn check_trust(role: Option<&Role>, asked: &Asked<'_>, caller: Option<&Session>) -> Result<(), ApiError> {
    let account = caller.map_or(ACCOUNT, Session::account);
    let Some(role) = role else { return Ok(()) };
    let knows_it = role.external_id.is_none() || role.external_id.as_deref() == asked.external_id;
    if knows_it && role.account == account {
        return Ok(());
    }
    let text = format!(
        "User: {} is not authorized to perform: sts:AssumeRole on resource: {}",
        arn_of(caller),
        asked.role_arn
    );
    Err(ApiError::new("AccessDenied", text).status(403))
}

fn check_length(role: Option<&Role>, asked: &Asked<'_>, caller: Option<&Session>) -> Result<(), ApiError> {
    if caller.is_some() && asked.seconds > HOUR {
        return Err(validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        ));
    }
    if asked.seconds > role.map_or(HOUR, |role| role.longest) {
        return Err(validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    Ok(())
}

fn answer(arn: &str, session: &str, keys: &Keys, ends: Duration) -> String {
    format!(
        "<AssumedRoleUser><AssumedRoleId>{}:{session}</AssumedRoleId><Arn>{}</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
         <SessionToken>{}</SessionToken><Expiration>{}</Expiration></Credentials>",
        role_id(arn),
        escape(arn),
        keys.access_key_id,
        keys.secret_access_key,
        keys.session_token,
        iso_date(ends),
    )
}

fn caller_identity(caller: Option<&Session>) -> String {
    let (id, account) = match caller {
        None => ("AIDASANDBOX000000000".to_owned(), ACCOUNT),
        Some(session) => (
            format!("{}:{}", role_id(&session.arn), session.name()),
            session.account(),
        ),
    };
    format!(
        "<Arn>{}</Arn><UserId>{}</UserId><Account>{account}</Account>",
        escape(arn_of(caller)),
        escape(&id)
    )
}

/// The ARN of whoever asks.
#[must_use]
pub fn arn_of(caller: Option<&Session>) -> &str {
    caller.map_or(USER, |session| &session.arn)
}

/// The unique id of the role that a session's ARN names: the same for each of its sessions.
fn role_id(session_arn: &str) -> String {
    let role = session_arn.rsplit_once('/').map_or(session_arn, |(role, _)| role);
    let digest = digest_of(role.as_bytes()).to_ascii_uppercase();
    format!("AROASANDBOX{}", digest.get(7..17).unwrap_or_default())
}

/// An instant as STS writes it, to the second.
fn iso_date(at: Duration) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    let instant = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    instant.format(&Rfc3339).unwrap_or_default()
}

fn constraint(value: &str, name: &str, rule: &str) -> ApiError {
    validation(format!(
        "1 validation error detected: Value {value} at '{name}' failed to satisfy constraint: {rule}"
    ))
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

#[cfg(test)]
mod tests;
