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

/// How long a session is remembered after its end: whoever still uses its keys then is told so by name.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// So few sessions are not worth a search for those that ended.
const FEW: usize = 256;

/// Every session that was given out, by its access key; those that ended long ago are forgotten, but not that they were.
#[derive(Debug, Default)]
pub struct Sessions {
    given: BTreeMap<String, Session>,
    /// How many were given out; their keys are numbered.
    issued: usize,
    /// How many there may be before those that ended are searched for.
    room: usize,
}

impl Sessions {
    /// Gives out keys for a session.
    pub fn issue(&mut self, now: Duration, session: Session) -> Keys {
        if self.given.len() >= self.room.max(FEW) {
            self.given.retain(|_, session| session.ends + REMEMBERED > now);
            // Twice as many as live are searched once for each that is added, taken all together.
            self.room = 2 * self.given.len();
        }
        self.issued += 1;
        let number = self.issued;
        let access_key_id = key_of(number);
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

    /// The session of an access key, also when it has ended, for a while; `None` for keys that nobody gave out.
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
        if !access_key_id.starts_with(PREFIX) {
            return Ok(None);
        }
        if !self.gave_out(access_key_id) || token != Some(token_of(access_key_id).as_str()) {
            return Err(Refusal::Stranger);
        }
        match self.given.get(access_key_id) {
            Some(session) if session.ends > now => Ok(Some(session)),
            Some(_) | None => Err(Refusal::Expired),
        }
    }

    fn gave_out(&self, access_key_id: &str) -> bool {
        let number = access_key_id.strip_prefix(PREFIX).map(str::parse::<usize>);
        matches!(number, Some(Ok(number)) if (1..=self.issued).contains(&number) && key_of(number) == access_key_id)
    }
}

fn key_of(number: usize) -> String {
    format!("{PREFIX}{number:09}")
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
    use super::{FEW, Refusal, Scope, Session, Sessions};
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
        let keys = sessions.issue(Duration::ZERO, session.clone());
        let other = sessions.issue(Duration::ZERO, session.clone());
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
            (0, "ASIASANDBOX1", Some(token), Err(Refusal::Stranger)),
            (0, "ASIASANDBOX", Some(token), Err(Refusal::Stranger)),
            (0, "sandbox", None, Ok(None)),
            (0, "ASIAIOSFODNN7EXAMPLE", Some("theirs"), Ok(None)),
        ] {
            assert_eq!(admit(seconds, key, token), expected, "{seconds} {key} {token:?}");
        }
        assert_eq!(sessions.of_key(key), Some(&session));
        assert_eq!(sessions.of_key("sandbox"), None);
    }

    #[test]
    fn sessions_that_ended_long_ago_take_no_room_and_are_still_said_to_have_ended() {
        let mut sessions = Sessions::default();
        let at = |poll: u64| Duration::from_secs(30 * poll);
        let (mut all, mut most) = (Vec::new(), 0);
        for poll in 0..10_000 {
            let now = at(poll);
            let session = Session {
                ends: now + Duration::from_secs(900),
                ..session(Scope::Role)
            };
            all.push(sessions.issue(now, session));
            most = most.max(sessions.given.len());
        }
        // An hour and a quarter of polls, twice.
        assert!(most <= 2 * FEW.max(150), "{most}");
        let last = at(9_999);
        let mut open = 0;
        for (number, keys) in all.iter().enumerate() {
            let (key, token) = (keys.access_key_id.as_str(), Some(keys.session_token.as_str()));
            match sessions.admit(last, key, token) {
                Ok(Some(_)) => open += 1,
                Ok(None) => panic!("{key} is nobody's"),
                Err(refusal) => assert_eq!(refusal, Refusal::Expired, "{key}"),
            }
            assert_eq!(sessions.admit(last, key, None), Err(Refusal::Stranger), "{key}");
            let is_fresh = 9_999 - number < 150;
            assert!(!is_fresh || sessions.of_key(key).is_some(), "{key} ended lately");
        }
        assert_eq!(open, 30);
        let keys: std::collections::BTreeSet<&String> = all.iter().map(|keys| &keys.access_key_id).collect();
        assert_eq!(keys.len(), all.len());
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
