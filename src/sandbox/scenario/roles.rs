//! What roles demand of whoever assumes them: the `[[role]]` tables of a scenario file.
//!
//! ```toml
//! [[role]]
//! arn = "arn:aws:iam::111111111111:role/deployer"
//! external-id = "our-secret"      # without it nobody may assume the role
//! account = "000000000000"        # whose callers may; another one denies everybody in the sandbox
//! max-session-seconds = 43200     # MaxSessionDuration
//! ```
//!
//! A role of which no table tells can be assumed by everybody, for an hour at most.

use crate::sandbox::ACCOUNT;
use crate::sandbox::world::sts::Role;
use serde::Deserialize;

/// One `[[role]]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Written {
    arn: String,
    external_id: Option<String>,
    account: Option<String>,
    max_session_seconds: Option<u32>,
}

impl From<Written> for Role {
    fn from(written: Written) -> Self {
        Self {
            arn: written.arn,
            external_id: written.external_id,
            account: written.account.unwrap_or_else(|| ACCOUNT.to_owned()),
            longest: written.max_session_seconds.unwrap_or(3600),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sandbox::scenario::Scenario;
    use crate::sandbox::world::sts::Role;

    #[test]
    fn a_scenario_says_what_roles_demand() {
        let text = "[[role]]\narn = \"arn:a\"\nexternal-id = \"id\"\n[[role]]\narn = \"arn:b\"\naccount = \"111111111111\"\n\
                    max-session-seconds = 7200";
        let role = |arn: &str, external_id: Option<&str>, account: &str, longest| Role {
            arn: arn.to_owned(),
            external_id: external_id.map(str::to_owned),
            account: account.to_owned(),
            longest,
        };
        assert_eq!(
            Scenario::parse(text).unwrap().roles,
            [
                role("arn:a", Some("id"), "000000000000", 3600),
                role("arn:b", None, "111111111111", 7200),
            ]
        );
        assert!(Scenario::parse("[[role]]\nexternal-id = \"id\"").is_err());
    }
}
