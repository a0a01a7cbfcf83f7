//! What is left out of a capture: values of environments, credentials, and events from before the update.

use super::Line;
use crate::secret::Secret;
use crate::secret::redact::{REMOVED, mask};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Parts of members' names whose texts are secret, whatever they look like.
const SECRET_MEMBERS: [&str; 7] = [
    "password",
    "passwd",
    "token",
    "secretaccesskey",
    "authorization",
    "apikey",
    "credential",
];

/// Leaves out what no capture may hold.
#[derive(Debug, Clone, Default)]
pub struct Scrub {
    /// Values that no text may show, the longest first.
    pub secrets: Vec<Secret<String>>,
    /// The ids of events from before the updates: nothing rests on them, and there may be a hundred in every look.
    pub old_events: BTreeSet<String>,
}

impl Scrub {
    /// The line as it is written, without its end.
    #[must_use]
    pub fn line(&self, line: &Line) -> String {
        // Our own types are plain data, which always becomes JSON.
        let mut value = serde_json::to_value(line).unwrap_or_default();
        if let Value::Object(line) = &mut value {
            for content in line.values_mut() {
                self.without_old_events(content);
                self.value(content);
            }
        }
        value.to_string()
    }

    fn without_old_events(&self, content: &mut Value) {
        let answers = content.get_mut("answers").and_then(Value::as_array_mut);
        for answer in answers.into_iter().flatten() {
            let services = answer
                .get_mut("said")
                .and_then(|said| said.get_mut("services"))
                .and_then(Value::as_array_mut);
            for service in services.into_iter().flatten() {
                if let Some(events) = service.get_mut("events").and_then(Value::as_array_mut) {
                    let is_old = |event: &Value| {
                        event["id"]
                            .as_str()
                            .is_some_and(|id| self.old_events.contains(id))
                    };
                    events.retain(|event| !is_old(event));
                }
            }
        }
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = mask(text, &self.secrets),
            Value::Array(list) => list.iter_mut().for_each(|each| self.value(each)),
            Value::Object(object) => self.object(object),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn object(&self, object: &mut Map<String, Value>) {
        for (name, value) in object {
            let plain = plain(name);
            if plain == "environmentfiles" {
                // Places in S3, no values.
                remove_texts(value, &|name, text| name == "type" || text.starts_with("arn:"));
            } else if plain.contains("environment") || plain == "env" {
                remove_texts(value, &|name, _| name == "name");
            } else if SECRET_MEMBERS.iter().any(|part| plain.contains(part)) {
                remove_texts(value, &|_, text| text.starts_with("arn:"));
            } else {
                self.value(value);
            }
        }
    }
}

/// `secretAccessKey` and `secret-access-key` are one name.
fn plain(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

/// Removes every text and number below a value, but for those that may stay, by the name of the member and the text.
fn remove_texts(value: &mut Value, stays: &dyn Fn(&str, &str) -> bool) {
    fn below(name: &str, value: &mut Value, stays: &dyn Fn(&str, &str) -> bool) {
        match value {
            Value::String(text) if stays(name, text) => {}
            Value::String(_) | Value::Number(_) => *value = Value::String(REMOVED.to_owned()),
            Value::Array(list) => list.iter_mut().for_each(|each| below(name, each, stays)),
            Value::Object(object) => {
                for (name, value) in object {
                    below(name, value, stays);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
    below("", value, stays);
}

#[cfg(test)]
mod tests {
    use super::Scrub;
    use crate::ecs::capture::Line;
    use crate::secret::Secret;
    use serde_json::{Value, json};

    fn scrubbed(content: Value) -> Value {
        let scrub = Scrub {
            secrets: vec![Secret::new("canary-in-a-text".to_owned())],
            old_events: ["old".to_owned()].into(),
        };
        let line = scrub.line(&Line::Expect(content));
        serde_json::from_str::<Value>(&line).unwrap()["expect"].take()
    }

    #[test]
    fn values_of_environments_are_left_out_and_their_names_stay() {
        for (whole, left) in [
            (
                json!({ "environment": [{ "name": "A", "value": "canary" }, { "name": "B", "value": "" }] }),
                json!({ "environment": [{ "name": "A", "value": "[removed]" }, { "name": "B", "value": "[removed]" }] }),
            ),
            (
                json!({ "overrides": { "containerOverrides": [
                    { "name": "web", "environment": [{ "name": "A", "value": "arn:canary" }], "cpu": 1 }] } }),
                json!({ "overrides": { "containerOverrides": [
                    { "name": "web", "environment": [{ "name": "A", "value": "[removed]" }], "cpu": 1 }] } }),
            ),
            (
                json!({ "environmentVariablesOfTheFuture": { "A": "canary", "B": 5, "C": true } }),
                json!({ "environmentVariablesOfTheFuture": { "A": "[removed]", "B": "[removed]", "C": true } }),
            ),
            (
                json!({ "environmentFiles": [{ "type": "s3", "value": "arn:aws:s3:::b/x.env" }] }),
                json!({ "environmentFiles": [{ "type": "s3", "value": "arn:aws:s3:::b/x.env" }] }),
            ),
        ] {
            assert_eq!(scrubbed(whole), left);
        }
    }

    #[test]
    fn credentials_are_left_out_and_the_places_of_secrets_stay() {
        let whole = json!({
            "secrets": [{ "name": "DB", "valueFrom": "arn:aws:secretsmanager:r:0:secret:db" }],
            "repositoryCredentials": { "credentialsParameter": "arn:aws:secretsmanager:r:0:secret:hub" },
            "options": { "splunk-token": "canary", "awslogs-group": "/ecs/shop" },
            "lines": ["GET https://me:canary@host/", "said canary-in-a-text!", "plain"],
            "unknownMember": { "kept": [1.5, null, true] },
        });
        let left = json!({
            "secrets": [{ "name": "DB", "valueFrom": "arn:aws:secretsmanager:r:0:secret:db" }],
            "repositoryCredentials": { "credentialsParameter": "arn:aws:secretsmanager:r:0:secret:hub" },
            "options": { "splunk-token": "[removed]", "awslogs-group": "/ecs/shop" },
            "lines": ["GET https://[secret]@host/", "said [secret]!", "plain"],
            "unknownMember": { "kept": [1.5, null, true] },
        });
        assert_eq!(scrubbed(whole), left);
    }

    #[test]
    fn events_from_before_the_update_are_left_out() {
        let answer =
            |events: Value| json!({ "answers": [{ "said": { "services": [{ "events": events }] } }] });
        let both = answer(json!([{ "id": "new" }, { "id": "old" }]));
        assert_eq!(scrubbed(both), answer(json!([{ "id": "new" }])));
    }
}
