//! The source action of S3: copies an object into the artifact store, unchanged.

use super::declaration::Store;
use super::execution::{Location, Revision, Run};
use super::runner::Surroundings;
use crate::sandbox::ACCOUNT;
use crate::sandbox::world::s3::{Encryption, Traits};
use std::collections::BTreeMap;

impl Store {
    /// A place in the store.
    pub fn place(&self, key: String) -> Location {
        Location {
            bucket: self.bucket.clone(),
            key,
        }
    }

    /// How CodePipeline encrypts what it stores.
    fn encryption(&self, region: &str) -> Encryption {
        Encryption::Kms(match &self.key {
            Some(arn) if arn.starts_with("arn:") => arn.clone(),
            Some(alias) if alias.starts_with("alias/") => format!("arn:aws:kms:{region}:{ACCOUNT}:{alias}"),
            Some(id) => format!("arn:aws:kms:{region}:{ACCOUNT}:key/{id}"),
            // The AWS managed key aws/s3.
            None => format!("arn:aws:kms:{region}:{ACCOUNT}:key/00000000-0000-4000-8000-000000000053"),
        })
    }
}

/// Fetches the source of a run; the revision is the object's ETag, because the sandbox's buckets keep no versions.
///
/// # Errors
/// Why the action failed.
pub fn fetch(run: &mut Run, store: &Store, around: &mut Surroundings<'_>) -> Result<Revision, String> {
    let value = |name: &str| run.configuration.get(name).cloned().unwrap_or_default();
    let (bucket, key) = (value("S3Bucket"), value("S3ObjectKey"));
    let Some((_, location)) = run.outputs.first() else {
        return Err("the source action has no output artifact".to_owned());
    };
    let found = around.s3.bucket(&bucket).and_then(|of| of.objects.get(&key));
    let Some(mut object) = found.cloned() else {
        return Err(format!(
            "The action failed because either the artifact or the Amazon S3 bucket could not be found. Name of the \
             bucket: {bucket}, key: {key}. Verify that both exist, then release the change again."
        ));
    };
    let (etag, created) = (object.etag.clone(), object.modified);
    object.modified = around.now;
    object.traits = Traits {
        headers: BTreeMap::new(),
        encryption: store.encryption(around.region),
    };
    if !around.s3.put_copy(&location.bucket, &location.key, object) {
        return Err(format!(
            "The action failed because the artifact store {} could not be found",
            location.bucket
        ));
    }
    run.variables = [("BucketName", &bucket), ("ETag", &etag), ("ObjectKey", &key)]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    run.summary = Some("Amazon S3 version id: null".to_owned());
    Ok(Revision {
        action: run.action.name.clone(),
        change: etag.clone(),
        id: etag,
        summary: run.summary.clone(),
        created,
    })
}
