//! A run in few bytes: the number of services; of each its deployment's number and its prints, which nothing can deflate;
//! and deflated JSON with one text per member, in which the values of all services are separated by spaces. No name, id or
//! revision of ECS has a space in it.

use super::{Before, Completed, Print, Resume, UnderWay, Wishes};
use crate::name::{ContainerName, ServiceName};
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::Read;

/// What ECS puts before the number of a deployment.
const DEPLOYMENT: &str = "ecs-svc/";

/// What a service has instead of a revision that there was not.
const NONE: &str = "-";

/// Bytes of one service that are not deflated: a number and three prints.
const BYTES: usize = 8 + 3 * 3;

/// Hexadecimal digits of a print.
const DIGITS: usize = 6;

/// The longest JSON that a token may hold; a deflated text could be anything.
const MOST_JSON: u64 = 256 * 1024;

/// A run in few bytes.
pub(super) fn pack(run: &Resume) -> Vec<u8> {
    let count = u16::try_from(run.services.len()).unwrap_or(u16::MAX);
    let mut packed = count.to_be_bytes().to_vec();
    for one in &run.services {
        packed.extend(number(&one.deployment).unwrap_or_default().to_be_bytes());
        for print in [one.images, one.before.deployment, one.before.event] {
            packed.extend(print.0);
        }
    }
    let json = serde_json::to_vec(&Packed::of(run)).unwrap_or_default();
    // Reading from memory into memory does not fail.
    let _ = DeflateEncoder::new(json.as_slice(), Compression::best()).read_to_end(&mut packed);
    packed
}

/// The run again; none if the bytes are no run's.
pub(super) fn unpack(bytes: &[u8]) -> Option<Resume> {
    let (count, bytes) = bytes.split_first_chunk()?;
    let (fixed, deflated) = bytes.split_at_checked(usize::from(u16::from_be_bytes(*count)) * BYTES)?;
    let mut json = Vec::new();
    DeflateDecoder::new(deflated)
        .take(MOST_JSON)
        .read_to_end(&mut json)
        .ok()?;
    let packed: Packed = serde_json::from_slice(&json).ok()?;
    packed.resume(fixed)
}

/// The number of a deployment whose id is one of ECS's.
fn number(id: &str) -> Option<u64> {
    let number = id.strip_prefix(DEPLOYMENT)?.parse().ok()?;
    (id == named(number)).then_some(number)
}

/// The id of the deployment with a number: nineteen digits.
fn named(number: u64) -> String {
    format!("{DEPLOYMENT}{number:019}")
}

/// The members of a run.
#[derive(Debug, Serialize, Deserialize)]
struct Packed {
    #[serde(rename = "r")]
    region: String,
    #[serde(rename = "w")]
    wishes: Wishes,
    /// When the first service was updated, in seconds since the Unix epoch.
    #[serde(rename = "t")]
    began: u64,
    #[serde(rename = "s")]
    services: String,
    /// An empty one is the one before it.
    #[serde(rename = "c")]
    clusters: String,
    /// Ids that are no numbers.
    #[serde(rename = "d")]
    deployments: String,
    /// A family that is named as the service is left out.
    #[serde(rename = "v")]
    revisions: String,
    /// The one just before ours is left out.
    #[serde(rename = "p")]
    previous: String,
    /// With the six digits of its print before it.
    #[serde(rename = "f")]
    completed: String,
    /// Seconds after the first one.
    #[serde(rename = "a")]
    started: String,
    /// Lists; an empty text is the one before it.
    #[serde(rename = "i")]
    containers: String,
    /// One digit of each service.
    #[serde(rename = "k")]
    flags: String,
}

impl Packed {
    fn of(run: &Resume) -> Self {
        let services = &run.services;
        let began = services.iter().map(|one| one.started).min().unwrap_or_default();
        let column = |of: &dyn Fn(&UnderWay) -> String| services.iter().map(of).collect::<Vec<_>>().join(" ");
        let familiar = |one: &UnderWay, revision: &str| match revision.strip_prefix(&one.service) {
            Some(number) if number.starts_with(':') => number.to_owned(),
            _ => revision.to_owned(),
        };
        let other = |one: &UnderWay, revision: Option<&String>| match revision {
            Some(revision) if Some(revision) == before(&one.revision).as_ref() => String::new(),
            Some(revision) => familiar(one, revision),
            None => NONE.to_owned(),
        };
        let foreign = |id: &String| number(id).map_or_else(|| id.clone(), |_| String::new());
        let listed = |names: &BTreeSet<String>| match names.len() {
            0 => ",".to_owned(),
            _ => names.iter().cloned().collect::<Vec<_>>().join(","),
        };
        Self {
            region: run.region.clone(),
            wishes: run.wishes,
            began,
            services: column(&|one| one.service.clone()),
            clusters: once(services.iter().map(|one| one.cluster.clone())),
            deployments: column(&|one| foreign(&one.deployment)),
            revisions: column(&|one| familiar(one, &one.revision)),
            previous: column(&|one| other(one, one.before.revision.as_ref())),
            completed: column(&|one| match &one.before.completed {
                Some(completed) => format!(
                    "{}{}",
                    digits(completed.deployment),
                    other(one, Some(&completed.revision))
                ),
                None => NONE.to_owned(),
            }),
            started: column(&|one| one.started.saturating_sub(began).to_string()),
            containers: once(services.iter().map(|one| listed(&one.containers))),
            flags: services
                .iter()
                .map(|one| char::from(b'0' + u8::from(one.appeared) + 2 * u8::from(one.before.done)))
                .collect(),
        }
    }

