//! Reading an object into a file: in several stretches at the same time, each of which goes on where its connection broke.

use super::bucket::Bucket;
use super::checksum::Expected;
use super::ranges::{is_range, range_header};
use crate::artifact::store::{StoreError, address};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::collections::BTreeSet;
use std::error::Error;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc;
use tokio::task::spawn_blocking;

/// The longest artifact of CodePipeline: 5 GB from an S3 source.
const LONGEST: u64 = 5 * 1024 * 1024 * 1024;

/// How many stretches are read at the same time.
const AT_ONCE: usize = 4;

/// How much is gathered before it is written.
const BATCH: usize = 256 * 1024;

/// How often in a row a connection may break without having brought anything.
const MOST_BREAKS: u32 = 5;

/// An object while it is read.
struct Reading<'a> {
    bucket: &'a Bucket,
    name: (&'a str, &'a str),
    place: String,
    length: u64,
    e_tag: Option<String>,
    file: Arc<File>,
}

/// Reads an object (bucket and key) into an empty file, which is given back at its beginning. The object's length is
/// verified, its checksum where S3 keeps one of the whole object, and that it is one object: it may be replaced while it
/// is read.
///
/// # Errors
/// [`StoreError`]; `s3:GetObject` is the only action that is needed, and `kms:Decrypt` for an encrypted object.
pub async fn fetch(bucket: &Bucket, artifact: (&str, &str), into: File) -> Result<File, StoreError> {
    let place = address(artifact.0, artifact.1);
    let answer = bucket
        .call("read", "s3:GetObject", &place, || {
            let ask = bucket.s3().get_object().bucket(artifact.0).key(artifact.1);
            ask.checksum_mode(ChecksumMode::Enabled).send()
        })
        .await?;
    let length = answer
        .content_length()
        .and_then(|length| u64::try_from(length).ok());
    let length = length.ok_or_else(|| broken(&place, "S3 does not say how long it is".into()))?;
    if length > LONGEST {
        return Err(StoreError::TooLong {
            place,
            limit: LONGEST,
        });
    }
    let expected = Expected::of(&answer);
    let reading = Reading {
        bucket,
        name: artifact,
        length,
        e_tag: answer.e_tag().map(str::to_owned),
        file: Arc::new(into),
        place,
    };
    Box::pin(reading.read(answer.body, expected)).await?;
    match Arc::try_unwrap(reading.file) {
        Ok(file) => Ok(file),
        // A write that was given up and still goes on.
        Err(shared) => shared
            .try_clone()
            .map_err(|error| broken(&reading.place, error.into())),
    }
}

fn broken(place: &str, source: Box<dyn Error + Send + Sync>) -> StoreError {
    StoreError::Download {
        place: place.to_owned(),
        source,
    }
}

