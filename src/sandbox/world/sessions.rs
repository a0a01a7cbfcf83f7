//! Temporary credentials that the sandbox gave out: whose they are, what they open, and when they end.
//!
//! Keys that nobody gave out are the account's own, and open everything: the sandbox imitates no IAM policies.

use std::collections::BTreeMap;
use std::time::Duration;

/// How the access keys of every sandbox's sessions begin.
const PREFIX: &str = "ASIASANDBOX";

/// What a session may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The artifacts of a job: objects to read and objects to write, each a bucket and a key, and nothing else.
    Artifacts {
        /// Input artifacts.
        read: Vec<(String, String)>,
        /// Output artifacts.
        write: Vec<(String, String)>,
    },
    /// Whatever the account may.
    Role,
}

/// A session that was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    pub arn: String,
    /// What it opens.
    pub scope: Scope,
    /// When it ends, counted from the Unix epoch.
    pub ends: Duration,
}

/// The keys of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// `ASIA...`.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
    /// The session token.
    pub session_token: String,
}

/// Why the keys of a request open nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The session has ended.
    Expired,
    /// The access key belongs to another token, or to no session of this sandbox.
    Stranger,
}

/// Every session that was given out, by its access key.
#[derive(Debug, Default)]
pub struct Sessions {
    given: BTreeMap<String, Session>,
}

impl Sessions {
    /// Gives out keys for a session.
    pub fn issue(&mut self, session: Session) -> Keys {
        let number = self.given.len() + 1;
        let access_key_id = format!("{PREFIX}{number:09}");
        let session_token = token_of(&access_key_id);
        self.given.insert(access_key_id.clone(), session);
        Keys {
            secret_access_key: format!("sandbox/secret/{number:025}"),
            session_token,
            access_key_id,
        }
    }

    /// Ends every session, as when the role's sessions are revoked.
    pub fn end_all(&mut self, now: Duration) {
        for session in self.given.values_mut() {
            session.ends = session.ends.min(now);
        }
    }

    /// The session of an access key, also when it has ended; `None` for keys that nobody gave out.
    #[must_use]
    pub fn of_key(&self, access_key_id: &str) -> Option<&Session> {
        self.given.get(access_key_id)
    }

    /// The session that these keys open; `None` for the account's own.
    ///
    /// # Errors
    /// [`Refusal`], for keys that open nothing.
    pub fn admit(
        &self,
        now: Duration,
        access_key_id: &str,
        token: Option<&str>,
    ) -> Result<Option<&Session>, Refusal> {
        match self.given.get(access_key_id) {
            None if access_key_id.starts_with(PREFIX) => Err(Refusal::Stranger),
            None => Ok(None),
            Some(_) if token != Some(token_of(access_key_id).as_str()) => Err(Refusal::Stranger),
            Some(session) if session.ends > now => Ok(Some(session)),
            Some(_) => Err(Refusal::Expired),
        }
    }
}

/// The session token that belongs to an access key of the sandbox's.
fn token_of(access_key_id: &str) -> String {
    format!("sandbox//session//token//{access_key_id:0>40}")
}

impl Session {
    /// The account that the session is in.
    #[must_use]
    pub fn account(&self) -> &str {
        self.arn.split(':').nth(4).unwrap_or_default()
    }

    /// The name that its ARN ends with.
    #[must_use]
    pub fn name(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }
}

impl Scope {
    /// Whether an action on an object is open (`s3:GetObject`, a bucket and a key).
    #[must_use]
    pub fn opens_object(&self, action: &str, bucket: &str, key: &str) -> bool {
        let Self::Artifacts { read, write } = self else {
            return true;
        };
        let among = |objects: &[(String, String)]| {
            objects
                .iter()
                .any(|object| (object.0.as_str(), object.1.as_str()) == (bucket, key))
        };
        match action {
            "s3:GetObject" => among(read) || among(write),
            "s3:PutObject" | "s3:AbortMultipartUpload" => among(write),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, Scope, Session, Sessions};
    use std::time::Duration;

    fn session(scope: Scope) -> Session {
        Session {
            arn: "arn:aws:sts::000000000000:assumed-role/pipeline/job".to_owned(),
            scope,
            ends: Duration::from_secs(900),
        }
    }

    #[test]
    fn a_session_is_open_until_it_ends_and_only_with_its_own_token() {
        let mut sessions = Sessions::default();
        let session = session(Scope::Role);
        let keys = sessions.issue(session.clone());
        let other = sessions.issue(session.clone());
        let admit = |seconds, key: &str, token| {
            let admitted = sessions.admit(Duration::from_secs(seconds), key, token);
            admitted.map(Option::<&Session>::cloned)
        };
        let (key, token) = (keys.access_key_id.as_str(), keys.session_token.as_str());
        for (seconds, key, token, expected) in [
            (899, key, Some(token), Ok(Some(session.clone()))),
            (900, key, Some(token), Err(Refusal::Expired)),
            (0, key, None, Err(Refusal::Stranger)),
            (0, key, Some(other.session_token.as_str()), Err(Refusal::Stranger)),
            (0, "ASIASANDBOX000000077", Some(token), Err(Refusal::Stranger)),
            (0, "sandbox", None, Ok(None)),
            (0, "ASIAIOSFODNN7EXAMPLE", Some("theirs"), Ok(None)),
        ] {
            assert_eq!(admit(seconds, key, token), expected, "{seconds} {key} {token:?}");
        }
        assert_eq!(sessions.of_key(key), Some(&session));
        assert_eq!(sessions.of_key("sandbox"), None);
    }

    #[test]
    fn artifacts_open_their_objects_and_nothing_else() {
        let object = |key: &str| vec![("bucket".to_owned(), key.to_owned())];
        let scope = Scope::Artifacts {
            read: object("in"),
            write: object("out"),
        };
        for (action, bucket, key, open) in [
            ("s3:GetObject", "bucket", "in", true),
            ("s3:GetObject", "bucket", "out", true),
            ("s3:GetObject", "bucket", "in/other", false),
            ("s3:GetObject", "elsewhere", "in", false),
            ("s3:PutObject", "bucket", "out", true),
            ("s3:PutObject", "bucket", "in", false),
            ("s3:AbortMultipartUpload", "bucket", "out", true),
            ("s3:AbortMultipartUpload", "bucket", "in", false),
            ("s3:PutObjectAcl", "bucket", "out", false),
            ("s3:PutObjectTagging", "bucket", "out", false),
            ("s3:DeleteObject", "bucket", "out", false),
            ("s3:ListBucket", "bucket", "", false),
        ] {
            assert_eq!(
                scope.opens_object(action, bucket, key),
                open,
                "{action} {bucket}/{key}"
            );
        }
        assert!(Scope::Role.opens_object("s3:DeleteObject", "bucket", "in"));
    }

    #[test]
    fn an_arn_tells_account_and_name() {
        let session = session(Scope::Role);
        assert_eq!((session.account(), session.name()), ("000000000000", "job"));
    }
}
