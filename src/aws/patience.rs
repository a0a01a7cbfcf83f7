//! How long an answer is waited for, what is asked again, and who is told while none comes, or one that says too often.

use super::sort::{Sorted, Symptom, code_in, is_success, sort};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef, InterceptorContext,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use aws_smithy_types::timeout::TimeoutConfig;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::AbortHandle;

/// How long a connection may take to be made; AWS endpoints answer within milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one attempt of a call that changes something may take. The longest answers of AWS take some seconds; an
/// attempt that is given up early costs a look whether it took effect, and may register a revision twice.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long one attempt of a call that only reads may take. AWS answers reads within a second or two, and a read that is
/// repeated costs nothing but its request.
const READ_TIMEOUT: Duration = Duration::from_secs(15);

/// How long one attempt may take that joins the parts of an object: S3 says that it may take minutes.
const JOIN_TIMEOUT: Duration = Duration::from_secs(600);

/// How long a call may have no answer before somebody is told, and how long until it is told again.
const NOTICE: Duration = Duration::from_secs(15);

/// A call that has had no answer, over all of its attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// The service, as the SDK names it: `ECS`.
    pub service: String,
    /// The operation: `DescribeServices`.
    pub operation: String,
    /// How long it has had none.
    pub waited: Duration,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            service,
            operation,
            waited,
        } = self;
        write!(
            f,
            "{service} has not answered {operation} for {} s; still asking",
            waited.as_secs()
        )
    }
}

/// Who is told of silences.
#[derive(Clone)]
pub(super) struct Listener(Arc<dyn Fn(Silence) + Send + Sync>);

impl Listener {
    pub(super) fn new(tell: impl Fn(Silence) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// Who is told of answers that AWS is asked too often: the service, as the SDK names it.
#[derive(Clone)]
pub(super) struct Counter(Arc<dyn Fn(&str) + Send + Sync>);

impl Counter {
    pub(super) fn new(count: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(count))
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counter")
    }
}

/// The timeouts of a call to an operation.
pub(super) fn timeouts(operation: &str) -> TimeoutConfig {
    let attempt = match operation {
        "CompleteMultipartUpload" => JOIN_TIMEOUT,
        _ if reads(operation) => READ_TIMEOUT,
        _ => WRITE_TIMEOUT,
    };
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(attempt)
        .build()
}

/// Whether an operation only reads. AWS names operations by what they do; a poll takes no job away.
fn reads(operation: &str) -> bool {
    ["Describe", "List", "Get", "BatchGet", "Head", "Poll"]
        .iter()
        .any(|verb| operation.starts_with(verb))
}

/// Gives each call the patience that it deserves, and tells of calls that have no answer, and of each attempt that was
/// throttled.
#[derive(Debug, Clone)]
pub(super) struct Patience {
    listener: Option<Listener>,
    counter: Option<Counter>,
    /// Whether some call is telling already: of many that wait at the same time one speaks.
    speaks: Arc<AtomicBool>,
}

impl Patience {
    pub(super) fn new(listener: Option<Listener>, counter: Option<Counter>) -> Self {
        Self {
            listener,
            counter,
            speaks: Arc::default(),
        }
    }
}

impl Intercept for Patience {
    fn name(&self) -> &'static str {
        "Patience"
    }

    // Which operation it is is not known before: a client's interceptors see its execution begin without it.
    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        call: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(of) = call.load::<Metadata>().cloned() else {
            return Ok(());
        };
        call.interceptor_state().store_put(timeouts(of.name()));
        if let Some(listener) = self.listener.clone() {
            let telling = tokio::spawn(tell(listener, Arc::clone(&self.speaks), of));
            call.interceptor_state()
                .store_put(Telling(telling.abort_handle()));
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        call: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let failed = context.output_or_error().is_some_and(|outcome| outcome.is_err());
        if let (Some(counter), Some(response), true) = (&self.counter, context.response(), failed)
            && let Some(of) = call.load::<Metadata>()
        {
            let body = response.body().bytes().unwrap_or_default();
            if is_throttled(response.status().as_u16(), body) {
                (counter.0)(of.service());
            }
        }
        Ok(())
    }
}

fn is_throttled(status: u16, body: &[u8]) -> bool {
    let code = code_in(body);
    sort(Symptom::Answer {
        code: Some(&code),
        message: None,
        status,
    }) == Sorted::Throttled
}

/// Lives as long as its call.
#[derive(Debug)]
struct Telling(AbortHandle);

