//! How much an archive may become, and a count of what it did.

use super::error::UnpackError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What an archive may be when it is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most files, links and folders, those that are only implied by a name included.
    pub entries: u64,
    /// The most bytes of all files.
    pub bytes: u64,
    /// The most bytes of one file.
    pub file_bytes: u64,
    /// How many times its own length an archive may become. Whatever becomes no more than 16 MiB may have any ratio.
    pub ratio: u64,
}

impl Default for Limits {
    /// An artifact of CodePipeline has 5 GB at most; a checkout with its dependencies has some ten thousand files, and
    /// becomes some five times as long as its zip.
    fn default() -> Self {
        Self {
            entries: 200_000,
            bytes: 20 * GIB,
            file_bytes: 10 * GIB,
            ratio: 100,
        }
    }
}

const GIB: u64 = 1024 * 1024 * 1024;

/// What may have any ratio: a few files of zeros are no bomb.
const ANY_RATIO: u64 = 16 * 1024 * 1024;

/// The most bytes that symbolic links and their names may have together; they are kept in memory until all are known.
const LINK_BYTES: u64 = 4 * 1024 * 1024;

/// The bytes of a tar archive that each entry may have besides its data: header and padding.
const HEADERS: u64 = 1024;

/// Counts what an archive becomes.
#[derive(Debug)]
pub struct Tally {
    limits: Limits,
    /// The most bytes, by the limit or by the ratio.
    most: u64,
    entries: u64,
    bytes: u64,
    link_bytes: u64,
    unwanted: Arc<AtomicBool>,
}

impl Tally {
    /// Nothing yet, of an archive of this length, until it is unwanted.
    #[must_use]
    pub fn new(limits: Limits, length: u64, unwanted: Arc<AtomicBool>) -> Self {
        let by_ratio = length.saturating_mul(limits.ratio).max(ANY_RATIO);
        Self {
            limits,
            most: by_ratio.min(limits.bytes),
            entries: 0,
            bytes: 0,
            link_bytes: 0,
            unwanted,
        }
    }

    fn is_wanted(&self) -> Result<(), UnpackError> {
        if self.unwanted.load(Ordering::Relaxed) {
            return Err(UnpackError::Unwanted);
        }
        Ok(())
    }

    /// Counts files, links or folders.
    ///
    /// # Errors
    /// [`UnpackError::TooManyEntries`], [`UnpackError::Unwanted`].
    pub fn entries(&mut self, more: u64) -> Result<(), UnpackError> {
        self.is_wanted()?;
        self.entries += more;
        if self.entries > self.limits.entries {
            let limit = self.limits.entries;
            return Err(UnpackError::TooManyEntries { limit });
        }
        Ok(())
    }

    /// Looks whether a file of this length may be among them, before any of it is written.
    ///
    /// # Errors
    /// [`UnpackError::FileTooLong`], [`UnpackError::TooManyBytes`], [`UnpackError::Ratio`].
    pub fn announce(&self, entry: &str, bytes: u64) -> Result<(), UnpackError> {
        if bytes > self.limits.file_bytes {
            let limit = self.limits.file_bytes;
            let entry = entry.to_owned();
            return Err(UnpackError::FileTooLong { entry, limit });
        }
        self.check(self.bytes.saturating_add(bytes))
    }

    /// Counts bytes.
    ///
    /// # Errors
    /// [`UnpackError::TooManyBytes`], [`UnpackError::Ratio`], [`UnpackError::Unwanted`].
    pub fn bytes(&mut self, more: u64) -> Result<(), UnpackError> {
        self.is_wanted()?;
        self.bytes = self.bytes.saturating_add(more);
        self.check(self.bytes)
    }

    /// Looks at a count of bytes.
    ///
    /// # Errors
    /// [`UnpackError::TooManyBytes`], [`UnpackError::Ratio`].
    pub fn check(&self, bytes: u64) -> Result<(), UnpackError> {
        if bytes <= self.most {
            return Ok(());
        }
        Err(if self.most == self.limits.bytes {
            let limit = self.limits.bytes;
            UnpackError::TooManyBytes { limit }
        } else {
            let limit = self.limits.ratio;
            UnpackError::Ratio { limit }
        })
    }

    /// Looks at how much was decompressed, headers and padding included.
    ///
    /// # Errors
    /// [`UnpackError::TooManyBytes`], [`UnpackError::Ratio`].
    pub fn check_stream(&self, bytes: u64) -> Result<(), UnpackError> {
        self.check(bytes.saturating_sub(self.limits.entries.saturating_mul(HEADERS)))
    }

    /// Counts the bytes of a symbolic link and its name.
    ///
    /// # Errors
    /// [`UnpackError::TooManyLinks`].
    pub fn link(&mut self, bytes: usize) -> Result<(), UnpackError> {
        self.link_bytes += bytes as u64;
        if self.link_bytes > LINK_BYTES {
            return Err(UnpackError::TooManyLinks { limit: LINK_BYTES });
        }
        Ok(())
    }

    /// The bytes so far.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{ANY_RATIO, LINK_BYTES, Limits, Tally};
    use crate::artifact::unpack::UnpackError;
    use std::sync::Arc;

    const LIMITS: Limits = Limits {
        entries: 3,
        bytes: 100 * ANY_RATIO,
        file_bytes: 60 * ANY_RATIO,
        ratio: 10,
    };

    #[test]
    fn each_limit_is_reached_and_not_passed() {
        let mut tally = Tally::new(LIMITS, u64::MAX, Arc::default());
        tally.entries(2).unwrap();
        tally.entries(1).unwrap();
        assert!(matches!(
            tally.entries(1),
            Err(UnpackError::TooManyEntries { limit: 3 })
        ));
        tally.announce("a", LIMITS.file_bytes).unwrap();
        assert!(matches!(
            tally.announce("a", LIMITS.file_bytes + 1),
            Err(UnpackError::FileTooLong { .. })
        ));
        tally.bytes(LIMITS.bytes).unwrap();
        assert!(matches!(
            tally.announce("b", 1),
            Err(UnpackError::TooManyBytes { .. })
        ));
        assert!(matches!(tally.bytes(1), Err(UnpackError::TooManyBytes { .. })));
        tally.link(usize::try_from(LINK_BYTES).unwrap()).unwrap();
        assert!(matches!(tally.link(1), Err(UnpackError::TooManyLinks { .. })));
    }

    #[test]
    fn a_ratio_counts_only_for_what_becomes_long() {
        for (length, bytes, is_fine) in [
            (1, ANY_RATIO, true),
            (1, ANY_RATIO + 1, false),
            (ANY_RATIO, 10 * ANY_RATIO, true),
            (ANY_RATIO, 10 * ANY_RATIO + 1, false),
        ] {
            let mut tally = Tally::new(LIMITS, length, Arc::default());
            match tally.bytes(bytes) {
                Ok(()) => assert!(is_fine, "{length} {bytes}"),
                Err(error) => assert!(matches!(error, UnpackError::Ratio { limit: 10 }) && !is_fine),
            }
        }
        assert_eq!(
            Tally::new(LIMITS, u64::MAX, Arc::default()).most,
            LIMITS.bytes,
            "a length that cannot be multiplied"
        );
    }
}
