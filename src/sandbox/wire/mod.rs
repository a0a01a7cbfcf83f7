//! How the wire speaks: each service parses its requests, asks the world, and shapes the answer.
//!
//! [`serve`] is the one door: it finds the service and operation of a request, checks who asks, lets the scenario's
//! faults happen, and writes the journal.

mod auth;
mod cbor;
mod change;
mod checksum;
mod exchange;
mod json;
mod layers;
mod query;
mod registry;
mod route;
mod s3;
mod scope;
mod service;
mod spool;
mod sqs;

use super::journal::{Entry, Journal};
use super::listener::Line;
use super::scenario::faults::{Action, Faults};
use super::server::Shared;
use super::world::error::ApiError;
use super::world::sessions::Session;
use super::world::sts::arn_of;
use crate::shutdown::Shutdown;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use exchange::{Content, Head, Outcome, Reply};
use futures_util::StreamExt as _;
use http::{HeaderMap, Method, StatusCode};
use registry::Uploads;
use route::{Ask, Asked, Encoding};
use service::Service;
pub use spool::Spool;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Everything that requests are answered from.
#[derive(Debug)]
pub struct Site {
    shared: Shared,
    region: String,
    registry_host: String,
    spool: Spool,
    journal: Option<Journal>,
    faults: Mutex<Faults>,
    /// How many requests a fault has hit.
    struck: watch::Sender<u64>,
    memory: Mutex<BTreeMap<Vec<u8>, Reply>>,
    uploads: Uploads,
    requests: AtomicU64,
}

impl Site {
    /// A site over a shared world.
    pub fn new(shared: Shared, spool: Spool, journal: Option<Journal>, faults: Faults) -> Self {
        let (region, registry_host) =
            shared.visit(|world, _| (world.config.region.clone(), world.config.registry_host.clone()));
        Self {
            shared,
            region,
            registry_host,
            spool,
            journal,
            memory: Mutex::default(),
            faults: Mutex::new(faults),
            struck: watch::Sender::new(0),
            uploads: Uploads::default(),
            requests: AtomicU64::new(0),
        }
    }

    /// A request id that looks like one of AWS's and counts up.
    fn request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        format!("00000000-0000-4000-8000-{number:012}")
    }

    /// From now on these faults happen, counted from here, and none of those before.
    pub fn set_faults(&self, faults: Faults) {
        *self.faults() = faults;
    }

    /// How many requests a fault has hit, from the sandbox's start on.
    pub fn struck(&self) -> watch::Receiver<u64> {
        self.struck.subscribe()
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Reply>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn strike(&self) {
        self.struck.send_modify(|count| *count += 1);
    }

    fn decide(&self, ask: &Ask) -> Option<Action> {
        let offers = self.faults().ask_for_offers() && self.is_offered_jobs(ask);
        self.faults().decide(ask.service.name(), &ask.operation, offers)
    }

    fn is_offered_jobs(&self, ask: &Ask) -> bool {
        let Asked::Json(body) = &ask.asked else {
            return false;
        };
        let input = serde_json::from_slice(body).unwrap_or_default();
        ask.operation == "PollForJobs"
            && self
                .shared
                .visit(|world, now| world.pipeline.has_jobs_for(now, &input))
    }
}

/// Answers one request.
pub async fn serve(
    State(site): State<Arc<Site>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let head = Head::of(&parts);
    let id = site.request_id();
    let time = site.shared.clock().now().as_secs_f64();
    let ask = route::read(&head, body).await;
    let (service, operation, encoding) = (ask.service, ask.operation.clone(), ask.encoding);
    let mut outcome = Box::pin(decide_and_answer(&site, &head, ask, &id)).await;
    let body = match &outcome.reply {
        Some(reply) if head.method != Method::HEAD => reply.journal_body(),
        Some(_) | None => super::journal::Body::Empty,
    };
    if let Some(reply) = outcome.reply.take() {
        let reply = match encoding {
            Encoding::Native => reply,
            Encoding::Cbor => cbor::encode(reply, service),
        };
        outcome.reply = Some(reply.with("x-amzn-requestid", &id).with("x-amz-request-id", &id));
    }
    note(&site, time, service, &operation, &head, &outcome, &body);
    match outcome.reply {
        Some(reply) => reply.send(head.method == Method::HEAD).await,
        None => {
            line.cut();
            Response::new(Body::empty())
        }
    }
}

