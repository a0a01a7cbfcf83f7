//! Reading a capture: whole lines only, whatever the file is.

use super::asked::time;
use super::{Aftermath, Closing, End, FORMAT, Head, Header, Line, Look, Told, VERSION};
use crate::ecs::answers::Answer;
use serde_json::Value;
use std::time::Duration;

/// A capture that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Capture {
    /// What the file is.
    pub header: Header,
    /// The services that were watched, in the order in which their watches began.
    pub services: Vec<Recorded>,
    /// Verdicts on services that no watch had begun for.
    pub unwatched: Vec<Told>,
    /// How the run ended; none if the capture ends before.
    pub end: Option<End>,
    /// What it must be judged as, if somebody wrote that down.
    pub expect: Option<Value>,
    /// Whether its last line is cut.
    pub cut: bool,
    /// Lines of a kind that this version does not know.
    pub unknown: usize,
}

/// A service of a capture.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// What was asked.
    pub head: Head,
    /// The answers of each look, and when.
    pub looks: Vec<(Duration, Vec<Answer>)>,
    /// What was asked once more.
    pub closing: Option<Closing>,
    /// The rollback that slipway asked for.
    pub aftermath: Option<Aftermath>,
    /// What the run said.
    pub told: Option<Told>,
}

/// Why a file cannot be read as a capture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// There is not one whole line.
    #[error("the file has no whole line")]
    Empty,
    /// The first line is not that of a capture.
    #[error("the first line is not that of a capture")]
    Foreign,
    /// Its format is newer than this program.
    #[error(
        "it was written by slipway {slipway} in version {version} of the format, and this one reads up to {VERSION}"
    )]
    Newer {
        /// The format's version.
        version: u64,
        /// What wrote it.
        slipway: String,
    },
    /// A line is damaged.
    #[error("line {number} is damaged")]
    Damaged {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A line says what cannot be.
    #[error("line {number} is wrong: {what}")]
    Wrong {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        what: String,
    },
}

/// Reads a capture. A last line without its end was cut, and is left out.
///
/// # Errors
/// [`CaptureError`] when it is no capture, a newer one, or damaged before its end.
pub fn read(bytes: &[u8]) -> Result<Capture, CaptureError> {
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .ok_or(CaptureError::Empty)?;
    let cut = whole + 1 < bytes.len();
    let mut lines = bytes[..whole].split(|byte| *byte == b'\n').enumerate();
    let first = lines.next().map(|(_, line)| line).unwrap_or_default();
    let mut capture = Capture {
        header: header(first)?,
        services: Vec::new(),
        unwatched: Vec::new(),
        end: None,
        expect: None,
        cut,
        unknown: 0,
    };
    for (at, line) in lines {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let number = at + 1;
        let damaged = |source| CaptureError::Damaged { number, source };
        let value: Value = serde_json::from_slice(line).map_err(damaged)?;
        if !is_known(&value) {
            capture.unknown += 1;
            continue;
        }
        let line = serde_json::from_slice(line).map_err(damaged)?;
        capture
            .take(line)
            .map_err(|what| CaptureError::Wrong { number, what })?;
    }
    Ok(capture)
}

fn header(line: &[u8]) -> Result<Header, CaptureError> {
    let value: Value = serde_json::from_slice(line).map_err(|_| CaptureError::Foreign)?;
    let header = &value["capture"];
    let (Some(FORMAT), Some(version)) = (header["format"].as_str(), header["version"].as_u64()) else {
        return Err(CaptureError::Foreign);
    };
    if version > u64::from(VERSION) {
        return Err(CaptureError::Newer {
            version,
            slipway: header["slipway"]
                .as_str()
                .unwrap_or("of an unknown version")
                .to_owned(),
        });
    }
    serde_json::from_value(header.clone()).map_err(|_| CaptureError::Foreign)
}

/// Whether it is a line of a kind that this version knows.
fn is_known(line: &Value) -> bool {
    const KINDS: [&str; 8] = [
        "capture", "service", "look", "closing", "rollback", "verdict", "end", "expect",
    ];
    let only = line.as_object().filter(|line| line.len() == 1);
    only.and_then(|line| line.keys().next())
        .is_some_and(|kind| KINDS.contains(&kind.as_str()))
}

impl Capture {
    /// Whether the run lived to say how it ended.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.end.is_some() && !self.cut
    }

    fn take(&mut self, line: Line) -> Result<(), String> {
        match line {
            Line::Capture(_) => return Err("a second capture begins".to_owned()),
            Line::Expect(expect) => self.expect = Some(expect),
            Line::Service(head) => {
                head.policy.policy()?;
                head.name
                    .parse::<crate::name::ServiceName>()
                    .map_err(|error| error.to_string())?;
                self.services.push(Recorded {
                    head: *head,
                    looks: Vec::new(),
                    closing: None,
                    aftermath: None,
                    told: None,
                });
            }
            Line::Look(look) => return self.look(look),
            Line::Closing(closing) => {
                let (cluster, name) = (closing.cluster.clone(), closing.service.clone());
                self.service(cluster.as_deref(), &name)?.closing = Some(closing);
            }
            Line::Rollback(aftermath) => {
                let (cluster, name) = (aftermath.cluster.clone(), aftermath.service.clone());
                self.service(cluster.as_deref(), &name)?.aftermath = Some(aftermath);
            }
            Line::Verdict(told) => match self.service(told.cluster.as_deref(), &told.service) {
                Ok(service) => service.told = Some(told),
                Err(_) => self.unwatched.push(told),
            },
            Line::End(end) => self.end = Some(end),
        }
        Ok(())
    }

    fn look(&mut self, look: Look) -> Result<(), String> {
        for (place, at) in look.of {
            let at = time(at)?;
            let answers = look.answers.clone();
            let (cluster, name) = match place.rsplit_once('/') {
                Some((cluster, name)) => (Some(cluster), name),
                None => (None, place.as_str()),
            };
            self.service(cluster, name)?.looks.push((at, answers));
        }
        Ok(())
    }

    /// The service that a line means; where it names no cluster, the last one with the name.
    fn service(&mut self, cluster: Option<&str>, name: &str) -> Result<&mut Recorded, String> {
        let found = self.services.iter_mut().rev().find(|service| {
            service.head.name == name && cluster.is_none_or(|cluster| service.head.cluster == cluster)
        });
        found.ok_or_else(|| format!("service `{name}` has not begun"))
    }
}
