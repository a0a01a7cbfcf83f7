//! What somebody else does: the `[[act]]` tables of a scenario file.
//!
//! ```toml
//! [[act]]
//! service = "shop"           # the service that it is about, and whose update starts the time
//! nth = 1                    # the nth UpdateService of a client
//! after-seconds = 30
//! act = "update"             # see [`Kind`]
//! task-definition = "shop:1"
//! ```
//!
//! Without `service`, and with `since = "start"`, the time is counted from the sandbox's start.

use crate::sandbox::world::acts::{Act, Deed, Since};
use serde::Deserialize;

/// One `[[act]]` table as it is written; every kind of act takes its own keys, and no others.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Written {
    act: Kind,
    #[serde(default)]
    after_seconds: u32,
    since: Option<Origin>,
    nth: Option<u32>,
    service: Option<String>,
    task_definition: Option<String>,
    force: Option<bool>,
    desired: Option<u32>,
    action: Option<Choice>,
    count: Option<u32>,
    reason: Option<String>,
    name: Option<String>,
    state: Option<AlarmState>,
    family: Option<String>,
    seconds: Option<u32>,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// UpdateService: `task-definition`, `force`, `desired`.
    Update,
    /// UpdateService: `desired`.
    Scale,
    /// StopServiceDeployment of the newest service deployment.
    StopDeployment,
    /// ContinueServiceDeployment of the newest service deployment: `action`.
    ContinueDeployment,
    /// DeleteService, by force.
    DeleteService,
    /// StopTask: `count`, `reason`.
    StopTasks,
    /// DeregisterTaskDefinition: `task-definition`.
    Deregister,
    /// An alarm: `name`, `state`.
    Alarm,
    /// Registrations of a `family` are refused for `seconds`.
    ThrottleFamily,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Origin {
    Start,
    Update,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Choice {
    Continue,
    Rollback,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AlarmState {
    Alarm,
    Ok,
}

/// Reads the tables.
///
/// # Errors
/// What is missing or too much, with the table's number: `act[2]: ...`.
pub fn read(tables: Vec<Written>) -> Result<Vec<Act>, Vec<String>> {
    let (mut acts, mut problems) = (Vec::new(), Vec::new());
    for (at, table) in tables.into_iter().enumerate() {
        match table.act() {
            Ok(act) => acts.push(act),
            Err(problem) => problems.push(format!("act[{}]: {problem}", at + 1)),
        }
    }
    if problems.is_empty() {
        Ok(acts)
    } else {
        Err(problems)
    }
}

impl Written {
    fn act(mut self) -> Result<Act, String> {
        let since = self.since()?;
        let deed = self.deed()?;
        self.refuse_the_rest()?;
        Ok(Act {
            since,
            after_seconds: self.after_seconds,
            deed,
        })
    }

    fn since(&mut self) -> Result<Since, String> {
        let nth = self.nth.take();
        match (self.since.take(), &self.service, nth) {
            (None | Some(Origin::Update), _, Some(0)) => Err("`nth` is counted from 1".to_owned()),
            (None | Some(Origin::Update), Some(service), nth) => Ok(Since::Update {
                service: service.clone(),
                nth: nth.map_or(1, |nth| nth as usize),
            }),
            (Some(Origin::Update), None, _) => Err("`since = \"update\"` needs `service`".to_owned()),
            (None | Some(Origin::Start), _, None) => Ok(Since::Start),
            (None | Some(Origin::Start), _, Some(_)) => Err("`nth` counts updates of a `service`".to_owned()),
        }
    }

    fn deed(&mut self) -> Result<Deed, String> {
        Ok(match self.act {
            Kind::Update => {
                let (task_definition, force) = (self.task_definition.take(), self.force.take());
                if task_definition.is_none() && force.is_none() {
                    return Err("`update` needs `task-definition` or `force`".to_owned());
                }
                Deed::Update {
                    service: self.service()?,
                    task_definition,
                    force: force.unwrap_or_default(),
                    desired: self.desired.take(),
                }
            }
            Kind::Scale => Deed::Update {
                service: self.service()?,
                task_definition: None,
                force: false,
                desired: Some(needed(self.desired.take(), "desired")?),
            },
            Kind::StopDeployment => Deed::StopDeployment {
                service: self.service()?,
            },
            Kind::ContinueDeployment => Deed::ContinueDeployment {
                service: self.service()?,
                action: match self.action.take() {
                    None | Some(Choice::Continue) => "CONTINUE".to_owned(),
                    Some(Choice::Rollback) => "ROLLBACK".to_owned(),
                },
            },
            Kind::DeleteService => Deed::DeleteService {
                service: self.service()?,
            },
            Kind::StopTasks => Deed::StopTasks {
                service: self.service()?,
                count: self.count.take().map_or(usize::MAX, |count| count as usize),
                reason: self.reason.take(),
            },
            Kind::Deregister => {
                self.service.take();
                Deed::Deregister {
                    task_definition: needed(self.task_definition.take(), "task-definition")?,
                }
            }
            Kind::Alarm => {
                self.service.take();
                Deed::Alarm {
                    name: needed(self.name.take(), "name")?,
                    in_alarm: self.state.take() != Some(AlarmState::Ok),
                }
            }
            Kind::ThrottleFamily => {
                self.service.take();
                Deed::ThrottleFamily {
                    family: needed(self.family.take(), "family")?,
                    seconds: needed(self.seconds.take(), "seconds")?,
                }
            }
        })
    }

    fn service(&mut self) -> Result<String, String> {
        needed(self.service.take(), "service")
    }

    /// A key that the act does not read would be a wish that nobody fulfils.
    fn refuse_the_rest(&self) -> Result<(), String> {
        let left = [
            ("task-definition", self.task_definition.is_some()),
            ("force", self.force.is_some()),
            ("desired", self.desired.is_some()),
            ("action", self.action.is_some()),
            ("count", self.count.is_some()),
            ("reason", self.reason.is_some()),
            ("name", self.name.is_some()),
            ("state", self.state.is_some()),
            ("family", self.family.is_some()),
            ("seconds", self.seconds.is_some()),
        ];
        match left.iter().find(|(_, given)| *given) {
            Some((key, _)) => Err(format!("this act does not read `{key}`")),
            None => Ok(()),
        }
    }
}

fn needed<T>(value: Option<T>, key: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("`{key}` is missing"))
}

#[cfg(test)]
mod tests {
    use crate::sandbox::scenario::Scenario;
    use crate::sandbox::world::acts::{Deed, Since};

    #[test]
    fn an_act_is_counted_from_an_update_of_its_service_or_from_the_start() {
        let scenario = Scenario::parse(
            "[[act]]\nservice = \"shop\"\nafter-seconds = 30\nact = \"scale\"\ndesired = 4\n\
             [[act]]\nservice = \"shop\"\nnth = 2\nact = \"stop-deployment\"\n\
             [[act]]\nservice = \"shop\"\nsince = \"start\"\nact = \"delete-service\"\n\
             [[act]]\nact = \"alarm\"\nname = \"errors\"",
        )
        .unwrap();
        let update = |nth| Since::Update {
            service: "shop".into(),
            nth,
        };
        let since: Vec<Since> = scenario.acts.iter().map(|act| act.since.clone()).collect();
        assert_eq!(since, [update(1), update(2), Since::Start, Since::Start]);
        assert_eq!(scenario.acts[0].after_seconds, 30);
        let errors = Deed::Alarm {
            name: "errors".into(),
            in_alarm: true,
        };
        assert_eq!(scenario.acts[3].deed, errors);
    }

    #[test]
    fn an_act_with_too_little_or_too_much_is_refused_by_its_number() {
        for (table, says) in [
            (
                "act = \"scale\"\nservice = \"shop\"",
                "act[2]: `desired` is missing",
            ),
            ("act = \"scale\"\ndesired = 1", "act[2]: `service` is missing"),
            ("act = \"update\"\nservice = \"shop\"", "act[2]: `update` needs"),
            (
                "act = \"delete-service\"\nservice = \"shop\"\nforce = true",
                "act[2]: this act does not read `force`",
            ),
            ("act = \"alarm\"\nname = \"a\"\nnth = 2", "act[2]: `nth` counts"),
            (
                "act = \"alarm\"\nname = \"a\"\nservice = \"shop\"\nnth = 0",
                "act[2]: `nth` is counted",
            ),
        ] {
            let text = format!("[[act]]\nact = \"alarm\"\nname = \"a\"\n[[act]]\n{table}");
            let error = Scenario::parse(&text).unwrap_err().to_string();
            assert!(error.contains(says), "{table}: {error}");
        }
    }
}
