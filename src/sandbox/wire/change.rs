//! Answers that are changed on their way, as a scenario's faults say: words and members that no client knows.
//!
//! JSON and XML of the APIs are changed. What a registry or a bucket stores is not: its digest would tell.

use super::super::scenario::faults::{Change, Path};
use super::exchange::{Content, Reply};
use bytes::Bytes;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer};
use serde_json::{Map, Value, json};

/// What an unknown member is called.
const UNKNOWN: &str = "memberOfTomorrow";

/// Objects whose members are a user's own words, and not the API's.
const MAPS: &[&str] = &[
    "options",
    "driverOpts",
    "dockerLabels",
    "labels",
    "hookDetails",
    "configuration",
    "outputVariables",
];

/// The answer as it arrives.
pub fn change(mut reply: Reply, change: &Change) -> Reply {
    if *change == Change::CutBody {
        reply.cut = true;
        return reply;
    }
    if let Change::OtherBody(body) = change {
        reply.content = Content::Bytes(body.clone().into());
        return reply;
    }
    let kind = reply
        .headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok());
    let Content::Bytes(body) = &reply.content else {
        return reply;
    };
    let changed = match kind {
        Some("application/x-amz-json-1.0" | "application/x-amz-json-1.1") => change_json(body, change),
        Some("text/xml" | "application/xml") => change_xml(body, change),
        Some(_) | None => None,
    };
    if let Some(body) = changed {
        reply.content = Content::Bytes(body.into());
    }
    reply
}

fn change_json(body: &Bytes, change: &Change) -> Option<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(body).ok()?;
    change_value(&mut document, &mut Vec::new(), change);
    serde_json::to_vec(&document).ok()
}

