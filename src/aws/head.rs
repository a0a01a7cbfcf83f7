//! Refusals that have no body, as S3's of a HEAD: AWS's id of the request says whose they are, and the status what they mean.

use super::sort::{CallError, Sorted, Unreadable};

/// A refusal of AWS's own that has no words.
#[derive(Debug, thiserror::Error)]
#[error("HTTP {0}; an answer to HEAD does not say why")]
struct Wordless(u16);

impl CallError {
    /// The error of a HEAD. AWS writes no code into its refusal, but its id of the request, which no proxy knows.
    #[must_use]
    pub fn of_head(self) -> Self {
        let call = self.of_aws();
        let Sorted::Foreign { status } = call.sorted else {
            return call;
        };
        if call.request_id.is_none() {
            return call;
        }
        Self {
            sorted: read(status),
            source: Box::new(Wordless(status)),
            ..call
        }
    }

    /// The error of a service for which the SDK reads `NotFound` into any 404 without a body, as it does for S3: one
    /// without AWS's id of the request is a proxy's, and says nothing of what exists.
    #[must_use]
    pub fn of_aws(self) -> Self {
        match &self.sorted {
            Sorted::Missing { code } if code == "NotFound" && self.request_id.is_none() => Self {
                sorted: Sorted::Foreign { status: 404 },
                source: Box::new(Unreadable {
                    status: 404,
                    source: None,
                }),
                ..self
            },
            _ => self,
        }
    }
}

/// What AWS means by the status of an answer to HEAD (the error responses of HeadObject in S3's API reference).
fn read(status: u16) -> Sorted {
    match status {
        403 => Sorted::Denied,
        // Whoever follows redirects reads the region from a header, and needs the status.
        301 | 307 => Sorted::Foreign { status },
        status => Sorted::Refused {
            code: format!("HTTP {status}"),
            message: String::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{CallError, Sorted};

    fn refused(sorted: Sorted, ours: bool) -> Sorted {
        let call = CallError {
            action: "s3:GetObject",
            sorted,
            request_id: ours.then(|| "1".to_owned()),
            source: "x".into(),
        };
        call.of_head().sorted
    }

    #[test]
    fn a_head_is_refused_by_whoever_knows_the_request() {
        let foreign = |status| Sorted::Foreign { status };
        let missing = || Sorted::Missing {
            code: "NotFound".to_owned(),
        };
        let bad = Sorted::Refused {
            code: "HTTP 400".to_owned(),
            message: String::new(),
        };
        for (said, ours, expected) in [
            (foreign(403), true, Sorted::Denied),
            (foreign(403), false, foreign(403)),
            (missing(), true, missing()),
            (missing(), false, foreign(404)),
            (foreign(301), true, foreign(301)),
            (foreign(400), true, bad),
            (foreign(400), false, foreign(400)),
            (Sorted::Throttled, true, Sorted::Throttled),
        ] {
            assert_eq!(refused(said.clone(), ours), expected, "{said:?} {ours}");
        }
    }
}
