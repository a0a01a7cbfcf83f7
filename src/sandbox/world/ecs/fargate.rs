//! What Fargate asks of a task definition: sizes, network mode, execution role.

use super::request::{client, list, text};
use crate::sandbox::world::error::ApiError;
use serde_json::Value;

/// Checks the rules of Fargate; images at the host `registry` are ECR's.
///
/// # Errors
/// `ClientException` with ECS's words.
pub fn check(input: &Value, registry: &str) -> Result<(), ApiError> {
    if input["networkMode"] != "awsvpc" {
        return Err(client("Fargate only supports network mode 'awsvpc'."));
    }
    if input.get("cpu").is_none_or(Value::is_null) {
        return Err(client(
            "Fargate requires that 'cpu' be defined at the task level.",
        ));
    }
    if input.get("memory").is_none_or(Value::is_null) {
        return Err(client(
            "Fargate requires that 'memory' be defined at the task level.",
        ));
    }
    let cpu = cpu(input).ok_or_else(|| client("Invalid 'cpu' setting for task."))?;
    let memory = memory(input).ok_or_else(|| client("Invalid 'memory' setting for task."))?;
    if !has_size(cpu, memory) {
        return Err(client(format!(
            "No Fargate configuration exists for given values: {cpu} CPU, {memory} memory. See the Amazon ECS \
             documentation for the valid values."
        )));
    }
    if !list(input, "placementConstraints").is_empty() {
        return Err(client("Fargate does not support task placement constraints."));
    }
    if let Some(size) = input["ephemeralStorage"]["sizeInGiB"].as_u64()
        && !(21..=200).contains(&size)
    {
        return Err(client(
            "Invalid 'ephemeralStorage' setting for task. It must be between 21 and 200 GiB.",
        ));
    }
    check_role(input, registry)
}

fn check_role(input: &Value, registry: &str) -> Result<(), ApiError> {
    if text(input, "executionRoleArn").is_some() {
        return Ok(());
    }
    for container in list(input, "containerDefinitions") {
        if is_ecr(container["image"].as_str().unwrap_or_default(), registry) {
            return Err(client(
                "Fargate requires task definition to have execution role ARN to support ECR images.",
            ));
        }
        if container["logConfiguration"]["logDriver"] == "awslogs" {
            return Err(client(
                "Fargate requires task definition to have execution role ARN to support log driver awslogs.",
            ));
        }
    }
    Ok(())
}

/// Whether an image is in ECR: `123456789012.dkr.ecr.REGION.amazonaws.com/...`, or the sandbox's own registry.
fn is_ecr(image: &str, registry: &str) -> bool {
    image.split_once('/').is_some_and(|(host, _)| {
        host == registry || host.contains(".dkr.ecr.") && host.contains(".amazonaws.com")
    })
}

/// The task's CPU units: `256`, `0.25 vCPU`.
#[must_use]
pub fn cpu(input: &Value) -> Option<u64> {
    size(input.get("cpu")?.as_str()?, "vcpu")
}

/// The task's memory in MiB: `512`, `1 GB`.
#[must_use]
pub fn memory(input: &Value) -> Option<u64> {
    size(input.get("memory")?.as_str()?, "gb")
}

/// A whole number, or a number of `unit`s of 1024.
fn size(text: &str, unit: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    match text.strip_suffix(unit) {
        None => text.parse().ok(),
        Some(number) => {
            let number: f64 = number.trim().parse().ok()?;
            let units = (number * 1024.0).round();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the guard keeps it within u32"
            )]
            (units >= 0.0 && units <= f64::from(u32::MAX)).then_some(units as u64)
        }
    }
}

/// Whether Fargate has tasks of this size (RegisterTaskDefinition, `cpu`).
#[must_use]
pub fn has_size(cpu: u64, memory: u64) -> bool {
    const GIB: u64 = 1024;
    let steps = |least: u64, most: u64, step: u64| {
        (least * GIB..=most * GIB).contains(&memory) && (memory - least * GIB).is_multiple_of(step * GIB)
    };
    match cpu {
        256 => memory == 512 || steps(1, 2, 1),
        512 => steps(1, 4, 1),
        1024 => steps(2, 8, 1),
        2048 => steps(4, 16, 1),
        4096 => steps(8, 30, 1),
        8192 => steps(16, 60, 4),
        16384 => steps(32, 120, 8),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{check, cpu, has_size, memory};
    use serde_json::{Value, json};

    #[test]
    fn fargate_has_74_sizes() {
        let count = [128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768]
            .into_iter()
            .map(|cpu| {
                (1..=122_880)
                    .step_by(1)
                    .filter(|memory| has_size(cpu, *memory))
                    .count()
            })
            .sum::<usize>();
        assert_eq!(count, 74);
        assert!(!has_size(4096, 4096));
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        let given = json!({ "cpu": "1 vCPU", "memory": "0.5GB" });
        assert_eq!((cpu(&given), memory(&given)), (Some(1024), Some(512)));
        let plain = json!({ "cpu": "256", "memory": "x" });
        assert_eq!((cpu(&plain), memory(&plain)), (Some(256), None));
    }

    #[test]
    fn fargate_refuses_in_its_own_words() {
        let good = json!({
            "networkMode": "awsvpc", "cpu": "256", "memory": "512", "executionRoleArn": "arn:aws:iam::000000000000:role/x",
            "containerDefinitions": [{ "name": "web", "image": "000000000000.dkr.ecr.eu-west-1.amazonaws.com/web:1" }],
        });
        assert!(check(&good, "127.0.0.1:4566").is_ok());
        for (key, value, says) in [
            (
                "networkMode",
                json!("bridge"),
                "Fargate only supports network mode 'awsvpc'.",
            ),
            (
                "cpu",
                Value::Null,
                "Fargate requires that 'cpu' be defined at the task level.",
            ),
            (
                "memory",
                Value::Null,
                "Fargate requires that 'memory' be defined at the task level.",
            ),
            (
                "memory",
                json!("4096"),
                "No Fargate configuration exists for given values: 256 CPU, 4096 memory",
            ),
            ("cpu", json!("a"), "Invalid 'cpu' setting for task."),
            (
                "placementConstraints",
                json!([{}]),
                "Fargate does not support task placement constraints.",
            ),
            (
                "ephemeralStorage",
                json!({ "sizeInGiB": 20 }),
                "Invalid 'ephemeralStorage' setting for task.",
            ),
            (
                "executionRoleArn",
                Value::Null,
                "Fargate requires task definition to have execution role ARN to support ECR images.",
            ),
        ] {
            let mut bad = good.clone();
            bad[key] = value;
            let message = check(&bad, "127.0.0.1:4566").unwrap_err().message;
            assert!(message.starts_with(says), "{key}: {message}");
        }
    }
}
