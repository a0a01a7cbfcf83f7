//! A panic is a bug: it becomes a failure like any other, short and without anybody's data in it.

use crate::failure::{Failure, Kind};
use futures_util::FutureExt;
use std::any::Any;
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::{Arc, Mutex, PoisonError};

/// The last panic that was seen.
#[derive(Debug, Clone, Default)]
pub struct Bugs(Arc<Mutex<Option<Bug>>>);

#[derive(Debug, Clone)]
struct Bug {
    place: String,
    message: Option<&'static str>,
}

/// Takes over the reporting of panics: they are remembered, and told once, at the end.
pub fn watch() -> Bugs {
    let bugs = Bugs::default();
    let seen = bugs.clone();
    std::panic::set_hook(Box::new(move |info| {
        *seen.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bug(info));
    }));
    bugs
}

/// Only a message that stands in the source is kept: one that was put together may hold a secret.
fn bug(info: &PanicHookInfo<'_>) -> Bug {
    Bug {
        place: info
            .location()
            .map_or_else(|| "an unknown place".to_owned(), ToString::to_string),
        message: literal(info.payload()),
    }
}

fn literal(payload: &(dyn Any + Send)) -> Option<&'static str> {
    payload.downcast_ref().copied()
}

/// Waits for a story; a panic in it is a failure.
pub async fn caught<T>(story: impl Future<Output = Result<T, Failure>>, bugs: &Bugs) -> Result<T, Failure> {
    match AssertUnwindSafe(story).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => {
            let seen = bugs.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Err(failure(seen))
        }
    }
}

fn failure(seen: Option<Bug>) -> Failure {
    let failure = Failure::new(Kind::Bug, "slipway stopped on a bug of its own")
        .left("what was going on was abandoned: look before you act")
        .hint(format!(
            "please report it with the command line: slipway {}, {}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::OS,
        ));
    let Some(bug) = seen else { return failure };
    let failure = failure.place(bug.place);
    match bug.message {
        Some(message) => failure.cause(message),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::{Bug, Bugs, Failure, Kind, caught, failure, literal};

    #[tokio::test]
    async fn a_panic_is_a_failure_that_says_where() {
        let bugs = Bugs::default();
        *bugs.0.lock().unwrap() = Some(Bug {
            place: "src/x.rs:1:2".to_owned(),
            message: Some("index out of bounds"),
        });
        let story = async {
            let empty: [u8; 0] = [];
            Ok::<u8, Failure>(empty.iter().copied().next().unwrap())
        };
        let failure = caught(story, &bugs).await.unwrap_err();
        assert_eq!(failure.kind, Kind::Bug);
        assert_eq!(failure.place.as_deref(), Some("src/x.rs:1:2"));
        assert_eq!(failure.cause.as_deref(), Some("index out of bounds"));
    }

    #[test]
    fn a_message_that_was_put_together_is_not_kept() {
        let secret = "canary";
        let payload = |panic: fn(&str)| std::panic::catch_unwind(|| panic(secret)).unwrap_err();
        let made = payload(|secret| panic!("unknown token {secret}"));
        assert_eq!(made.downcast_ref::<String>().unwrap(), "unknown token canary");
        assert_eq!(literal(&*made), None);
        assert_eq!(literal(&*payload(|_| panic!("no token"))), Some("no token"));
    }

    #[test]
    fn a_panic_without_a_trace_is_still_a_failure() {
        assert_eq!(failure(None).kind.exit_code(), 70);
    }
}
