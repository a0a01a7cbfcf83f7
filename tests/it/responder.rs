//! A responder on loopback that answers AWS's JSON protocol with what a test says.

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use slipway::aws::{Aws, AwsSettings, StaticKeys};
use std::sync::{Arc, Mutex};

/// What a responder was asked: (operation, body, region that it is signed for), in order.
#[derive(Clone, Default)]
pub struct Asked(Arc<Mutex<Vec<(String, Bytes, String)>>>);

impl Asked {
    /// How often anything was asked for.
    pub fn all(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// How often an operation was asked for.
    pub fn times(&self, operation: &str) -> usize {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|(asked, ..)| asked == operation)
            .count()
    }

    /// The bodies of an operation's requests.
    pub fn bodies(&self, operation: &str) -> Vec<Bytes> {
        let asked = self.0.lock().unwrap();
        asked
            .iter()
            .filter(|(asked, ..)| asked == operation)
            .map(|(_, body, _)| body.clone())
            .collect()
    }

    /// The regions that an operation's requests were signed for.
    pub fn regions(&self, operation: &str) -> Vec<String> {
        let asked = self.0.lock().unwrap();
        let of_it = asked.iter().filter(|(asked, ..)| asked == operation);
        of_it.map(|(.., region)| region.clone()).collect()
    }
}

/// An answer: a status and a JSON body, or a cut connection.
pub enum Answer {
    /// A status and a JSON body.
    Json(u16, Value),
    /// A status and any body.
    Raw(u16, &'static [u8]),
    /// The connection ends in the middle of the answer.
    Cut,
    /// No answer ever comes.
    Hang,
}

/// A good answer.
pub fn ok(body: Value) -> Answer {
    Answer::Json(200, body)
}

/// An error of the client's kind.
pub fn error(code: &str, message: &str) -> Answer {
    Answer::Json(400, json!({"__type": code, "message": message}))
}

/// Clients of [`serve`].
pub async fn respond(
    answer: impl Fn(&str, &Value, &Asked) -> Answer + Clone + Send + Sync + 'static,
) -> (Aws, Asked) {
    let (endpoint, asked) = serve(answer).await;
    let keys = StaticKeys {
        access_key_id: "AKIDEXAMPLE".to_owned().into(),
        secret_access_key: "secret".to_owned().into(),
        session_token: None,
    };
    let settings = AwsSettings {
        region: Some("eu-west-1".to_owned()),
        endpoint: Some(endpoint),
        credentials: Some(keys),
    };
    (Aws::connect(settings).await.unwrap(), asked)
}

/// Serves `answer(operation, input, asked before)` on loopback for as long as the test's runtime lives, and says where.
pub async fn serve(
    answer: impl Fn(&str, &Value, &Asked) -> Answer + Clone + Send + Sync + 'static,
) -> (String, Asked) {
    let asked = Asked::default();
    let journal = asked.clone();
    let handler = move |headers: HeaderMap, body: Bytes| {
        let target = headers
            .get("x-amz-target")
            .and_then(|target| target.to_str().ok())
            .unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let input = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let answer = answer(&operation, &input, &journal);
        // `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, ...`
        let signed = headers.get("authorization").and_then(|value| value.to_str().ok());
        let region = signed
            .and_then(|signed| signed.split('/').nth(2))
            .unwrap_or_default();
        journal
            .0
            .lock()
            .unwrap()
            .push((operation, body, region.to_owned()));
        async move { reply(answer).await }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(handler)).await });
    (endpoint, asked)
}

async fn reply(answer: Answer) -> Response {
    match answer {
        Answer::Hang => std::future::pending().await,
        Answer::Json(status, body) => {
            let status = StatusCode::from_u16(status).unwrap();
            (
                status,
                [("content-type", "application/x-amz-json-1.1")],
                body.to_string(),
            )
                .into_response()
        }
        Answer::Raw(status, body) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Answer::Cut => {
            let cut = tokio_stream::once(Err::<Bytes, _>(std::io::Error::other("cut")));
            ([("content-length", "100")], axum::body::Body::from_stream(cut)).into_response()
        }
    }
}
