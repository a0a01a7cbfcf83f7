//! S3: buckets, objects and multipart uploads.

/// The state of S3.
#[derive(Debug, Default)]
pub struct S3 {}

impl S3 {
    /// No buckets yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}
