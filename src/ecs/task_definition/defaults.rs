//! What ECS fills in when it stores a task definition, so that a file is compared with what ECS would make of it.
//!
//! The defaults are those that RegisterTaskDefinition documents and DescribeTaskDefinition shows.

use serde_json::{Map, Value};

/// The document with ECS's defaults in the places that it leaves open.
pub(super) fn filled(document: &Map<String, Value>) -> Map<String, Value> {
    let mut document = document.clone();
    // awsvpc and host have no port translation; bridge gives an ephemeral port, which is stored as 0.
    let translated = !matches!(
        document.get("networkMode").and_then(Value::as_str),
        Some("awsvpc" | "host")
    );
    let containers = document
        .get_mut("containerDefinitions")
        .and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
        fill(container, "cpu", 0.into());
        fill(container, "essential", true.into());
        if let Some(check) = container.get_mut("healthCheck").and_then(Value::as_object_mut) {
            fill(check, "interval", 30.into());
            fill(check, "timeout", 5.into());
            fill(check, "retries", 3.into());
        }
        let mappings = container.get_mut("portMappings").and_then(Value::as_array_mut);
        for mapping in mappings.into_iter().flatten().filter_map(Value::as_object_mut) {
            fill(mapping, "protocol", "tcp".into());
            // A `containerPortRange` has no single host port.
            let Some(port) = mapping.get("containerPort").cloned() else {
                continue;
            };
            fill(mapping, "hostPort", if translated { 0.into() } else { port });
        }
    }
    document
}

fn fill(object: &mut Map<String, Value>, key: &str, default: Value) {
    object.entry(key).or_insert(default);
}

#[cfg(test)]
mod tests {
    use super::filled;
    use serde_json::{Value, json};

    fn stored(document: &Value) -> Value {
        Value::Object(filled(document.as_object().unwrap()))
    }

    #[test]
    fn open_places_get_the_defaults_of_ecs() {
        let written = json!({ "networkMode": "awsvpc", "containerDefinitions": [{ "name": "web",
            "healthCheck": { "command": ["CMD", "x"], "interval": 5 },
            "portMappings": [{ "containerPort": 8080 }] }] });
        let filled_in = json!({ "networkMode": "awsvpc", "containerDefinitions": [{ "name": "web", "cpu": 0,
            "essential": true,
            "healthCheck": { "command": ["CMD", "x"], "interval": 5, "timeout": 5, "retries": 3 },
            "portMappings": [{ "containerPort": 8080, "hostPort": 8080, "protocol": "tcp" }] }] });
        assert_eq!(stored(&written), filled_in);
        assert_eq!(stored(&filled_in), filled_in);
    }

    #[test]
    fn a_bridge_port_is_ephemeral_and_a_range_has_none() {
        let document = stored(
            &json!({ "containerDefinitions": [{ "cpu": 1, "essential": false, "portMappings": [
            { "containerPort": 80, "protocol": "udp" }, { "containerPortRange": "1-9", "protocol": "tcp" }] }] }),
        );
        assert_eq!(
            document,
            json!({ "containerDefinitions": [{ "cpu": 1, "essential": false, "portMappings": [
                { "containerPort": 80, "protocol": "udp", "hostPort": 0 },
                { "containerPortRange": "1-9", "protocol": "tcp" }] }] })
        );
    }
}
