//! Requests that are sent again: `clientToken` of RunTask and CreateService.

use super::Ecs;
use super::request::{client, invalid, text};
use super::service::ServiceKey;
use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::orders::TaskId;
use serde_json::Value;
use std::collections::BTreeMap;

/// The requests that came with a token, and what was made of them.
#[derive(Debug, Default)]
pub struct Tokens {
    tasks: BTreeMap<(String, String), (Value, Vec<TaskId>, Value)>,
    services: BTreeMap<ServiceKey, Value>,
}

impl Ecs {
    /// What RunTask answered to the same request before: its tasks and failures.
    ///
    /// # Errors
    /// `InvalidParameterException` for a token that can be none, `ConflictException` for one of another request.
    pub(super) fn ran_before(
        &self,
        cluster: &str,
        input: &Value,
    ) -> Result<Option<(Vec<TaskId>, Value)>, ApiError> {
        let Some(token) = text(input, "clientToken") else {
            return Ok(None);
        };
        check(token, 64)?;
        let Some((asked, tasks, failures)) = self.tokens.tasks.get(&(cluster.to_owned(), token.to_owned()))
        else {
            return Ok(None);
        };
        if asked != input {
            return Err(ApiError::new(
                "ConflictException",
                "The provided clientToken is already in use with a different RunTask request.",
            ));
        }
        Ok(Some((tasks.clone(), failures.clone())))
    }

    /// Keeps what RunTask made for a token.
    pub(super) fn remember_run(&mut self, cluster: &str, input: &Value, tasks: Vec<TaskId>, failures: Value) {
        if let Some(token) = text(input, "clientToken") {
            let key = (cluster.to_owned(), token.to_owned());
            self.tokens.tasks.insert(key, (input.clone(), tasks, failures));
        }
    }

    /// Whether CreateService is the very request that made the service.
    ///
    /// # Errors
    /// `InvalidParameterException` for a token that can be none.
    pub(super) fn created_before(&self, key: &ServiceKey, input: &Value) -> Result<bool, ApiError> {
        let Some(token) = text(input, "clientToken") else {
            return Ok(false);
        };
        check(token, 36)?;
        Ok(self.tokens.services.get(key) == Some(input))
    }

    /// Keeps the request that made a service.
    pub(super) fn remember_creation(&mut self, key: &ServiceKey, input: &Value) {
        self.tokens.services.insert(key.clone(), input.clone());
    }
}

fn check(token: &str, longest: usize) -> Result<(), ApiError> {
    if token.len() > longest {
        return Err(invalid(format!(
            "Client token must be no longer than {longest} characters."
        )));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(client("Client token has characters outside of 33 to 126."));
    }
    Ok(())
}
