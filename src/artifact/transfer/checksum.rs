//! The checksum that S3 keeps of an object.

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_smithy_checksums::ChecksumAlgorithm;
use aws_smithy_checksums::http::HttpChecksum;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What an object must sum up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    algorithm: ChecksumAlgorithm,
    value: String,
}

impl Expected {
    /// The checksum of a whole object, if S3 gives one that can be compared. That of an object that came in parts may be
    /// a checksum of checksums (`...-12`), and where its parts began is not known here.
    #[must_use]
    pub fn of(answer: &GetObjectOutput) -> Option<Self> {
        [
            (ChecksumAlgorithm::Crc64Nvme, answer.checksum_crc64_nvme()),
            (ChecksumAlgorithm::Sha256, answer.checksum_sha256()),
            (ChecksumAlgorithm::Crc32c, answer.checksum_crc32_c()),
            (ChecksumAlgorithm::Crc32, answer.checksum_crc32()),
            (ChecksumAlgorithm::Sha1, answer.checksum_sha1()),
        ]
        .into_iter()
        .find_map(|(algorithm, value)| {
            let value = value.filter(|value| !value.contains('-'))?.to_owned();
            Some(Self { algorithm, value })
        })
    }

    /// A sum of nothing yet.
    #[must_use]
    pub fn begin(&self) -> Box<dyn HttpChecksum> {
        self.algorithm.into_impl()
    }

    /// Whether a sum is the one.
    #[must_use]
    pub fn is(&self, sum: Box<dyn HttpChecksum>) -> bool {
        encode(sum) == self.value
    }

    /// How messages call it: `crc64nvme`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.algorithm.as_str()
    }
}

/// A sum as S3 writes it.
#[must_use]
pub fn encode(sum: Box<dyn HttpChecksum>) -> String {
    STANDARD.encode(sum.finalize())
}
