//! Where a worker is: what it finds of other regions and accounts is for others.

use crate::name::Arn;
use crate::pipeline::job::Context;
use std::sync::OnceLock;

/// A region, and an account that may not be known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) region: String,
    pub(super) account: Account,
}

/// Which account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Account {
    /// It is asked for only where it matters.
    Unknown,
    Is(String),
}

/// Where a worker is, as far as it knows.
#[derive(Debug)]
pub(super) struct Home {
    region: String,
    account: OnceLock<String>,
}

impl Home {
    pub(super) fn in_region(region: &str) -> Self {
        Self {
            region: region.to_owned(),
            account: OnceLock::new(),
        }
    }

    /// It is in this account.
    pub(super) fn is_in(&self, account: String) {
        // An account does not change.
        let _ = self.account.set(account);
    }

    /// Whoever is offered jobs of a pipeline is in its account: custom actions are not served across accounts.
    pub(super) fn learn<'a>(&self, offered: impl IntoIterator<Item = &'a Context>) {
        for context in offered {
            if let Ok(arn) = context.pipeline_arn.parse::<Arn>()
                && !arn.account().is_empty()
            {
                self.is_in(arn.account().to_owned());
            }
        }
    }

    pub(super) fn known(&self) -> Place {
        let account = self.account.get().cloned();
        Place {
            region: self.region.clone(),
            account: account.map_or(Account::Unknown, Account::Is),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Account, Home};
    use crate::pipeline::job::Context;

    #[test]
    fn the_account_is_that_of_the_first_job_that_names_one() {
        let home = Home::in_region("eu-west-1");
        assert_eq!(home.known().account, Account::Unknown);
        let of = |arn: &str| Context {
            pipeline_arn: arn.to_owned(),
            ..Context::default()
        };
        let without = of("");
        home.learn([&without]);
        assert_eq!(home.known().account, Account::Unknown);
        let named = of("arn:aws:codepipeline:eu-west-1:111122223333:shop");
        home.learn([&without, &named]);
        assert_eq!(home.known().account, Account::Is("111122223333".to_owned()));
    }
}