    /// The run again; none if a member does not fit the others.
    fn resume(&self, fixed: &[u8]) -> Option<Resume> {
        let services: Vec<&str> = self.services.split(' ').collect();
        if fixed.len() != services.len() * BYTES {
            return None;
        }
        let column = |text: &str| {
            let values: Vec<String> = text.split(' ').map(str::to_owned).collect();
            (values.len() == services.len()).then_some(values)
        };
        let clusters = again(column(&self.clusters)?);
        let deployments = column(&self.deployments)?;
        let (revisions, previous) = (column(&self.revisions)?, column(&self.previous)?);
        let (completed, started) = (column(&self.completed)?, column(&self.started)?);
        let containers = again(column(&self.containers)?);
        let mut fixed = fixed.chunks_exact(BYTES);
        let mut flags = self.flags.bytes();
        let mut under_way = Vec::new();
        for (at, service) in services.iter().enumerate() {
            service.parse::<ServiceName>().ok()?;
            let revision = |text: &String| match text.strip_prefix(':') {
                Some(number) => format!("{service}:{number}"),
                None => text.clone(),
            };
            let ours = revision(revisions.get(at)?);
            let other = |text: &String| match text.as_str() {
                NONE => None,
                "" => before(&ours),
                _ => Some(revision(text)),
            };
            let (number, prints) = fixed.next()?.split_first_chunk()?;
            let print = |at: usize| prints.get(3 * at..3 * at + 3)?.try_into().ok().map(Print);
            let deployment = deployments.get(at)?;
            let flags = flags.next()?.checked_sub(b'0').filter(|flags| *flags < 4)?;
            let names = containers.get(at)?.split(',').filter(|name| !name.is_empty());
            under_way.push(UnderWay {
                cluster: clusters.get(at)?.clone(),
                service: (*service).to_owned(),
                deployment: if deployment.is_empty() {
                    named(u64::from_be_bytes(*number))
                } else {
                    deployment.clone()
                },
                started: self.began.checked_add(started.get(at)?.parse().ok()?)?,
                appeared: flags & 1 != 0,
                containers: names
                    .map(|name| name.parse::<ContainerName>().map(|name| name.to_string()))
                    .collect::<Result<_, _>>()
                    .ok()?,
                images: print(0)?,
                before: Before {
                    deployment: print(1)?,
                    revision: other(previous.get(at)?),
                    completed: match completed.get(at)?.as_str() {
                        NONE => None,
                        text => {
                            let (print, text) = text.split_at_checked(DIGITS)?;
                            Some(Completed {
                                deployment: of_digits(print)?,
                                revision: other(&text.to_owned())?,
                            })
                        }
                    },
                    done: flags & 2 != 0,
                    event: print(2)?,
                },
                revision: ours,
            });
        }
        Some(Resume {
            region: self.region.clone(),
            wishes: self.wishes,
            services: under_way,
        })
    }
}

fn digits(print: Print) -> String {
    print.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn of_digits(digits: &str) -> Option<Print> {
    let byte = |at: usize| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok();
    Some(Print([byte(0)?, byte(1)?, byte(2)?]))
}

/// The revision just before one: `web:41` of `web:42`.
fn before(revision: &str) -> Option<String> {
    let (family, number) = revision.rsplit_once(':')?;
    let number: u64 = number.parse().ok()?;
    Some(format!("{family}:{}", number.checked_sub(1)?))
}

/// Values of which one that repeats the one before it is left empty.
fn once(values: impl Iterator<Item = String>) -> String {
    let mut last = String::new();
    let each = values.map(|value| {
        if value == last {
            return String::new();
        }
        last.clone_from(&value);
        value
    });
    each.collect::<Vec<_>>().join(" ")
}

/// The values that [`once`] left out.
fn again(values: Vec<String>) -> Vec<String> {
    let mut last = String::new();
    let each = values.into_iter().map(|value| {
        if !value.is_empty() {
            last = value;
        }
        last.clone()
    });
    each.collect()
}
