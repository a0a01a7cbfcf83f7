//! Answers that are not as anybody knows them.

use crate::script::Harm;
use serde_json::{Value, json};

/// Changes every member of that name, at any depth.
pub fn mangle(value: &mut Value, harm: Harm) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| mangle(item, harm)),
        Value::Object(members) => {
            match harm {
                Harm::Word(name) => {
                    if let Some(word @ Value::String(_)) = members.get_mut(name) {
                        *word = json!("HALF_WAY");
                    }
                }
                Harm::Drop(name) => {
                    members.shift_remove(name);
                }
                Harm::Null(name) => {
                    if let Some(member) = members.get_mut(name) {
                        *member = Value::Null;
                    }
                }
                Harm::Stale(_)
                | Harm::Past(_)
                | Harm::Missing
                | Harm::Lost
                | Harm::Denied
                | Harm::NoCredentials
                | Harm::Unsupported => {
                    return;
                }
            }
            members.values_mut().for_each(|member| mangle(member, harm));
        }
        _ => {}
    }
}

/// Adds members that nobody knows to every object.
pub fn add_members(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(add_members),
        Value::Object(members) => {
            members.values_mut().for_each(add_members);
            members.insert(
                "statusOfTomorrow".to_owned(),
                json!({ "state": "COMPLETED", "count": 7 }),
            );
        }
        _ => {}
    }
}
