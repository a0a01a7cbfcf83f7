//! smithy-rpc-v2-cbor: another encoding of what awsJson says. An input becomes the JSON of the same operation, an answer
//! is made from it.
//!
//! Specification: <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>.

use super::exchange::{Content, Reply};
use super::service::Service;
use crate::sandbox::world::error::ApiError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ciborium::Value as Cbor;
use serde_json::{Map, Number, Value};

/// The protocol's name, as the `smithy-protocol` header has it.
pub const PROTOCOL: &str = "rpc-v2-cbor";
/// The type of every body.
pub const CONTENT_TYPE: &str = "application/cbor";
/// Seconds since the epoch.
const EPOCH: u64 = 1;

/// The input that a body is, as JSON; no body is an empty input.
///
/// # Errors
/// `SerializationException` for what is no CBOR, or no input.
pub fn decode(body: &[u8]) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let mut rest = body;
    let read: Cbor =
        ciborium::from_reader(&mut rest).map_err(|_| malformed("the request's body is no CBOR"))?;
    if !rest.is_empty() {
        return Err(malformed("the request's body goes on after its end"));
    }
    match to_json(read)? {
        object @ Value::Object(_) => Ok(object),
        _ => Err(malformed("Start of structure or map found where not expected.")),
    }
}

fn to_json(cbor: Cbor) -> Result<Value, ApiError> {
    Ok(match cbor {
        Cbor::Null => Value::Null,
        Cbor::Bool(flag) => Value::Bool(flag),
        Cbor::Text(text) => Value::String(text),
        Cbor::Bytes(bytes) => Value::String(STANDARD.encode(bytes)),
        Cbor::Integer(number) => {
            let number = i128::from(number);
            let fits = i64::try_from(number).map(Number::from);
            let fits = fits.or_else(|_| u64::try_from(number).map(Number::from));
            Value::Number(fits.map_err(|_| malformed("a number is too large"))?)
        }
        Cbor::Float(number) => Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| malformed("a number is not finite"))?,
        Cbor::Tag(EPOCH, inner) if matches!(*inner, Cbor::Integer(_) | Cbor::Float(_)) => to_json(*inner)?,
        Cbor::Array(items) => Value::Array(items.into_iter().map(to_json).collect::<Result<_, _>>()?),
        Cbor::Map(entries) => {
            let mut members = Map::new();
            for (name, value) in entries {
                let Cbor::Text(name) = name else {
                    return Err(malformed("the name of a member is no text"));
                };
                if members.insert(name, to_json(value)?).is_some() {
                    return Err(malformed("a member is there twice"));
                }
            }
            Value::Object(members)
        }
        _ => return Err(malformed("a value of a type that no input has")),
    })
}

/// The same answer in CBOR. What is no JSON stays as it is, as of a proxy in between.
pub fn encode(mut reply: Reply, service: Service) -> Reply {
    let Content::Bytes(body) = &reply.content else {
        return reply;
    };
    let Some(Value::Object(mut answer)) = is_json(&reply).then(|| read_json(body)).flatten() else {
        return reply;
    };
    if let Some(Value::String(code)) = answer.get_mut("__type") {
        *code = format!("{}#{code}", service.namespace());
    }
    let mut written = Vec::new();
    let cbor = from_json(Value::Object(answer), "", service.timestamps());
    if ciborium::into_writer(&cbor, &mut written).is_err() {
        return reply;
    }
    reply.content = Content::Bytes(written.into());
    reply
        .with("content-type", CONTENT_TYPE)
        .with("smithy-protocol", PROTOCOL)
}

fn is_json(reply: &Reply) -> bool {
    let kind = reply
        .headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/x-amz-json-"))
}

fn read_json(body: &Bytes) -> Option<Value> {
    serde_json::from_slice(body).ok()
}

