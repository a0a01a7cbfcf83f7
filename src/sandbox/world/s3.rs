//! S3: buckets, objects and multipart uploads; bodies lie in files that `wire::s3` wrote.

use std::collections::BTreeMap;
use std::time::Duration;

/// The state of S3.
#[derive(Debug, Default)]
pub struct S3 {
    buckets: BTreeMap<String, Bucket>,
    uploads: BTreeMap<String, Upload>,
    started: u64,
    /// How many more objects than one a file is the body of: copies share it.
    shared: BTreeMap<String, u32>,
}

/// A bucket.
#[derive(Debug)]
pub struct Bucket {
    /// When it was created.
    pub created: Duration,
    /// Its objects, by key.
    pub objects: BTreeMap<String, Object>,
    /// Its policy, as it was put.
    pub policy: Option<String>,
    /// Whether the policy denies puts that are not encrypted with KMS.
    pub demands_kms: bool,
    /// The keys of KMS of which the policy demands one, as a put must name it; empty when it demands none.
    pub demands_key: Vec<String>,
}

/// An object.
#[derive(Debug, Clone)]
pub struct Object {
    /// The name of the file that holds its body.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its ETag, without the quotes.
    pub etag: String,
    /// When it was put.
    pub modified: Duration,
    /// What came with it.
    pub traits: Traits,
    /// Its checksum, as a header shows it: name and base64 value.
    pub checksum: Option<(String, String)>,
    /// How many parts it was put in; `None` for a simple put.
    pub parts: Option<usize>,
}

/// What a put says about an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traits {
    /// Headers that come back as they were: `content-type`, `cache-control`, `x-amz-meta-*`, ...
    pub headers: BTreeMap<String, String>,
    /// How it is encrypted.
    pub encryption: Encryption,
}

/// How an object is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Encryption {
    /// With S3's own key, as every object that asks for nothing.
    #[default]
    Aes256,
    /// With a key of KMS, by its ARN.
    Kms(String),
}

/// A multipart upload under way.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// When it began.
    pub initiated: Duration,
    /// What came with it.
    pub traits: Traits,
    /// Its parts, by number.
    pub parts: BTreeMap<u32, Part>,
}

/// A part of a multipart upload.
#[derive(Debug, Clone)]
pub struct Part {
    /// The name of the file that holds it.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its MD5.
    pub md5: [u8; 16],
    /// When it came.
    pub modified: Duration,
}

/// One page of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The keys.
    pub keys: Vec<String>,
    /// What keys share up to the delimiter.
    pub prefixes: Vec<String>,
    /// The last name of the page, when more follow.
    pub next: Option<String>,
}

/// What ListObjectsV2 asks for.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// Only keys that begin so.
    pub prefix: &'a str,
    /// Keys that share a text up to this are grouped.
    pub delimiter: Option<&'a str>,
    /// Only names after this one.
    pub after: Option<&'a str>,
    /// The most names of a page.
    pub size: usize,
}

impl S3 {
    /// No buckets yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a bucket; false when there is one of that name.
    pub fn create(&mut self, now: Duration, bucket: &str) -> bool {
        if self.buckets.contains_key(bucket) {
            return false;
        }
        self.buckets.insert(
            bucket.to_owned(),
            Bucket {
                created: now,
                objects: BTreeMap::new(),
                policy: None,
                demands_kms: false,
                demands_key: Vec::new(),
            },
        );
        true
    }

    /// Removes a bucket; its uploads go with it.
    pub fn remove(&mut self, bucket: &str) -> Option<Bucket> {
        self.uploads.retain(|_, upload| upload.bucket != bucket);
        self.buckets.remove(bucket)
    }

    /// A bucket.
    #[must_use]
    pub fn bucket(&self, name: &str) -> Option<&Bucket> {
        self.buckets.get(name)
    }

    /// A bucket, to change it.
    pub fn bucket_mut(&mut self, name: &str) -> Option<&mut Bucket> {
        self.buckets.get_mut(name)
    }

    /// Puts an object whose file is another object's too; false when there is no such bucket.
    pub fn put_copy(&mut self, bucket: &str, key: &str, object: Object) -> bool {
        let Some(to) = self.buckets.get_mut(bucket) else {
            return false;
        };
        *self.shared.entry(object.file.clone()).or_default() += 1;
        to.objects.insert(key.to_owned(), object);
        true
    }

    /// The file of an object that is gone, unless it is still the body of another one.
    pub fn released(&mut self, object: Object) -> Option<String> {
        match self.shared.get_mut(&object.file) {
            None => Some(object.file),
            Some(1) => {
                self.shared.remove(&object.file);
                None
            }
            Some(more) => {
                *more -= 1;
                None
            }
        }
    }

    /// All buckets, by name.
    pub fn buckets(&self) -> impl Iterator<Item = (&String, &Bucket)> {
        self.buckets.iter()
    }

    /// Begins a multipart upload; gives its id.
    pub fn begin(&mut self, upload: Upload) -> String {
        self.started += 1;
        let id = format!("sandbox-upload-{:08}", self.started);
        self.uploads.insert(id.clone(), upload);
        id
    }

