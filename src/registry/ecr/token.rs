//! ECR's authorisation token: base64 of `AWS:password`, good for twelve hours.

use crate::image::daemon::RegistryAuth;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

/// A token is renewed this long before it expires, so that a long push does not outlive it.
const MARGIN: Duration = Duration::from_secs(30 * 60);

/// A token and how long it is good.
#[derive(Debug, Clone)]
pub(super) struct Token {
    username: String,
    password: Secret<String>,
    /// Since the Unix epoch.
    expires: Duration,
}

/// Why a token cannot be used; no variant shows a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// GetAuthorizationToken gave none.
    #[error("the answer holds no token")]
    Missing,
    /// It is not base64.
    #[error("the token is not base64")]
    NotBase64,
    /// It is not `user:password`.
    #[error("the decoded token is not `user:password`")]
    NotAPair,
}

impl Token {
    /// Decodes a token as GetAuthorizationToken gives it; without an expiry time it is used once.
    pub(super) fn decode(token: &str, expires: Option<Duration>) -> Result<Self, TokenError> {
        let bytes = STANDARD.decode(token).map_err(|_| TokenError::NotBase64)?;
        let text = String::from_utf8(bytes).map_err(|_| TokenError::NotAPair)?;
        match text.split_once(':') {
            Some((user, password)) if !user.is_empty() && !password.is_empty() => Ok(Self {
                username: user.to_owned(),
                password: Secret::new(password.to_owned()),
                expires: expires.unwrap_or_default(),
            }),
            _ => Err(TokenError::NotAPair),
        }
    }

    /// Whether a push that starts now may use it.
    pub(super) fn is_good_at(&self, now: Duration) -> bool {
        now + MARGIN < self.expires
    }

    /// The credentials for one registry host.
    pub(super) fn for_server(&self, server: &str) -> RegistryAuth {
        RegistryAuth {
            username: self.username.clone(),
            password: self.password.clone(),
            server: server.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Token, TokenError};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_token_gives_its_user_and_password_and_shows_neither_in_debug() {
        let token = Token::decode(&STANDARD.encode("AWS:a:canary"), Some(12 * HOUR)).unwrap();
        let auth = token.for_server("registry.example.com");
        assert_eq!(
            (
                auth.username.as_str(),
                auth.password.expose().as_str(),
                auth.server.as_str()
            ),
            ("AWS", "a:canary", "registry.example.com")
        );
        assert!(!format!("{token:?} {auth:?}").contains("canary"));
    }

    #[test]
    fn a_token_is_renewed_half_an_hour_before_it_expires() {
        let token = Token::decode(&STANDARD.encode("AWS:x"), Some(12 * HOUR)).unwrap();
        assert!(token.is_good_at(11 * HOUR));
        assert!(!token.is_good_at(11 * HOUR + HOUR / 2));
        assert!(!token.is_good_at(13 * HOUR));
        let once = Token::decode(&STANDARD.encode("AWS:x"), None).unwrap();
        assert!(!once.is_good_at(HOUR));
    }

    #[test]
    fn an_unusable_token_is_refused_without_showing_it() {
        for (text, error) in [
            ("canary!".to_owned(), TokenError::NotBase64),
            (STANDARD.encode("canary"), TokenError::NotAPair),
            (STANDARD.encode("AWS:"), TokenError::NotAPair),
            (STANDARD.encode(":canary"), TokenError::NotAPair),
            (STANDARD.encode([0xff, 0xfe]), TokenError::NotAPair),
        ] {
            let got = Token::decode(&text, None).unwrap_err();
            assert_eq!(got, error);
            assert!(!got.to_string().contains("canary"));
        }
    }
}