/// A value of a member of this name. A number is an instant where members of that name are: what a user names freely is
/// the key of a map of texts.
fn from_json(json: Value, name: &str, timestamps: &[&str]) -> Cbor {
    match json {
        Value::Null => Cbor::Null,
        Value::Bool(flag) => Cbor::Bool(flag),
        Value::String(text) => Cbor::Text(text),
        Value::Number(number) if timestamps.contains(&name) => {
            Cbor::Tag(EPOCH, Box::new(Cbor::Float(number.as_f64().unwrap_or_default())))
        }
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Cbor::Integer(number.into()),
            (None, Some(number)) => Cbor::Integer(number.into()),
            (None, None) => Cbor::Float(number.as_f64().unwrap_or_default()),
        },
        Value::Array(items) => Cbor::Array(
            items
                .into_iter()
                .map(|item| from_json(item, name, timestamps))
                .collect(),
        ),
        Value::Object(members) => Cbor::Map(
            members
                .into_iter()
                .map(|(name, value)| {
                    let value = from_json(value, &name, timestamps);
                    (Cbor::Text(name), value)
                })
                .collect(),
        ),
    }
}

fn malformed(text: &str) -> ApiError {
    ApiError::new("SerializationException", text)
}

#[cfg(test)]
mod tests {
    use super::{Cbor, decode, encode};
    use crate::sandbox::wire::exchange::{Content, Reply};
    use crate::sandbox::wire::service::Service;
    use http::StatusCode;
    use serde_json::{Value, json};

