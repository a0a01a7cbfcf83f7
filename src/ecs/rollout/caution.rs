//! The most careful reading of how a service is deployed: what one look said stays true for the watch, so that an answer
//! that leaves it out never makes a rollout look simpler than it is.

use crate::ecs::observation::{Attachment, BreakerSetting, Configuration, Service, Strategy};
use std::borrow::Cow;

/// What earlier looks said of the service's deployment configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caution {
    strategy: Option<Strategy>,
    /// A breaker that is on; one that is not seen may be there.
    breaker: Option<BreakerSetting>,
    load_balancers: Vec<Attachment>,
    configuration: Configuration,
}

impl Caution {
    /// The service with whatever holds its deployments up that this look or an earlier one said. Somebody may have
    /// changed it meanwhile; then ECS's own word that the deployment is complete is waited for, and nothing else is lost.
    pub(super) fn heed<'a>(&mut self, service: &'a Service) -> Cow<'a, Service> {
        if service.strategy != Strategy::Rolling {
            self.strategy = Some(service.strategy.clone());
        }
        if service.breaker != BreakerSetting::Off {
            self.breaker = Some(service.breaker);
        }
        // An answer without the list is one without the member; a service that left its load balancers has an empty one.
        let unlisted = service.load_balancers.is_empty() && service.unseen_health;
        if !unlisted {
            self.load_balancers.clone_from(&service.load_balancers);
        }
        let (known, said) = (&mut self.configuration, &service.configuration);
        if said.alarms.enabled {
            known.alarms = said.alarms.clone();
        }
        if said.early_success.is_some() {
            known.early_success = said.early_success;
        }
        if said.bake.is_some() {
            known.bake = said.bake;
        }
        if !said.hooks.is_empty() {
            known.hooks.clone_from(&said.hooks);
        }
        let forgets = (self.strategy.is_some() && service.strategy == Strategy::Rolling)
            || (self.breaker.is_some() && service.breaker == BreakerSetting::Off)
            || (unlisted && !self.load_balancers.is_empty())
            || (known.alarms.enabled && !said.alarms.enabled)
            || (known.early_success.is_some() && said.early_success.is_none())
            || (known.bake.is_some() && said.bake.is_none())
            || (!known.hooks.is_empty() && said.hooks.is_empty());
        if !forgets {
            return Cow::Borrowed(service);
        }
        let mut careful = service.clone();
        if let (Some(strategy), Strategy::Rolling) = (&self.strategy, &service.strategy) {
            careful.strategy = strategy.clone();
        }
        if let (Some(breaker), BreakerSetting::Off) = (self.breaker, service.breaker) {
            careful.breaker = breaker;
        }
        if unlisted {
            careful.load_balancers.clone_from(&self.load_balancers);
        }
        careful.configuration = Configuration {
            alarms: known.alarms.clone(),
            early_success: known.early_success,
            bake: known.bake,
            hooks: known.hooks.clone(),
            ..said.clone()
        };
        Cow::Owned(careful)
    }
}
