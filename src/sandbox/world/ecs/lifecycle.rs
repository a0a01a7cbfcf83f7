//! Deployments that keep two revisions side by side: their way through the stages, and where their traffic goes.

use super::Ecs;
use super::hooks::Hook;
use super::plan::{Group, Scale};
use super::request::{copy, text};
use super::revision::Status;
use super::rollouts::Downfall;
use super::service::{Deployment, Service};
use super::stages::{ALL_TRAFFIC, Advice, LifecycleStage, Sight};
use crate::sandbox::world::elb::Elb;
use serde_json::{Map, Value, json};
use std::time::Duration;

impl Service {
    /// How both revisions stand while a deployment with stages is under way; `None` for any other.
    pub fn scale(&mut self) -> Option<Scale> {
        let record = self
            .current()
            .filter(|record| matches!(record.status, Status::Pending | Status::InProgress))?;
        let stage = record.course.as_ref()?.stage;
        Some(match stage {
            LifecycleStage::ReconcileService | LifecycleStage::PreScaleUp => Scale::Before,
            LifecycleStage::CleanUp => Scale::Alone,
            _ => Scale::Both,
        })
    }

    /// The place among the deployments of the one that was complete last: it serves while another one comes.
    pub fn serving(&self) -> Option<usize> {
        let number = &self.last_completed.as_ref()?.number;
        self.deployments
            .iter()
            .position(|one| one.number == *number && !one.condemned)
    }

    /// Lets the revision that has all production traffic in a clean-up be the one that serves, as the tasks of the old
    /// one are gone or go: a newer deployment that supersedes this one begins from it, and goes back to it.
    pub fn serve_from_clean_up(&mut self) {
        let course = self.current().and_then(|record| record.course.as_ref());
        if course.is_none_or(|course| course.stage != LifecycleStage::CleanUp) {
            return;
        }
        let heir = self
            .deployments
            .iter_mut()
            .find(|one| one.production == ALL_TRAFFIC);
        if let Some(heir) = heir {
            heir.condemned = false;
            heir.proven = true;
            self.last_completed = Some(heir.clone());
        }
    }

    /// Gives all production traffic to the PRIMARY at once, and ends the test traffic.
    pub fn give_back_traffic(&mut self) {
        for (index, one) in self.deployments.iter_mut().enumerate() {
            one.production = if index == 0 { ALL_TRAFFIC } else { 0 };
            one.test = 0;
        }
    }
}

impl Ecs {
    /// Takes a deployment with stages as far as it can go now.
    pub(super) fn walk(
        &mut self,
        service: &mut Service,
        now: Duration,
        groups: &[Group],
        elb: &Elb,
    ) -> Option<Downfall> {
        let reconciled = service.deployments.len() <= 1 + usize::from(service.serving().is_some());
        let group = groups.first().copied().unwrap_or_default();
        let sight = Sight {
            reconciled,
            scaled_up: group.healthy >= service.desired && group.starting == 0,
        };
        let name = service.key.name.clone();
        if let Some(trouble) = Self::check_traffic(service, elb) {
            return Some(Downfall::Lifecycle(trouble));
        }
        loop {
            let record = service.current()?;
            let course = record.course.as_mut()?;
            if record.status != Status::InProgress {
                // A rollback in the clean-up had to start the old revision anew: traffic follows once it is there.
                if record.status == Status::RollbackInProgress && group.healthy >= service.desired {
                    service.give_back_traffic();
                }
                return None;
            }
            for hook in &mut course.hooks {
                hook.settle(now);
            }
            match course.advise(now, sight, &record.configuration, &self.timings) {
                Advice::Stay(until) => {
                    if let Some(until) = until {
                        service.wake(until);
                    }
                    break;
                }
                Advice::Enter(stage, step) => {
                    let hands = (&mut self.ids, &mut self.hooks, &self.timings);
                    let hooks = Hook::invoke(now, &record.configuration, stage, &name, hands);
                    course.enter(now, stage, step, hooks);
                    record.updated = now;
                    weigh(service);
                }
                Advice::Fail(reason) => return Some(Downfall::Lifecycle(reason)),
            }
        }
        None
    }