    /// The uploads under way of a bucket whose keys begin with `prefix`, by key and then in the order of their
    /// beginning; each with its id.
    #[must_use]
    pub fn uploads(&self, bucket: &str, prefix: &str) -> Vec<(&String, &Upload)> {
        let mut uploads: Vec<_> = self
            .uploads
            .iter()
            .filter(|(_, upload)| upload.bucket == bucket && upload.key.starts_with(prefix))
            .collect();
        uploads.sort_by_key(|(id, upload)| (upload.key.as_str(), id.as_str()));
        uploads
    }

    /// An upload of this bucket and key.
    #[must_use]
    pub fn upload(&self, id: &str, bucket: &str, key: &str) -> Option<&Upload> {
        self.uploads
            .get(id)
            .filter(|upload| upload.bucket == bucket && upload.key == key)
    }

    /// An upload of this bucket and key, to add a part.
    pub fn upload_mut(&mut self, id: &str, bucket: &str, key: &str) -> Option<&mut Upload> {
        self.uploads
            .get_mut(id)
            .filter(|upload| upload.bucket == bucket && upload.key == key)
    }

    /// Ends an upload.
    pub fn end(&mut self, id: &str) -> Option<Upload> {
        self.uploads.remove(id)
    }
}

impl Bucket {
    /// One page of the bucket's names, keys and shared prefixes counted alike.
    #[must_use]
    pub fn list(&self, query: Query<'_>) -> Listing {
        let mut listing = Listing::default();
        let mut last: Option<String> = None;
        for key in self.objects.keys().filter(|key| key.starts_with(query.prefix)) {
            let (name, is_prefix) = group(key, query);
            let seen = last.as_deref() == Some(name) || query.after.is_some_and(|after| name <= after);
            if seen {
                continue;
            }
            if listing.keys.len() + listing.prefixes.len() == query.size {
                listing.next = last;
                break;
            }
            last = Some(name.to_owned());
            if is_prefix {
                listing.prefixes.push(name.to_owned());
            } else {
                listing.keys.push(name.to_owned());
            }
        }
        listing
    }
}

/// The name under which a key is listed, and whether that is a shared prefix.
fn group<'a>(key: &'a str, query: Query<'_>) -> (&'a str, bool) {
    let Some(delimiter) = query.delimiter.filter(|delimiter| !delimiter.is_empty()) else {
        return (key, false);
    };
    let start = query.prefix.len();
    match key[start..].find(delimiter) {
        Some(at) => (&key[..start + at + delimiter.len()], true),
        None => (key, false),
    }
}

#[cfg(test)]
mod tests {
    use super::{Encryption, Listing, Object, Query, S3, Traits};
    use std::time::Duration;

    fn bucket(keys: &[&str]) -> S3 {
        let mut s3 = S3::new();
        assert!(s3.create(Duration::ZERO, "bucket"));
        assert!(!s3.create(Duration::ZERO, "bucket"));
        for key in keys {
            let object = Object {
                file: String::new(),
                size: 0,
                etag: String::new(),
                modified: Duration::ZERO,
                traits: Traits::default(),
                checksum: None,
                parts: None,
            };
            assert_eq!(object.traits.encryption, Encryption::Aes256);
            s3.bucket_mut("bucket")
                .unwrap()
                .objects
                .insert((*key).to_owned(), object);
        }
        s3
    }

    #[test]
    fn a_listing_groups_by_the_delimiter_and_goes_on_after_a_page() {
        let s3 = bucket(&["a", "b/1", "b/2", "c/1", "d"]);
        let list = |after: Option<&str>| {
            s3.bucket("bucket").unwrap().list(Query {
                prefix: "",
                delimiter: Some("/"),
                after,
                size: 2,
            })
        };
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let first = list(None);
        assert_eq!(
            first,
            Listing {
                keys: own(&["a"]),
                prefixes: own(&["b/"]),
                next: Some("b/".into())
            }
        );
        let second = list(first.next.as_deref());
        assert_eq!(
            second,
            Listing {
                keys: own(&["d"]),
                prefixes: own(&["c/"]),
                next: None
            }
        );
    }

    #[test]
    fn the_file_of_a_copy_is_released_with_the_last_object() {
        let mut s3 = bucket(&["a"]);
        let object = s3.bucket("bucket").unwrap().objects["a"].clone();
        assert!(!s3.put_copy("other", "b", object.clone()));
        assert!(s3.put_copy("bucket", "b", object.clone()));
        assert!(s3.put_copy("bucket", "c", object.clone()));
        let released: Vec<bool> = (0..3).map(|_| s3.released(object.clone()).is_some()).collect();
        assert_eq!(released, [false, false, true]);
    }

    #[test]
    fn a_prefix_narrows_before_the_delimiter_groups() {
        let s3 = bucket(&["x/a/1", "x/b", "y"]);
        let listing = s3.bucket("bucket").unwrap().list(Query {
            prefix: "x/",
            delimiter: Some("/"),
            after: None,
            size: 9,
        });
        assert_eq!(
            (listing.keys, listing.prefixes),
            (vec!["x/b".to_owned()], vec!["x/a/".to_owned()])
        );
    }
}
