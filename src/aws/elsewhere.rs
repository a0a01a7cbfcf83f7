//! AWS in other accounts and regions: a role that is assumed with the run's own credentials, and again before they end.

use super::sort::{CallError, Sorted};
use crate::config::settings::Role;
use crate::failure::Failure;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long before their end credentials of a role are renewed; STS gives them for an hour.
pub(super) const RENEWED_BEFORE: Duration = Duration::from_secs(300);

/// How long it may take to get new ones, all attempts of the call included.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The longest name of a session (AssumeRole).
const LONGEST_SESSION: usize = 64;

/// Gives the credentials of a role.
pub(super) struct Assumed {
    sts: aws_sdk_sts::Client,
    role: Role,
    session: String,
    /// Those that showed that the role can be assumed, for whoever asks first.
    first: Mutex<Option<Credentials>>,
}

impl Assumed {
    /// Assumes the role once, to see that it can be.
    ///
    /// # Errors
    /// The [`CallError`] of `sts:AssumeRole`.
    pub(super) async fn new(sts: aws_sdk_sts::Client, role: Role, session: &str) -> Result<Self, CallError> {
        let assumed = Self {
            sts,
            role,
            session: session_name(session),
            first: Mutex::default(),
        };
        let credentials = assumed.assume().await?;
        *assumed.first.lock().unwrap_or_else(PoisonError::into_inner) = Some(credentials);
        Ok(assumed)
    }

    async fn assume(&self) -> Result<Credentials, CallError> {
        const ACTION: &str = "sts:AssumeRole";
        let lacking = CallError::lacking(ACTION, "credentials");
        let answer = self
            .sts
            .assume_role()
            .role_arn(&self.role.arn)
            .role_session_name(&self.session)
            .set_external_id(self.role.external_id.clone())
            .send()
            .await
            .map_err(CallError::of(ACTION))?;
        let given = answer.credentials.ok_or_else(lacking)?;
        let until = u64::try_from(given.expiration.secs()).unwrap_or_default();
        let until: SystemTime = UNIX_EPOCH + Duration::from_secs(until);
        Ok(Credentials::new(
            given.access_key_id,
            given.secret_access_key,
            Some(given.session_token),
            Some(until),
            "slipway",
        ))
    }

    async fn provide(&self) -> Result<Credentials, CredentialsError> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        match first {
            Some(credentials) => Ok(credentials),
            None => self.assume().await.map_err(CredentialsError::provider_error),
        }
    }
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

impl fmt::Debug for Assumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assumed")
            .field("role", &self.role.arn)
            .finish_non_exhaustive()
    }
}

/// The failure of a role that cannot be assumed.
pub(super) fn not_assumed(error: CallError, role: &Role) -> Failure {
    let denied = error.sorted == Sorted::Denied;
    let mut failure = error.into_failure(format!("role `{}` could not be assumed", role.arn));
    if denied {
        let condition = match &role.external_id {
            Some(id) => format!(" with the external id `{id}`"),
            None => ", and no external id that `external-id` does not name".to_owned(),
        };
        failure.hints = vec![
            format!(
                "the principal that slipway runs as needs `sts:AssumeRole` on `{}` in its own policy",
                role.arn
            ),
            format!("the trust policy of that role must allow this principal{condition}"),
        ];
    }
    failure
}

/// A session's name: at least two letters, digits and some signs.
fn session_name(text: &str) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "+=,.@-_".contains(*c);
    let name: String = text.chars().filter(allowed).take(LONGEST_SESSION).collect();
    if name.len() < 2 {
        "slipway".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::session_name;

    #[test]
    fn any_text_makes_a_name() {
        for (text, name) in [
            ("slipway-3137f7cb", "slipway-3137f7cb"),
            ("a/b c:d", "abcd"),
            ("", "slipway"),
            ("§", "slipway"),
        ] {
            assert_eq!(session_name(text), name);
        }
        assert_eq!(session_name(&"x".repeat(100)).len(), 64);
    }
}
