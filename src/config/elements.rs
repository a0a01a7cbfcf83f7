//! Small values and how they are written: durations, platforms, S3 addresses, repositories, words of a choice.
//!
//! Each parser answers with what it expected, as a fragment that reads after the key.

use super::settings::{Builder, OnFailure, OnFirstFailure, RepositoryTarget, Until};
use crate::name::{ImageRef, Repository};
use std::time::Duration;

/// A longer duration is a mistake, and times that are reckoned with it would not be.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A duration: `15m`, `90s`, `1h30m`; units in falling order, each once.
///
/// # Errors
/// What was expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a duration like `15m`, `90s` or `1h30m`, found `{text}`");
    let mut seconds: u64 = 0;
    let mut smallest = u64::MAX;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = rest.split_at(digits);
        let mut unit_chars = unit.chars();
        let factor = match unit_chars.next() {
            Some('h') => 3600,
            Some('m') => 60,
            Some('s') => 1,
            Some(_) | None => return Err(expected()),
        };
        if factor >= smallest {
            return Err(expected());
        }
        smallest = factor;
        let amount: u64 = number.parse().map_err(|_| expected())?;
        seconds = amount
            .checked_mul(factor)
            .and_then(|more| seconds.checked_add(more))
            .ok_or_else(expected)?;
        rest = unit_chars.as_str();
    }
    if seconds > LONGEST.as_secs() {
        return Err(format!("expected a duration of a year at most, found `{text}`"));
    }
    if seconds == 0 {
        return Err(expected());
    }
    Ok(Duration::from_secs(seconds))
}

/// A platform: `os/architecture[/variant]`.
///
/// # Errors
/// What was expected.
pub fn platform(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let word =
        |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if matches!(parts.len(), 2 | 3) && parts.iter().all(word) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "expected one platform like `linux/amd64` or `linux/arm64`, found `{text}`"
    ))
}

/// The bucket and key of `s3://bucket/key`.
///
/// # Errors
/// What was expected.
pub fn s3_address(text: &str) -> Result<(String, String), String> {
    text.strip_prefix("s3://")
        .and_then(|rest| rest.split_once('/'))
        .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty() && !key.ends_with('/'))
        .map(|(bucket, key)| (bucket.to_owned(), key.to_owned()))
        .ok_or_else(|| format!("expected `s3://bucket/key`, found `{text}`"))
}

/// An ECR repository's name, or a whole `registry/repository`.
///
/// # Errors
/// What is wrong with it.
pub fn repository(text: &str) -> Result<RepositoryTarget, String> {
    let reference: ImageRef = text
        .parse()
        .map_err(|error: crate::name::NameError| error.to_string())?;
    if reference.tag.is_some() || reference.digest.is_some() {
        return Err(format!(
            "expected a repository without tag or digest, found `{text}`; tags belong in `tags`"
        ));
    }
    // Docker takes a first part with a capital for a host; here it is most often an ECR name that is not lower case.
    if reference
        .registry
        .as_ref()
        .is_some_and(|host| !host.as_str().contains(['.', ':']) && host.as_str() != "localhost")
    {
        let error = text.parse::<Repository>().err();
        return Err(error.map_or_else(
            || format!("`{text}` names no registry"),
            |error| error.to_string(),
        ));
    }
    Ok(match reference.registry {
        Some(_) => RepositoryTarget::Full(reference),
        None => RepositoryTarget::Ecr(reference.repository),
    })
}

/// A builder: `auto`, `buildkit` or `classic`.
///
/// # Errors
/// What was expected.
pub fn builder(text: &str) -> Result<Builder, String> {
    match text {
        "auto" => Ok(Builder::Auto),
        "buildkit" => Ok(Builder::BuildKit),
        "classic" => Ok(Builder::Classic),
        _ => Err(format!(
            "expected `auto`, `buildkit` or `classic`, found `{text}`"
        )),
    }
}

/// When a rollout is done: `healthy` or `steady`.
///
/// # Errors
/// What was expected.
pub fn until(text: &str) -> Result<Until, String> {
    match text {
        "healthy" => Ok(Until::Healthy),
        "steady" => Ok(Until::Steady),
        _ => Err(format!("expected `healthy` or `steady`, found `{text}`")),
    }
}

/// What to do on failure: `rollback` or `leave`.
///
/// # Errors
/// What was expected.
pub fn on_failure(text: &str) -> Result<OnFailure, String> {
    match text {
        "rollback" => Ok(OnFailure::Rollback),
        "rollback-all" => Ok(OnFailure::RollbackAll),
        "leave" => Ok(OnFailure::Leave),
        _ => Err(format!(
            "expected `rollback`, `rollback-all` or `leave`, found `{text}`"
        )),
    }
}

/// `keep-going` or `fail-fast`.
///
/// # Errors
/// What was expected.
pub fn on_first_failure(text: &str) -> Result<OnFirstFailure, String> {
    match text {
        "keep-going" => Ok(OnFirstFailure::KeepGoing),
        "fail-fast" => Ok(OnFirstFailure::FailFast),
        _ => Err(format!("expected `keep-going` or `fail-fast`, found `{text}`")),
    }
}

/// When a one-off task runs: `before`.
///
/// # Errors
/// What was expected.
pub fn when(text: &str) -> Result<(), String> {
    match text {
        "before" => Ok(()),
        _ => Err(format!(
            "expected `before`, found `{text}`: tasks run before the services are updated, and at no other time"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{duration, platform, repository, s3_address};
    use crate::config::settings::RepositoryTarget;

    #[test]
    fn durations_are_read_in_falling_units() {
        for (text, seconds) in [
            ("15m", 900),
            ("90s", 90),
            ("1h30m", 5400),
            ("2h", 7200),
            ("1h0m5s", 3605),
        ] {
            assert_eq!(duration(text).unwrap().as_secs(), seconds, "{text}");
        }
        for bad in [
            "",
            "15",
            "m",
            "15 m",
            "15m15m",
            "5s1m",
            "0s",
            "1d",
            "-1s",
            "1.5h",
            "99999999999999999999h",
        ] {
            assert!(
                duration(bad).unwrap_err().contains("expected a duration"),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_platform_has_two_or_three_words() {
        for good in ["linux/amd64", "linux/arm64/v8", "windows/amd64"] {
            assert_eq!(platform(good).unwrap(), good);
        }
        for bad in [
            "",
            "linux",
            "linux/",
            "linux/amd64,linux/arm64",
            "Linux/amd64",
            "a/b/c/d",
        ] {
            assert!(platform(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_s3_address_has_a_bucket_and_a_key() {
        let parts = s3_address("s3://bucket/a/b.zip").unwrap();
        assert_eq!((parts.0.as_str(), parts.1.as_str()), ("bucket", "a/b.zip"));
        for bad in [
            "",
            "bucket/key",
            "s3://bucket",
            "s3://bucket/",
            "s3:///key",
            "s3://bucket/folder/",
        ] {
            assert!(s3_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_repository_with_a_host_is_whole_and_one_without_is_ecrs() {
        for (text, full) in [
            ("shop/web", false),
            ("web", false),
            ("localhost:5000/web", true),
            ("000000000000.dkr.ecr.eu-west-1.amazonaws.com/shop/web", true),
        ] {
            let target = repository(text).unwrap();
            assert_eq!(matches!(target, RepositoryTarget::Full(_)), full, "{text}");
        }
        for bad in ["", "Shop/web", "shop/web:1", "shop//web"] {
            assert!(repository(bad).is_err(), "{bad}");
        }
    }
}
