//! Ids and ARNs of ECS: made from counters, in the shapes that AWS gives them.

use crate::name::Digest;
use crate::sandbox::ACCOUNT;

/// Makes ids; the same calls give the same ids.
#[derive(Debug, Default)]
pub struct Ids {
    made: u64,
}

impl Ids {
    fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// The 19 digits of a deployment, which are also those of its service revision.
    pub fn deployment(&mut self) -> String {
        // The golden ratio's bits spread the counter over 19 digits, as AWS's numbers are spread.
        let spread = self.next().wrapping_mul(0x9E37_79B9_7F4A_7C15) % 8_000_000_000_000_000_000;
        (1_000_000_000_000_000_000 + spread).to_string()
    }

    /// A number that grows with every call: the order of creation.
    pub fn serial(&mut self) -> u64 {
        self.next()
    }

    /// The 32 hex digits of a task.
    pub fn task(&mut self) -> String {
        self.hex("task")[..32].to_owned()
    }

    /// A UUID, as of events, attachments and containers.
    pub fn uuid(&mut self) -> String {
        let hex = self.hex("uuid");
        format!(
            "{}-{}-4{}-8{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[13..16],
            &hex[17..20],
            &hex[20..32]
        )
    }

    /// The 21 characters of a service deployment.
    pub fn service_deployment(&mut self) -> String {
        const ALPHABET: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-";
        let hex = self.hex("service-deployment");
        hex.as_bytes()
            .chunks(3)
            .take(21)
            .map(|three| {
                let sum = three
                    .iter()
                    .fold(0_usize, |sum, byte| sum * 7 + usize::from(*byte));
                char::from(ALPHABET[sum % ALPHABET.len()])
            })
            .collect()
    }

    /// A hook's id: `ecs-pause-` or `ecs-lambda-`, and 43 characters.
    pub fn hook(&mut self, kind: &str) -> String {
        format!("ecs-{kind}-{}", &self.hex("hook")[..43])
    }

    fn hex(&mut self, kind: &str) -> String {
        Digest::of(format!("{kind}-{}", self.next()).as_bytes())
            .hex()
            .to_owned()
    }
}

/// Where everything is: writes ARNs.
#[derive(Debug, Clone)]
pub struct Place {
    region: String,
}

impl Place {
    /// A place in a region, in the sandbox's account.
    #[must_use]
    pub fn new(region: &str) -> Self {
        Self {
            region: region.to_owned(),
        }
    }

    /// The first availability zone of the region.
    #[must_use]
    pub fn zone(&self) -> String {
        format!("{}a", self.region)
    }

    /// The ARN of an ECS resource, such as `cluster/default`.
    #[must_use]
    pub fn arn(&self, resource: &str) -> String {
        format!("arn:aws:ecs:{}:{ACCOUNT}:{resource}", self.region)
    }

    /// The ARN of a cluster.
    #[must_use]
    pub fn cluster(&self, name: &str) -> String {
        self.arn(&format!("cluster/{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Ids;
    use std::collections::BTreeSet;

    #[test]
    fn ids_have_the_shapes_of_aws_and_never_repeat() {
        let mut ids = Ids::default();
        let mut seen = BTreeSet::new();
        for _ in 0..500 {
            let deployment = ids.deployment();
            assert!(deployment.len() == 19 && deployment.bytes().all(|b| b.is_ascii_digit()));
            let task = ids.task();
            assert!(task.len() == 32 && task.bytes().all(|b| b.is_ascii_hexdigit()));
            let service_deployment = ids.service_deployment();
            assert_eq!(service_deployment.len(), 21);
            let uuid = ids.uuid();
            assert_eq!(uuid.len(), 36);
            for id in [deployment, task, service_deployment, uuid] {
                assert!(seen.insert(id));
            }
        }
    }

    #[test]
    fn the_same_calls_give_the_same_ids() {
        let (mut one, mut other) = (Ids::default(), Ids::default());
        assert_eq!((one.deployment(), one.task()), (other.deployment(), other.task()));
    }
}