    fn written(value: &Cbor) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(value, &mut bytes).unwrap();
        bytes
    }

    fn map(pairs: Vec<(&str, Cbor)>) -> Cbor {
        Cbor::Map(
            pairs
                .into_iter()
                .map(|(name, value)| (Cbor::Text(name.into()), value))
                .collect(),
        )
    }

    #[test]
    fn an_input_becomes_the_json_of_the_same_operation() {
        let instant = |inner| Cbor::Tag(1, Box::new(inner));
        let input = map(vec![
            ("text", Cbor::Text("a".into())),
            ("whole", Cbor::Integer(5.into())),
            ("large", Cbor::Integer(u64::MAX.into())),
            ("part", Cbor::Float(0.5)),
            ("at", instant(Cbor::Float(1.5))),
            ("then", instant(Cbor::Integer(2.into()))),
            ("blob", Cbor::Bytes(vec![1, 2])),
            ("list", Cbor::Array(vec![Cbor::Null, Cbor::Bool(true)])),
            ("inner", map(vec![])),
        ]);
        let expected = json!({
            "text": "a", "whole": 5, "large": u64::MAX, "part": 0.5, "at": 1.5, "then": 2, "blob": "AQI=",
            "list": [null, true], "inner": {},
        });
        assert_eq!(decode(&written(&input)), Ok(expected));
        assert_eq!(decode(b""), Ok(json!({})));
        // A map and a text of indefinite length: {_ "a": (_ "b", "c")}
        let streamed = [0xbf, 0x61, b'a', 0x7f, 0x61, b'b', 0x61, b'c', 0xff, 0xff];
        assert_eq!(decode(&streamed), Ok(json!({ "a": "bc" })));
    }

    #[test]
    fn what_is_no_input_is_refused() {
        let deep = [vec![0x81; 100_000], vec![0xf6]].concat();
        let twice = map(vec![("a", Cbor::Null), ("a", Cbor::Null)]);
        for (what, bytes) in [
            ("no CBOR", b"\xff".to_vec()),
            ("broken off", vec![0xa1, 0x61]),
            ("goes on", [written(&map(vec![])), vec![0xf6]].concat()),
            ("no structure", written(&Cbor::Array(vec![]))),
            (
                "a number as a name",
                written(&Cbor::Map(vec![(Cbor::Integer(1.into()), Cbor::Null)])),
            ),
            ("a name twice", written(&twice)),
            ("not finite", written(&map(vec![("a", Cbor::Float(f64::NAN))]))),
            (
                "another tag",
                written(&map(vec![("a", Cbor::Tag(9, Box::new(Cbor::Null)))])),
            ),
            (
                "an instant as text",
                written(&map(vec![("a", Cbor::Tag(1, Box::new(Cbor::Text("x".into()))))])),
            ),
            ("too deep", deep),
        ] {
            let refused = decode(&bytes).unwrap_err();
            assert_eq!(
                (refused.code.as_str(), refused.status),
                ("SerializationException", 400),
                "{what}"
            );
        }
    }

    fn sent(kind: &'static str, status: u16, body: &str) -> (Option<Cbor>, Reply) {
        let status = StatusCode::from_u16(status).unwrap();
        let reply = encode(Reply::text(status, kind, body.to_owned()), Service::CodePipeline);
        let Content::Bytes(bytes) = &reply.content else {
            panic!("a file");
        };
        (ciborium::from_reader(&bytes[..]).ok(), reply)
    }

    const JSON: &str = "application/x-amz-json-1.1";

    #[test]
    fn an_answer_has_its_instants_tagged_and_says_its_protocol() {
        let body = json!({ "pipelines": [{ "name": "p", "version": 1, "created": 1.5, "updated": 2 }],
                           "configuration": { "created": "1.5" } });
        let (cbor, reply) = sent(JSON, 200, &body.to_string());
        let instant = |at| Cbor::Tag(1, Box::new(Cbor::Float(at)));
        let mut pipeline = vec![
            ("name", Cbor::Text("p".into())),
            ("version", Cbor::Integer(1.into())),
            ("created", instant(1.5)),
            ("updated", instant(2.0)),
        ];
        pipeline.sort_by_key(|(name, _)| *name);
        let expected = map(vec![
            ("configuration", map(vec![("created", Cbor::Text("1.5".into()))])),
            ("pipelines", Cbor::Array(vec![map(pipeline)])),
        ]);
        assert_eq!(sorted(cbor.unwrap()), expected);
        assert_eq!(reply.headers["content-type"], "application/cbor");
        assert_eq!(reply.headers["smithy-protocol"], "rpc-v2-cbor");
    }

    fn sorted(cbor: Cbor) -> Cbor {
        match cbor {
            Cbor::Map(entries) => {
                let mut entries: Vec<_> = entries
                    .into_iter()
                    .map(|(name, value)| (name, sorted(value)))
                    .collect();
                entries.sort_by_key(|(name, _)| name.as_text().map(str::to_owned));
                Cbor::Map(entries)
            }
            Cbor::Array(items) => Cbor::Array(items.into_iter().map(sorted).collect()),
            other => other,
        }
    }

    #[test]
    fn an_error_is_named_by_its_shape_and_keeps_its_status() {
        let body = json!({ "__type": "JobNotFoundException", "message": "gone" }).to_string();
        let (cbor, reply) = sent(JSON, 400, &body);
        let text = |text: &str| Cbor::Text(text.into());
        let expected = map(vec![
            ("__type", text("com.amazonaws.codepipeline#JobNotFoundException")),
            ("message", text("gone")),
        ]);
        assert_eq!((sorted(cbor.unwrap()), reply.status.as_u16()), (expected, 400));
    }

    #[test]
    fn what_a_proxy_says_stays_as_it_is() {
        for (kind, body) in [("text/html", "<html/>"), (JSON, "no JSON")] {
            let (_, reply) = sent(kind, 502, body);
            let Content::Bytes(bytes) = reply.content else {
                panic!("a file");
            };
            assert_eq!(bytes, body);
            assert_eq!(reply.headers["content-type"], kind);
        }
    }

    #[test]
    fn both_ways_lead_back() {
        let answer: Value = json!({ "a": [1, "b", { "created": 1.5 }], "c": false });
        let (cbor, _) = sent(JSON, 200, &answer.to_string());
        assert_eq!(decode(&written(&cbor.unwrap())), Ok(answer));
    }
}