impl Reading<'_> {
    async fn read(&self, body: ByteStream, expected: Option<Expected>) -> Result<(), StoreError> {
        let parts = self.bucket.amounts().stretches(self.length);
        let (done, told) = mpsc::channel();
        let summing = expected.clone().map(|expected| {
            let (file, parts) = (Arc::clone(&self.file), parts.clone());
            spawn_blocking(move || sum_up(&file, &parts, &told, &expected))
        });
        let mut first = Some(body);
        let mut next = parts.iter().enumerate();
        let mut reading = FuturesUnordered::new();
        loop {
            while reading.len() < AT_ONCE
                && let Some((number, part)) = next.next()
            {
                reading.push(self.read_numbered(number, part.clone(), first.take()));
            }
            match reading.next().await {
                // Nobody listens where there is no checksum.
                Some(read) => drop(done.send(read?)),
                None => break,
            }
        }
        drop(done);
        let (Some(summing), Some(expected)) = (summing, expected) else {
            return Ok(());
        };
        match summing.await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => {
                let text = format!("its {} is not the one that S3 has", expected.name());
                Err(broken(&self.place, text.into()))
            }
            Ok(Err(error)) => Err(broken(&self.place, error.into())),
            Err(error) => Err(broken(&self.place, error.into())),
        }
    }

    async fn read_numbered(
        &self,
        number: usize,
        stretch: Range<u64>,
        body: Option<ByteStream>,
    ) -> Result<usize, StoreError> {
        self.read_stretch(stretch, body).await?;
        Ok(number)
    }

    async fn read_stretch(
        &self,
        stretch: Range<u64>,
        mut body: Option<ByteStream>,
    ) -> Result<(), StoreError> {
        let (mut at, mut breaks) = (stretch.start, 0);
        while at < stretch.end {
            let mut open = match body.take() {
                Some(body) => body,
                None => self.ask(&(at..stretch.end)).await?,
            };
            let before = at;
            let Err(error) = self.pour(&mut open, &mut at, stretch.end).await else {
                continue;
            };
            if let Break::Disk(error) = error {
                return Err(broken(&self.place, error.into()));
            }
            // Some bytes each time would be progress without end.
            breaks = if at - before >= BATCH as u64 {
                0
            } else {
                breaks + 1
            };
            if breaks > MOST_BREAKS {
                return Err(broken(&self.place, error.into()));
            }
        }
        Ok(())
    }

    /// Asks for a stretch of the very object that was begun with.
    async fn ask(&self, stretch: &Range<u64>) -> Result<ByteStream, StoreError> {
        let asked = self
            .bucket
            .call("read", "s3:GetObject", &self.place, || {
                let ask = self.bucket.s3().get_object().bucket(self.name.0).key(self.name.1);
                ask.range(range_header(stretch))
                    .set_if_match(self.e_tag.clone())
                    .send()
            })
            .await;
        let answer = asked.map_err(|error| {
            if error.code() == Some("PreconditionFailed") {
                StoreError::Replaced {
                    place: self.place.clone(),
                }
            } else {
                error
            }
        })?;
        let range = answer.content_range().unwrap_or_default();
        if is_range(range, stretch, self.length) {
            Ok(answer.body)
        } else {
            let text = format!("S3 answers `{}` with `{range}`", range_header(stretch));
            Err(broken(&self.place, text.into()))
        }
    }

    /// Writes what comes until `end`; says why, if it ends before.
    async fn pour(&self, body: &mut ByteStream, at: &mut u64, end: u64) -> Result<(), Break> {
        let mut batch: Vec<Bytes> = Vec::new();
        let mut gathered = 0;
        loop {
            let next = body.next().await;
            let failed = match next {
                Some(Ok(mut chunk)) => {
                    let room = usize::try_from(end - *at).unwrap_or(usize::MAX) - gathered;
                    chunk.truncate(room);
                    gathered += chunk.len();
                    batch.push(chunk);
                    None
                }
                Some(Err(error)) => Some(Break::Body(error.into())),
                None => Some(Break::Body("the connection ended too early".into())),
            };
            let is_whole = *at + gathered as u64 == end;
            if gathered >= BATCH || is_whole || failed.is_some() {
                self.write(std::mem::take(&mut batch), *at)
                    .await
                    .map_err(Break::Disk)?;
                *at += std::mem::take(&mut gathered) as u64;
            }
            match failed {
                Some(failed) if !is_whole => return Err(failed),
                _ if is_whole => return Ok(()),
                _ => {}
            }
        }
    }

    async fn write(&self, batch: Vec<Bytes>, mut at: u64) -> io::Result<()> {
        let file = Arc::clone(&self.file);
        let written = spawn_blocking(move || {
            for chunk in batch {
                file.write_all_at(&chunk, at)?;
                at += chunk.len() as u64;
            }
            Ok(())
        });
        written.await.map_err(io::Error::other)?
    }
}

/// Why a stretch is not whole.
enum Break {
    Body(Box<dyn Error + Send + Sync>),
    Disk(io::Error),
}

impl From<Break> for Box<dyn Error + Send + Sync> {
    fn from(why: Break) -> Self {
        match why {
            Break::Body(error) => error,
            Break::Disk(error) => error.into(),
        }
    }
}

/// Sums up a file in order, while its stretches come in any order; says whether the sum is the one.
fn sum_up(
    file: &File,
    stretches: &[Range<u64>],
    told: &mpsc::Receiver<usize>,
    expected: &Expected,
) -> io::Result<bool> {
    let mut sum = expected.begin();
    let mut buffer = vec![0; BATCH];
    let mut there = BTreeSet::new();
    for (number, stretch) in stretches.iter().enumerate() {
        while !there.remove(&number) {
            // Whoever tells is gone: the read has failed.
            let Ok(more) = told.recv() else {
                return Ok(false);
            };
            there.insert(more);
        }
        let mut at = stretch.start;
        while at < stretch.end {
            let most = usize::try_from(stretch.end - at).unwrap_or(BATCH).min(BATCH);
            let read = file.read_at(&mut buffer[..most], at)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            sum.update(&buffer[..read]);
            at += read as u64;
        }
    }
    Ok(expected.is(sum))
}
