//! Ids of CodePipeline: made from counters, in the shapes that AWS gives them.

use crate::name::Digest;

/// How much of a pipeline's name an artifact's key begins with.
const PIPELINE_PART: usize = 20;

/// How much of an artifact's name follows.
const ARTIFACT_PART: usize = 10;

/// Makes ids; the same calls give the same ids.
#[derive(Debug, Default)]
pub struct Ids {
    made: u64,
}

impl Ids {
    /// A number that grows with every call.
    pub fn serial(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// A UUID, as of jobs, and of executions of pipelines and actions.
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

    /// The key of an artifact: both names cut, and seven characters; no extension says what it is.
    pub fn artifact_key(&mut self, pipeline: &str, artifact: &str) -> String {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let hex = self.hex("artifact");
        let letters: String = hex.as_bytes()[..28]
            .chunks(4)
            .map(|four| {
                let sum = four
                    .iter()
                    .fold(0_usize, |sum, byte| sum * 31 + usize::from(*byte));
                char::from(ALPHABET[sum % ALPHABET.len()])
            })
            .collect();
        let part = |name: &str, most: usize| name.chars().take(most).collect::<String>();
        let (pipeline, artifact) = (part(pipeline, PIPELINE_PART), part(artifact, ARTIFACT_PART));
        format!("{pipeline}/{artifact}/{letters}")
    }

    fn hex(&mut self, kind: &str) -> String {
        Digest::of(format!("codepipeline-{kind}-{}", self.serial()).as_bytes())
            .hex()
            .to_owned()
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
            let uuid = ids.uuid();
            assert_eq!(uuid.len(), 36);
            let key = ids.artifact_key("a-pipeline-with-a-long-name", "SourceOutput");
            let letters = key.strip_prefix("a-pipeline-with-a-lo/SourceOutp/").unwrap();
            assert!(letters.len() == 7 && letters.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert!(seen.insert(uuid) && seen.insert(key));
        }
    }
}