impl Storable for Telling {
    type Storer = StoreReplace<Self>;
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The right to speak, which goes back when the call ends.
struct Voice(Arc<AtomicBool>);

impl Voice {
    fn take(speaks: &Arc<AtomicBool>) -> Option<Self> {
        let taken = speaks.swap(true, Ordering::AcqRel);
        (!taken).then(|| Self(Arc::clone(speaks)))
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

async fn tell(listener: Listener, speaks: Arc<AtomicBool>, of: Metadata) {
    let mut waited = Duration::ZERO;
    let mut voice = None;
    loop {
        tokio::time::sleep(NOTICE).await;
        waited += NOTICE;
        voice = voice.or_else(|| Voice::take(&speaks));
        if voice.is_some() {
            (listener.0)(Silence {
                service: of.service().to_owned(),
                operation: of.name().to_owned(),
                waited,
            });
        }
    }
}

/// Asks again after an answer of success that cannot be read, which the SDK takes for the last word. Calls that must not
/// be repeated blindly have retries switched off.
#[derive(Debug)]
pub(super) struct AskAgain;

impl ClassifyRetry for AskAgain {
    fn classify_retry(&self, call: &InterceptorContext) -> RetryAction {
        let failed = call.output_or_error().is_some_and(|outcome| outcome.is_err());
        let success = call
            .response()
            .is_some_and(|response| is_success(response.status().as_u16()));
        if failed && success {
            RetryAction::transient_error()
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "AskAgain"
    }
}

#[cfg(test)]
mod tests {
    use super::{Counter, Patience, Silence, Voice, reads, timeouts};
    use crate::aws::loopback_tests;
    use aws_config::retry::RetryConfig;
    use aws_credential_types::Credentials;
    use axum::http::StatusCode;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// Throttles the first `times` requests, on loopback.
    async fn throttling(times: u32) -> String {
        let asked = Arc::new(AtomicU32::new(0));
        let answer = move || async move {
            if asked.fetch_add(1, Ordering::AcqRel) < times {
                let body = r#"{"__type":"com.amazon.coral.availability#ThrottlingException"}"#;
                (StatusCode::BAD_REQUEST, body)
            } else {
                (StatusCode::OK, r#"{"taskArns":[]}"#)
            }
        };
        loopback_tests::serve(answer).await
    }

    #[tokio::test]
    async fn each_attempt_that_is_throttled_counts_whether_or_not_the_call_is_good_in_the_end() {
        for (times, works, expected) in [(0, true, 0), (1, true, 1), (2, true, 2), (9, false, 3)] {
            let told: Arc<Mutex<Vec<String>>> = Arc::default();
            let tells = Arc::clone(&told);
            let counter = Counter::new(move |service| tells.lock().unwrap().push(service.to_owned()));
            let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(1));
            let config = loopback_tests::ecs(throttling(times).await)
                .retry_config(retries.with_max_attempts(3))
                .credentials_provider(Credentials::new("id", "key", None, None, "test"))
                .interceptor(Patience::new(None, Some(counter)));
            let ecs = aws_sdk_ecs::Client::from_conf(config.build());
            assert_eq!(ecs.list_tasks().send().await.is_ok(), works, "{times}");
            assert_eq!(*told.lock().unwrap(), vec!["ECS"; expected], "{times}");
        }
    }

    #[test]
    fn what_reads_is_given_up_earlier_than_what_changes() {
        for (operation, expected) in [
            ("DescribeServices", true),
            ("ListTasks", true),
            ("GetObject", true),
            ("BatchGetImage", true),
            ("PollForJobs", true),
            ("AcknowledgeJob", false),
            ("UpdateService", false),
            ("RegisterTaskDefinition", false),
            ("RunTask", false),
            ("StopServiceDeployment", false),
            ("PutObject", false),
        ] {
            assert_eq!(reads(operation), expected, "{operation}");
        }
        let patience = |operation| timeouts(operation).operation_attempt_timeout();
        assert!(patience("GetObject") < patience("PutObject"));
        assert!(patience("PutObject") < patience("CompleteMultipartUpload"));
    }

    #[test]
    fn of_many_calls_one_speaks_until_it_ends() {
        let speaks = Arc::default();
        let first = Voice::take(&speaks);
        assert!(first.is_some() && Voice::take(&speaks).is_none());
        drop(first);
        assert!(Voice::take(&speaks).is_some());
    }

    #[test]
    fn a_silence_says_who_and_how_long() {
        let silence = Silence {
            service: "ECS".to_owned(),
            operation: "DescribeServices".to_owned(),
            waited: Duration::from_secs(15),
        };
        assert_eq!(
            silence.to_string(),
            "ECS has not answered DescribeServices for 15 s; still asking"
        );
    }
}