/// Lets the scenario's fault happen, if one does, around the answer.
async fn decide_and_answer(site: &Site, head: &Head, ask: Ask, id: &str) -> Outcome {
    let service = ask.service;
    let refuse = |error: ApiError| Outcome::from(service.refuse(&error, id));
    let action = site.decide(&ask);
    if action
        .as_ref()
        .is_some_and(|action| *action != Action::HoldAnswer)
    {
        site.strike();
    }
    match action {
        None => answer(site, head, ask, id).await,
        Some(Action::Throttle) => refuse(service.throttled()),
        Some(Action::AccessDenied) => refuse(service.denied(&ask.operation)),
        Some(Action::ExpiredToken) => refuse(service.expired()),
        Some(Action::Error {
            code,
            message,
            status,
        }) => refuse(ApiError::new(code, message).status(status)),
        Some(Action::Http(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            Reply::text(
                status,
                "text/html",
                "<html><body><h1>the sandbox's scenario says so</h1></body></html>",
            )
            .into()
        }
        Some(Action::Refuse) => Outcome {
            reply: None,
            received: super::journal::Body::Empty,
        },
        // The client ends it, or the sandbox's own end does.
        Some(Action::Hold) => std::future::pending().await,
        Some(Action::HoldAnswer) => {
            let _ = answer(site, head, ask, id).await;
            site.strike();
            std::future::pending().await
        }
        Some(Action::LostAnswer) => {
            let outcome = answer(site, head, ask, id).await;
            Outcome {
                reply: None,
                ..outcome
            }
        }
        Some(Action::Slow(time)) => {
            // Nothing stops a pause that nobody can interrupt; the sandbox drops it when it stops.
            let _ = site.shared.clock().pause(time, &Shutdown::never()).await;
            answer(site, head, ask, id).await
        }
        Some(Action::Stale) => answer_from_memory(site, head, ask, id).await,
        Some(Action::Change(change)) => {
            let outcome = answer(site, head, ask, id).await;
            Outcome {
                reply: outcome.reply.map(|reply| change::change(reply, &change)),
                ..outcome
            }
        }
    }
}

/// Checks who asks, then answers; a good answer to a reading operation is remembered when a fault needs it.
async fn answer(site: &Site, head: &Head, ask: Ask, id: &str) -> Outcome {
    let service = ask.service;
    let key = memory_key(&ask);
    let received = ask.asked.received();
    let authorized = authorize(site, head, &ask);
    let outcome = match authorized {
        Err(error) => {
            if let Asked::S3(_, body) = ask.asked {
                drain(body).await;
            }
            let reply = service.refuse(&error, id);
            let realm = format!(
                "Basic realm=\"http://{}/\",service=\"ecr.amazonaws.com\"",
                site.registry_host
            );
            let unknown = reply.status == StatusCode::UNAUTHORIZED;
            let reply = if unknown {
                reply.with("www-authenticate", &realm)
            } else {
                reply
            };
            Outcome {
                reply: Some(reply),
                received,
            }
        }
        Ok(_) if !admits(site, &ask) => Outcome {
            reply: Some(service.refuse(&service.throttled(), id)),
            received,
        },
        Ok(caller) => answer_asked(site, head, ask, caller.as_ref(), id).await,
    };
    if let (Some(key), Some(reply)) = (key, &outcome.reply)
        && reply.status.is_success()
        && site.faults().needs_memory()
    {
        site.memory().insert(key, reply.clone());
    }
    outcome
}

async fn answer_from_memory(site: &Site, head: &Head, ask: Ask, id: &str) -> Outcome {
    let remembered = memory_key(&ask).and_then(|key| site.memory().get(&key).cloned());
    match remembered {
        Some(reply) => reply.into(),
        None => answer(site, head, ask, id).await,
    }
}

/// What a reading operation of the APIs asks, as a key; others are never answered from memory.
fn memory_key(ask: &Ask) -> Option<Vec<u8>> {
    let reads = ["Describe", "List", "Get", "Batch"]
        .iter()
        .any(|verb| ask.operation.starts_with(verb));
    match &ask.asked {
        Asked::Json(body) if reads => Some([ask.operation.as_bytes(), b"\n", body].concat()),
        Asked::Query(params) if reads => Some(format!("{}\n{params:?}", ask.operation).into_bytes()),
        Asked::Json(_)
        | Asked::Query(_)
        | Asked::Registry(..)
        | Asked::S3(..)
        | Asked::Layer(_)
        | Asked::Bad(_) => None,
    }
}

/// Whether the quotas allow one more request.
fn admits(site: &Site, ask: &Ask) -> bool {
    ask.service.quotas().is_none_or(|api| {
        site.shared
            .visit(|world, now| world.quotas.admits(now, api, &ask.operation))
    })
}

/// Takes the rest of a body, so that its sender can read why it is refused.
async fn drain(body: Body) {
    let mut body = body.into_data_stream();
    while let Some(Ok(_)) = body.next().await {}
}

/// The session that asks, if it may; `None` for the account itself.
fn authorize(site: &Site, head: &Head, ask: &Ask) -> Result<Option<Session>, ApiError> {
    match &ask.asked {
        Asked::Json(_) | Asked::Query(_) | Asked::S3(..) => {
            auth::check_scope(head, ask.service, &site.region)?;
            site.shared.visit(|world, now| {
                let session = auth::check_keys(head, ask.service, &world.sessions, now)?;
                if let Some(session) = &session {
                    scope::check(session, head, ask, &world.s3)?;
                }
                if let Asked::S3(asked, _) = &ask.asked {
                    asked.check_policy(head, &world.s3, arn_of(session.as_ref()))?;
                }
                Ok(session)
            })
        }
        Asked::Registry(..) => {
            let token = auth::registry_token(head).unwrap_or_default();
            auth::check_admission(site.shared.visit(|world, now| world.ecr.admits(now, &token)))?;
            Ok(None)
        }
        // The signature is in the URL of a layer; a request that cannot be read is refused for that.
        Asked::Layer(_) | Asked::Bad(_) => Ok(None),
    }
}

async fn answer_asked(site: &Site, head: &Head, ask: Ask, caller: Option<&Session>, id: &str) -> Outcome {
    let service = ask.service;
    let received = ask.asked.received();
    let result = match ask.asked {
        Asked::Json(body) => {
            let reply = json::call(site, service, &ask.operation, &body).await;
            let reply = reply.unwrap_or_else(|error| service.refuse(&error, id));
            return Outcome {
                reply: Some(reply),
                received,
            };
        }
        Asked::Query(params) => {
            let reply = query::call(site, service, &ask.operation, &params, caller, id);
            let reply = reply.unwrap_or_else(|error| service.refuse(&error, id));
            return Outcome {
                reply: Some(reply),
                received,
            };
        }
        Asked::Registry(asked, body) => return registry::answer(site, head, asked, body).await,
        Asked::S3(asked, body) => return s3::answer(site, head, asked, body, id).await,
        Asked::Layer(digest) => registry::serve_layer(site, head, &digest),
        Asked::Bad(error) => Err(error),
    };
    result.unwrap_or_else(|error| service.refuse(&error, id)).into()
}

/// Writes the journal; `body` is the answer's before it was encoded.
fn note(
    site: &Site,
    time: f64,
    service: Service,
    operation: &str,
    head: &Head,
    outcome: &Outcome,
    body: &super::journal::Body,
) {
    let Some(journal) = &site.journal else {
        return;
    };
    let none = HeaderMap::new();
    let principal = site
        .shared
        .visit(|world, now| auth::principal(head, &world.sessions, now));
    let written = journal.write(&Entry {
        time,
        service: service.name(),
        operation,
        principal: principal.as_deref(),
        method: head.method.as_str(),
        path: &head.target,
        request_headers: &head.headers,
        request_body: &outcome.received,
        status: outcome.reply.as_ref().map(|reply| reply.status.as_u16()),
        headers: outcome.reply.as_ref().map_or(&none, |reply| &reply.headers),
        body,
    });
    if let Err(error) = written {
        tracing::error!(%error, "the sandbox's journal could not be written");
    }
}
