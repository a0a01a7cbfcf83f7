//! The most careful reading of how a service is deployed: what one look said stays true for the watch, so that an answer
//! that leaves it out never makes a rollout look simpler than it is.

use crate::ecs::observation::{
    AlarmSettings, Attachment, BreakerSetting, Configuration, EarlySuccess, HookSettings, Service, Strategy,
};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

/// A hook of which only that it is there is known.
const SOME_HOOK: HookSettings = HookSettings {
    pauses: false,
    stages: Vec::new(),
    timeout: Duration::ZERO,
};

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

    /// What of it is kept for a later process: which hooks and alarms there are is asked of the service, and an answer
    /// that leaves its load balancers out says so.
    pub(super) fn kept(&self) -> Self {
        let known = &self.configuration;
        let hooks = if known.hooks.is_empty() {
            Vec::new()
        } else {
            vec![SOME_HOOK]
        };
        Self {
            strategy: self.strategy.clone().map(|strategy| match strategy {
                Strategy::Unrecognised(_) => Strategy::Unrecognised(String::new()),
                known => known,
            }),
            breaker: self.breaker,
            load_balancers: Vec::new(),
            configuration: Configuration {
                alarms: AlarmSettings {
                    names: Vec::new(),
                    ..known.alarms.clone()
                },
                early_success: known.early_success,
                bake: known.bake.map(|bake| Duration::from_secs(bake.as_secs())),
                hooks,
                ..Configuration::default()
            },
        }
    }

    /// Takes over what an earlier process knew and this one does not.
    pub(super) fn join(&mut self, earlier: &Self) {
        self.strategy = self.strategy.take().or_else(|| earlier.strategy.clone());
        self.breaker = self.breaker.or(earlier.breaker);
        let (known, before) = (&mut self.configuration, &earlier.configuration);
        if !known.alarms.enabled {
            known.alarms = before.alarms.clone();
        }
        known.early_success = known.early_success.or(before.early_success);
        known.bake = known.bake.or(before.bake);
        if known.hooks.is_empty() {
            known.hooks.clone_from(&before.hooks);
        }
    }

    /// Writes what it says as capital letters and numbers.
    pub(super) fn write(&self, text: &mut String) {
        match &self.strategy {
            Some(Strategy::BlueGreen) => text.push('B'),
            Some(Strategy::Linear) => text.push('L'),
            Some(Strategy::Canary) => text.push('C'),
            Some(Strategy::Unrecognised(_)) => text.push('U'),
            Some(Strategy::Rolling) | None => {}
        }
        match self.breaker {
            Some(BreakerSetting::On) => text.push_str("E1"),
            Some(BreakerSetting::RollsBack) => text.push_str("E2"),
            Some(BreakerSetting::Off) | None => {}
        }
        let known = &self.configuration;
        match (known.alarms.enabled, known.alarms.rolls_back) {
            (true, false) => text.push_str("M1"),
            (true, true) => text.push_str("M2"),
            (false, _) => {}
        }
        // Writing into a text does not fail.
        if let Some(early) = known.early_success {
            let _ = write!(
                text,
                "Y{}",
                2 * early.healthy_percent + u32::from(early.deferred_cleanup)
            );
        }
        if let Some(bake) = known.bake {
            let _ = write!(text, "K{}", bake.as_secs());
        }
        if !known.hooks.is_empty() {
            text.push('H');
        }
    }

    /// Reads one member that [`Self::write`] wrote; none if it did not.
    pub(super) fn read(&mut self, letter: char, value: &str) -> Option<()> {
        let known = &mut self.configuration;
        let strategy = match (letter, value) {
            ('B', "") => Strategy::BlueGreen,
            ('L', "") => Strategy::Linear,
            ('C', "") => Strategy::Canary,
            ('U', "") => Strategy::Unrecognised(String::new()),
            ('E', "1") => {
                self.breaker = Some(BreakerSetting::On);
                return Some(());
            }
            ('E', "2") => {
                self.breaker = Some(BreakerSetting::RollsBack);
                return Some(());
            }
            ('M', "1" | "2") => {
                known.alarms.enabled = true;
                known.alarms.rolls_back = value == "2";
                return Some(());
            }
            ('Y', _) => {
                let value: u32 = value.parse().ok()?;
                known.early_success = Some(EarlySuccess {
                    healthy_percent: value / 2,
                    deferred_cleanup: value % 2 == 1,
                });
                return Some(());
            }
            ('K', _) => {
                known.bake = Some(Duration::from_secs(value.parse().ok()?));
                return Some(());
            }
            ('H', "") => {
                known.hooks = vec![SOME_HOOK];
                return Some(());
            }
            _ => return None,
        };
        self.strategy = Some(strategy);
        Some(())
    }
}
