//! Temporary credentials that the sandbox gave out: whose they are, what they open, and when they end.
//!
//! Keys that nobody gave out are the account's own, and open everything: the sandbox imitates no IAM policies.

use std::collections::BTreeMap;
use std::time::Duration;

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

/// Whose a request is, by its access key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder<'a> {
    /// The account's own keys.
    Account,
    /// A session that is alive.
    Session(&'a Session),
    /// A session that has ended.
    Expired,
}

/// Every session that was given out.
#[derive(Debug, Default)]
pub struct Sessions {
    given: BTreeMap<String, Session>,
}

impl Sessions {
    /// Gives out keys for a session.
    pub fn issue(&mut self, session: Session) -> Keys {
        let number = self.given.len() + 1;
        let access_key_id = format!("ASIASANDBOX{number:09}");
        self.given.insert(access_key_id.clone(), session);
        Keys {
            secret_access_key: format!("sandbox/secret/{number:025}"),
            session_token: format!("sandbox//session//token//{number:040}"),
            access_key_id,
        }
    }

    /// Whose an access key is.
    #[must_use]
    pub fn holder(&self, now: Duration, access_key_id: &str) -> Holder<'_> {
        match self.given.get(access_key_id) {
            None => Holder::Account,
            Some(session) if session.ends > now => Holder::Session(session),
            Some(_) => Holder::Expired,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Holder, Scope, Session, Sessions};
    use std::time::Duration;

    #[test]
    fn a_session_is_known_until_it_ends_and_other_keys_are_the_account_s() {
        let mut sessions = Sessions::default();
        let session = Session {
            arn: "arn:aws:sts::000000000000:assumed-role/pipeline/job".to_owned(),
            scope: Scope::Role,
            ends: Duration::from_secs(900),
        };
        let keys = sessions.issue(session.clone());
        let holder = |seconds| sessions.holder(Duration::from_secs(seconds), &keys.access_key_id);
        assert_eq!(holder(899), Holder::Session(&session));
        assert_eq!(holder(900), Holder::Expired);
        assert_eq!(sessions.holder(Duration::ZERO, "sandbox"), Holder::Account);
    }
}