    /// What is wrong with the listener rules of a deployment that has not started its new revision yet.
    fn check_traffic(service: &mut Service, elb: &Elb) -> Option<String> {
        let record = service.current()?;
        let stage = record.course.as_ref()?.stage;
        if record.status != Status::InProgress || stage > LifecycleStage::PreScaleUp {
            return None;
        }
        let trouble = service.balancers().iter().find_map(|balancer| {
            let settings = &balancer["advancedConfiguration"];
            let rules: Vec<&str> = ["productionListenerRule", "testListenerRule"]
                .iter()
                .filter_map(|key| text(settings, key))
                .collect();
            if rules.iter().any(|rule| elb.forward_of(rule).is_none()) {
                return Some(". One or more rules not found".to_owned());
            }
            let groups = [text(balancer, "targetGroupArn"), text(settings, "alternateTargetGroupArn")];
            let stray = groups.into_iter().flatten().find(|group| {
                let used = |rule: &&str| elb.forward_of(rule).is_some_and(|all| all.iter().any(|one| one.0 == *group));
                !rules.iter().any(used)
            });
            stray.map(|group| {
                format!(
                    ": Target group {group} is not associated with either productionListenerRule or testListenerRule."
                )
            })
        });
        trouble.map(|what| {
            format!("Service deployment rolled back because of invalid networking configuration{what}")
        })
    }

    /// Lets the listener rules of a service say what its revisions are to have.
    pub(super) fn direct_traffic(service: &Service, elb: &mut Elb) {
        if service.configuration["strategy"] == "ROLLING" {
            return;
        }
        for balancer in service.balancers() {
            let settings = &balancer["advancedConfiguration"];
            let (Some(group), Some(alternate)) = (
                text(balancer, "targetGroupArn"),
                text(settings, "alternateTargetGroupArn"),
            ) else {
                continue;
            };
            for (rule, of) in [
                (
                    "productionListenerRule",
                    (|one| one.production) as fn(&Deployment) -> u32,
                ),
                ("testListenerRule", |one| one.test),
            ] {
                let share = |alternate: bool| -> u32 {
                    let those = service
                        .deployments
                        .iter()
                        .filter(|one| one.alternate == alternate);
                    those.map(of).sum()
                };
                let (main, other) = (share(false), share(true));
                if let Some(rule) = text(settings, rule)
                    && main + other > 0
                {
                    elb.weigh(rule, &[(group, main), (alternate, other)]);
                }
            }
        }
    }
}

/// Sets what each deployment has of the traffic, as the stage says.
fn weigh(service: &mut Service) {
    let Some(course) = service.current().and_then(|record| record.course.as_ref()) else {
        return;
    };
    let (production, test) = (course.production(), course.test());
    let serving = service.serving();
    for (index, one) in service.deployments.iter_mut().enumerate() {
        (one.production, one.test) = if index == 0 {
            (production, test)
        } else if Some(index) == serving {
            (ALL_TRAFFIC - production, 0)
        } else {
            (0, 0)
        };
    }
}

/// A deployment's load balancers: the target groups that its tasks register with.
pub fn balancers_of(service: &Service, deployment: &Deployment) -> Vec<Value> {
    let mut balancers = service.balancers().to_vec();
    for balancer in &mut balancers {
        let alternate = &balancer["advancedConfiguration"]["alternateTargetGroupArn"];
        if deployment.alternate && !alternate.is_null() {
            balancer["targetGroupArn"] = alternate.clone();
        }
    }
    balancers
}

/// Whether the next deployment's tasks go to the alternate target groups: to those that the serving one does not use.
pub fn takes_alternate(service: &Service, side_by_side: bool) -> bool {
    let serving = service.serving().and_then(|index| service.deployments.get(index));
    let used = serving.map(|one| one.alternate);
    match used {
        Some(used) => used != side_by_side,
        None => false,
    }
}

/// What ServiceRevision.resolvedConfiguration says: which target groups and rules the revision really has.
pub fn resolved(balancers: &Value, alternate: bool) -> Option<Value> {
    let resolved: Vec<Value> = balancers
        .as_array()?
        .iter()
        .filter(|balancer| !balancer["advancedConfiguration"].is_null())
        .map(|balancer| {
            let settings = &balancer["advancedConfiguration"];
            let group = if alternate {
                &settings["alternateTargetGroupArn"]
            } else {
                &balancer["targetGroupArn"]
            };
            let mut shape = Map::new();
            shape.insert("targetGroupArn".into(), group.clone());
            copy(settings, &["productionListenerRule"], &mut shape);
            Value::Object(shape)
        })
        .collect();
    (!resolved.is_empty()).then(|| json!({ "loadBalancers": resolved }))
}
