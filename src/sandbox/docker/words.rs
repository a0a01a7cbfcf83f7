//! The words in which the ECS agent says why a task did not start.

use bollard::errors::Error;

/// What the Engine itself said, without the client's words around it.
pub fn engine_says(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::DockerStreamError { error } => error.trim().to_owned(),
        other => {
            let mut text = other.to_string();
            let mut source = std::error::Error::source(other);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            text
        }
    }
}

/// An image could not be pulled.
pub fn cannot_pull(image: &str, said: &str, platform: &str) -> String {
    let lower = said.to_lowercase();
    if lower.contains("no matching manifest") || lower.contains("no match for platform") {
        return format!(
            "CannotPullContainerError: image Manifest does not contain descriptor matching platform '{platform}'"
        );
    }
    if lower.contains("not found") || lower.contains("manifest unknown") {
        return format!(
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: {said}"
        );
    }
    format!("CannotPullContainerError: Error response from daemon: {said}")
}

/// A container could not be created.
pub fn cannot_create(said: &str) -> String {
    format!("CannotCreateContainerError: Error response from daemon: {said}")
}

/// A container could not be started.
pub fn cannot_start(said: &str) -> String {
    format!("CannotStartContainerError: Error response from daemon: {said}")
}

/// The network of a task could not be made.
pub fn no_network(said: &str) -> String {
    format!("ResourceInitializationError: failed to setup network namespace: {said}")
}

/// A volume of a task could not be made.
pub fn no_volume(volume: &str, said: &str) -> String {
    format!("ResourceInitializationError: failed to create volume {volume}: {said}")
}

/// A secret cannot be read: the sandbox has neither Secrets Manager nor Parameter Store.
pub fn no_secret(name: &str, value_from: &str) -> String {
    let (store, service) = if value_from.contains(":secretsmanager:") {
        ("asm", "Secrets Manager")
    } else {
        ("ssm", "Parameter Store")
    };
    format!(
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: \
         unable to retrieve secret from {store}: the sandbox has no {service} to read {name} from"
    )
}

/// Something of the task definition that real containers cannot have here.
pub fn not_in_the_sandbox(what: &str) -> String {
    format!("ResourceInitializationError: the sandbox does not have {what}")
}

/// A dependency that will not be met.
pub fn dependency_lost(container: &str, on: &str, condition: &str, why: &str) -> String {
    format!(
        "TaskDependencyError: container {container} cannot start: container {on} {why} before it was {condition}"
    )
}

#[cfg(test)]
mod tests {
    use super::{cannot_pull, no_secret};

    #[test]
    fn pull_failures_are_told_apart() {
        let image = "127.0.0.1:4566/web:1";
        for (said, words) in [
            (
                "manifest for 127.0.0.1:4566/web:1 not found: manifest unknown",
                "pull image manifest has been retried 1 time(s): failed to resolve ref 127.0.0.1:4566/web:1: \
                 manifest for 127.0.0.1:4566/web:1 not found: manifest unknown",
            ),
            (
                "no matching manifest for linux/arm64 in the manifest list entries",
                "image Manifest does not contain descriptor matching platform 'linux/amd64'",
            ),
            (
                "unauthorized: authentication required",
                "Error response from daemon: unauthorized: authentication required",
            ),
        ] {
            assert_eq!(
                cannot_pull(image, said, "linux/amd64"),
                format!("CannotPullContainerError: {words}")
            );
        }
    }

    #[test]
    fn a_secret_names_the_store_that_is_missing() {
        let arn = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:db";
        assert!(
            no_secret("DB", arn).ends_with("from asm: the sandbox has no Secrets Manager to read DB from")
        );
        assert!(
            no_secret("DB", "/db").ends_with("from ssm: the sandbox has no Parameter Store to read DB from")
        );
    }
}