fn change_value(value: &mut Value, path: &mut Vec<String>, change: &Change) {
    match value {
        Value::Array(items) => {
            for item in items {
                change_value(item, path, change);
            }
        }
        Value::Object(members) => change_object(members, path, change),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn change_object(members: &mut Map<String, Value>, path: &mut Vec<String>, change: &Change) {
    let names: Vec<String> = members.keys().cloned().collect();
    for name in names {
        path.push(name);
        let name = path.last().map(String::as_str).unwrap_or_default();
        match change {
            Change::DropMember(member) if member.ends(path) => {
                members.remove(name);
            }
            Change::UnknownWord { member, word } if member.ends(path) => {
                if let Some(text @ Value::String(_)) = members.get_mut(name) {
                    *text = json!(word);
                }
            }
            _ => {
                if let Some(value) = members.get_mut(name) {
                    change_value(value, path, change);
                }
            }
        }
        path.pop();
    }
    let is_map = path.last().is_some_and(|name| MAPS.contains(&name.as_str()));
    if *change == Change::ExtraMembers && !is_map {
        members.insert(
            UNKNOWN.into(),
            json!({ "list": [1, "two", null, true], "text": "three" }),
        );
        members.insert(format!("{UNKNOWN}2"), json!("four"));
    }
}

/// An XML document with its elements changed; a list's `member` is no step of a path.
fn change_xml(body: &Bytes, change: &Change) -> Option<Vec<u8>> {
    let mut reader = Reader::from_reader(body.as_ref());
    let mut writer = Writer::new(Vec::new());
    let mut path: Vec<String> = Vec::new();
    // The depth below which everything is left out.
    let mut dropped: Option<usize> = None;
    let mut closed = false;
    loop {
        let event = reader.read_event().ok()?;
        let mut put = |event: Event<'_>| writer.write_event(event).ok();
        match event {
            Event::Eof => break,
            Event::Start(start) => {
                path.push(start.local_name().as_ref().to_owned());
                closed = false;
                if dropped.is_none() && matches!(change, Change::DropMember(member) if ends(member, &path)) {
                    dropped = Some(path.len());
                }
                if dropped.is_none() {
                    put(Event::Start(start))?;
                }
            }
            Event::End(end) => {
                let was_dropped = dropped.is_some();
                if dropped == Some(path.len()) {
                    dropped = None;
                }
                path.pop();
                if !was_dropped {
                    if closed && *change == Change::ExtraMembers {
                        put(Event::Start(BytesStart::new(UNKNOWN)))?;
                        put(Event::Text(BytesText::new("word")))?;
                        put(Event::End(BytesEnd::new(UNKNOWN)))?;
                    }
                    put(Event::End(end))?;
                }
                closed = true;
            }
            Event::Text(text) if dropped.is_none() => match change {
                Change::UnknownWord { member, word } if ends(member, &path) => {
                    put(Event::Text(BytesText::new(word)))?;
                }
                _ => put(Event::Text(text))?,
            },
            other if dropped.is_none() => put(other)?,
            _ => {}
        }
    }
    Some(writer.into_inner())
}

fn ends(member: &Path, path: &[String]) -> bool {
    let steps: Vec<String> = path.iter().filter(|step| *step != "member").cloned().collect();
    path.last().is_some_and(|last| last != "member") && member.ends(&steps)
}

#[cfg(test)]
mod tests {
    use super::{Change, Path, Reply, change};
    use http::StatusCode;
    use serde_json::Value;

    fn changed(kind: &'static str, body: &str, how: &Change) -> String {
        let reply = change(Reply::text(StatusCode::OK, kind, body.to_owned()), how);
        let super::Content::Bytes(bytes) = reply.content else {
            panic!("a file");
        };
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    const JSON: &str = "application/x-amz-json-1.1";
    const SERVICES: &str = r#"{"services":[{"status":"ACTIVE","deployments":[{"status":"PRIMARY","failedTasks":0}],"options":{"a":"b"}}]}"#;

    fn drop(path: &str) -> Change {
        Change::DropMember(Path::parse(path).unwrap())
    }

    fn unknown(path: &str) -> Change {
        Change::UnknownWord {
            member: Path::parse(path).unwrap(),
            word: "SULKING".into(),
        }
    }

    #[test]
    fn members_are_dropped_and_words_replaced_where_the_path_ends_so() {
        for (how, expected) in [
            (
                drop("status"),
                r#"{"services":[{"deployments":[{"failedTasks":0}],"options":{"a":"b"}}]}"#,
            ),
            (
                drop("deployments.status"),
                r#"{"services":[{"deployments":[{"failedTasks":0}],"options":{"a":"b"},"status":"ACTIVE"}]}"#,
            ),
            (
                unknown("services.status"),
                r#"{"services":[{"deployments":[{"failedTasks":0,"status":"PRIMARY"}],"options":{"a":"b"},"status":"SULKING"}]}"#,
            ),
            (
                unknown("status"),
                r#"{"services":[{"deployments":[{"failedTasks":0,"status":"SULKING"}],"options":{"a":"b"},"status":"SULKING"}]}"#,
            ),
            // A number stays a number.
            (
                unknown("failedTasks"),
                r#"{"services":[{"deployments":[{"failedTasks":0,"status":"PRIMARY"}],"options":{"a":"b"},"status":"ACTIVE"}]}"#,
            ),
        ] {
            let body: Value = serde_json::from_str(&changed(JSON, SERVICES, &how)).unwrap();
            let expected: Value = serde_json::from_str(expected).unwrap();
            assert_eq!(body, expected, "{how:?}");
        }
    }

    #[test]
    fn every_object_has_more_members_but_not_a_users_own_map() {
        let body: Value = serde_json::from_str(&changed(JSON, SERVICES, &Change::ExtraMembers)).unwrap();
        assert!(body["memberOfTomorrow"].is_object());
        assert!(body["services"][0]["memberOfTomorrow"].is_object());
        assert_eq!(body["services"][0]["deployments"][0]["memberOfTomorrow2"], "four");
        assert_eq!(body["services"][0]["options"], serde_json::json!({ "a": "b" }));
    }

    #[test]
    fn xml_is_changed_by_its_elements() {
        let xml = "<R><Targets><member><State>healthy</State><Id>1</Id></member></Targets></R>";
        for (how, expected) in [
            (
                unknown("State"),
                "<R><Targets><member><State>SULKING</State><Id>1</Id></member></Targets></R>",
            ),
            (
                drop("Targets.State"),
                "<R><Targets><member><Id>1</Id></member></Targets></R>",
            ),
            (drop("Targets"), "<R></R>"),
            (
                Change::ExtraMembers,
                "<R><Targets><member><State>healthy</State><Id>1</Id><memberOfTomorrow>word</memberOfTomorrow></member>\
                 <memberOfTomorrow>word</memberOfTomorrow></Targets><memberOfTomorrow>word</memberOfTomorrow></R>",
            ),
        ] {
            assert_eq!(changed("text/xml", xml, &how), expected, "{how:?}");
        }
    }

    #[test]
    fn what_is_stored_is_left_as_it_is() {
        let manifest = "application/vnd.oci.image.manifest.v1+json";
        assert_eq!(changed(manifest, "{}", &Change::ExtraMembers), "{}");
        let reply = change(Reply::text(StatusCode::OK, JSON, "{}"), &Change::CutBody);
        assert!(reply.cut);
    }
}
