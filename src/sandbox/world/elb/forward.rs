//! What listeners and rules forward to: target groups with weights, and whose turn it is.

use super::params::Params;
use super::{ApiError, xml};

/// The highest weight of a target group (TargetGroupTuple).
const MOST_WEIGHT: u32 = 999;
/// A 'forward' action "can specify up to five target groups".
const MOST_GROUPS: usize = 5;
/// A prime above any sum of weights: multiples of it visit every slot of a sum once, and far apart.
const STRIDE: usize = 7919;

/// Target groups and their weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward(pub Vec<(String, u32)>);

impl Forward {
    /// Reads the one 'forward' action of a list of actions.
    ///
    /// # Errors
    /// The operation's error for a bad value; another kind of action is refused.
    pub fn read(params: &Params<'_>, name: &str) -> Result<Self, ApiError> {
        let actions = params.structures(name);
        let [action] = actions.as_slice() else {
            return Err(params.wrong(format!("'{name}' must have exactly one action in the sandbox")));
        };
        let kind = action.required("Type")?;
        if kind != "forward" {
            return Err(params.wrong(format!(
                "the action type is '{kind}'; the sandbox has 'forward' only"
            )));
        }
        let mut groups = Vec::new();
        for group in action.structures("ForwardConfig.TargetGroups") {
            let weight = group.number("Weight", &(0..=MOST_WEIGHT))?.unwrap_or(1);
            groups.push((group.required("TargetGroupArn")?.to_owned(), weight));
        }
        match (action.text("TargetGroupArn"), groups.as_slice()) {
            (Some(arn), []) => Ok(Self(vec![(arn.to_owned(), 1)])),
            (Some(arn), [(group, _)]) if group == arn => Ok(Self(groups)),
            (None, [_, ..]) if groups.len() <= MOST_GROUPS => Ok(Self(groups)),
            _ => Err(params.wrong(format!(
                "a 'forward' action must have one to {MOST_GROUPS} target groups, in one place"
            ))),
        }
    }

    /// The target group that gets the request of a turn, and its turn there; none when all weights are zero.
    #[must_use]
    pub fn pick(&self, turn: usize) -> Option<(&str, usize)> {
        let weights: Vec<usize> = self.0.iter().map(|(_, weight)| *weight as usize).collect();
        let sum: usize = weights.iter().sum();
        if sum == 0 {
            return None;
        }
        let mut slot = (turn % sum) * STRIDE % sum;
        for ((group, _), weight) in self.0.iter().zip(&weights) {
            if slot < *weight {
                // Of each round of `sum` turns the group has `weight`, and `slot` counts them.
                return Some((group, turn / sum * weight + slot));
            }
            slot -= weight;
        }
        None
    }

    /// The action, as XML.
    pub fn xml(&self) -> String {
        let groups = self.0.iter().map(|(group, weight)| {
            xml::text("TargetGroupArn", group) + &xml::text("Weight", weight.to_string())
        });
        let config = xml::element("ForwardConfig", &xml::list("TargetGroups", groups));
        let single = match self.0.as_slice() {
            [(group, _)] => xml::text("TargetGroupArn", group),
            _ => String::new(),
        };
        xml::text("Type", "forward") + &single + &config
    }
}

#[cfg(test)]
mod tests {
    use super::Forward;
    use std::collections::BTreeMap;

    #[test]
    fn each_group_gets_its_share_of_every_round_spread_over_its_targets() {
        for weights in [vec![1], vec![95, 5], vec![999, 1], vec![3, 0, 7], vec![100, 0]] {
            let forward = Forward(
                weights
                    .iter()
                    .map(|weight| (format!("group-{weight}"), *weight))
                    .collect(),
            );
            let sum: u32 = weights.iter().sum();
            let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
            for turn in 0..(sum as usize * 4) {
                let (group, own) = forward.pick(turn).unwrap();
                seen.entry(group.to_owned()).or_default().push(own);
            }
            for weight in weights.into_iter().filter(|weight| *weight > 0) {
                let turns = seen.get_mut(&format!("group-{weight}")).unwrap();
                turns.sort_unstable();
                assert_eq!(
                    *turns,
                    (0..weight as usize * 4).collect::<Vec<_>>(),
                    "every turn of its own once"
                );
            }
        }
        assert_eq!(Forward(vec![("none".into(), 0)]).pick(3), None);
    }

    #[test]
    fn a_small_share_is_not_one_burst() {
        let forward = Forward(vec![("new".into(), 10), ("old".into(), 90)]);
        let new: Vec<usize> = (0..100)
            .filter(|turn| forward.pick(*turn).unwrap().0 == "new")
            .collect();
        assert_eq!(new.len(), 10);
        assert!(
            new.windows(2).filter(|pair| pair[1] == pair[0] + 1).count() < 3,
            "{new:?}"
        );
    }
}
