//! A run in few bytes: how many services it has; of each its deployment's number and its prints, which nothing can deflate;
//! and deflated text, one line per member, in which the values of all services are separated by spaces. No name, id,
//! revision or ARN of AWS has a space in it.

use super::{Before, Completed, Kept, Print, Resume, UnderWay, Wishes};
use crate::config::settings::{Place, Role};
use crate::name::{ContainerName, ServiceName};
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use std::collections::BTreeSet;
use std::io::Read;

/// What ECS puts before the number of a deployment.
const DEPLOYMENT: &str = "ecs-svc/";

/// What a service has instead of a revision that there was not.
const NONE: &str = "-";

/// Bytes of one service that are not deflated: a number and three prints.
const BYTES: usize = 8 + 1 + 3 + 2;

/// Bytes of the print of tasks that ran, for services of which it is kept.
const TASKS: usize = 3;

/// Hexadecimal digits of the print of a deployment.
const DIGITS: usize = 6;

/// The longest text that a token may hold; a deflated one could be anything.
const MOST_TEXT: u64 = 256 * 1024;

/// Between the parts of a place.
const PART: char = '|';

/// The last member of a service's flags.
const FLAGS: [char; 8] = ['0', '1', '2', '3', '4', '5', '6', '7'];

/// A run in few bytes.
pub(super) fn pack(run: &Resume) -> Vec<u8> {
    let count = |number: usize| u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
    let tasks = run.services.iter().filter_map(|one| one.kept.print());
    let mut packed = count(run.services.len()).to_vec();
    packed.extend(count(tasks.clone().count()));
    for one in &run.services {
        packed.extend(number(&one.deployment).unwrap_or_default().to_be_bytes());
        packed.extend(one.images.0);
        packed.extend(one.before.deployment.0);
        packed.extend(one.before.event.0);
    }
    packed.extend(tasks.flat_map(|print| print.0));
    let text = text(run);
    // Reading from memory into memory does not fail.
    let _ = DeflateEncoder::new(text.as_bytes(), Compression::best()).read_to_end(&mut packed);
    packed
}

/// The run again; none if the bytes are no run's.
pub(super) fn unpack(bytes: &[u8]) -> Option<Resume> {
    let (count, bytes) = bytes.split_first_chunk()?;
    let (tasks, bytes) = bytes.split_first_chunk()?;
    let (fixed, bytes) = bytes.split_at_checked(usize::from(u16::from_be_bytes(*count)) * BYTES)?;
    let (tasks, deflated) = bytes.split_at_checked(usize::from(u16::from_be_bytes(*tasks)) * TASKS)?;
    let mut text = String::new();
    DeflateDecoder::new(deflated)
        .take(MOST_TEXT)
        .read_to_string(&mut text)
        .ok()?;
    read(&text, fixed, tasks)
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

fn text(run: &Resume) -> String {
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
    let flags = |one: &UnderWay| {
        let flags = [one.before.done, one.changed, one.proven];
        let flags = flags
            .iter()
            .rev()
            .fold(0, |all, flag| 2 * all + usize::from(*flag));
        FLAGS.get(flags).copied().unwrap_or('0')
    };
    let lines = [
        run.region.clone(),
        wishes(&run.wishes),
        // Seconds since the Unix epoch when the first service was updated, and after that when this was written.
        format!("{began} {} {}", run.written.saturating_sub(began), run.percent),
        column(&|one| one.service.clone()),
        // An empty one is the one before it, here and below.
        once(services.iter().map(|one| place(&one.place))),
        once(services.iter().map(|one| one.cluster.clone())),
        // Ids that are no numbers.
        column(&|one| foreign(&one.deployment)),
        // A family that is named as the service is left out.
        column(&|one| familiar(one, &one.revision)),
        // The one just before ours is left out.
        column(&|one| other(one, one.before.revision.as_ref())),
        // With the six digits of its print before it.
        column(&|one| match &one.before.completed {
            Some(completed) => format!(
                "{}{}",
                completed.deployment.digits(),
                other(one, Some(&completed.revision))
            ),
            None => NONE.to_owned(),
        }),
        // Seconds after the first one.
        column(&|one| one.started.saturating_sub(began).to_string()),
        once(services.iter().map(|one| listed(&one.containers))),
        services.iter().map(flags).collect(),
        // Services that are looked at together are alike in how long ago things were seen.
        once(services.iter().map(|one| {
            let age = run.written.saturating_sub(one.started);
            format!("{NONE}{}", one.kept.clone().turned(age).text())
        })),
    ];
    lines.join("\n")
}

/// The run again; none if a member does not fit the others.
fn read(text: &str, fixed: &[u8], tasks: &[u8]) -> Option<Resume> {
    let lines: Vec<&str> = text.split('\n').collect();
    let [
        region,
        wishes,
        times,
        services,
        places,
        clusters,
        deployments,
        revisions,
        previous,
        completed,
        started,
        containers,
        flags,
        kept,
    ] = lines[..]
    else {
        return None;
    };
    let [began, written, percent] = times.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let began: u64 = began.parse().ok()?;
    let written = began.checked_add(written.parse().ok()?)?;
    let percent = percent.parse().ok().filter(|percent| *percent <= 100)?;
    let services: Vec<&str> = services.split(' ').collect();
    if fixed.len() != services.len() * BYTES {
        return None;
    }
    let column = |text: &str| {
        let values: Vec<String> = text.split(' ').map(str::to_owned).collect();
        (values.len() == services.len()).then_some(values)
    };
    let (places, clusters) = (again(column(places)?), again(column(clusters)?));
    let deployments = column(deployments)?;
    let (revisions, previous) = (column(revisions)?, column(previous)?);
    let (completed, started) = (column(completed)?, column(started)?);
    let (containers, kept) = (again(column(containers)?), again(column(kept)?));
    let mut fixed = fixed.chunks_exact(BYTES);
    let mut tasks = tasks.chunks_exact(TASKS);
    let mut flags = flags.chars();
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
        let (images, prints) = prints.split_first_chunk()?;
        let (deployment_before, event) = prints.split_first_chunk()?;
        let deployment = deployments.get(at)?;
        let flag = flags.next()?;
        let flags = FLAGS.iter().position(|known| *known == flag)?;
        let names = containers.get(at)?.split(',').filter(|name| !name.is_empty());
        let started = began.checked_add(started.get(at)?.parse().ok()?)?;
        let mut kept =
            Kept::of_text(kept.get(at)?.strip_prefix(NONE)?)?.turned(written.saturating_sub(started));
        if kept.print().is_some() {
            kept = kept.with_print(Print(tasks.next()?.try_into().ok()?));
        }
        under_way.push(UnderWay {
            place: of_place(places.get(at)?)?,
            cluster: clusters.get(at)?.clone(),
            service: (*service).to_owned(),
            deployment: if deployment.is_empty() {
                named(u64::from_be_bytes(*number))
            } else {
                deployment.clone()
            },
            started,
            changed: flags & 2 != 0,
            proven: flags & 4 != 0,
            containers: names
                .map(|name| name.parse::<ContainerName>().map(|name| name.to_string()))
                .collect::<Result<_, _>>()
                .ok()?,
            images: Print(*images),
            before: Before {
                deployment: Print(*deployment_before),
                revision: other(previous.get(at)?),
                completed: match completed.get(at)?.as_str() {
                    NONE => None,
                    text => {
                        let (print, text) = text.split_at_checked(DIGITS)?;
                        Some(Completed {
                            deployment: Print::of_digits(print)?,
                            revision: other(&text.to_owned())?,
                        })
                    }
                },
                done: flags & 1 != 0,
                event: Print(event.try_into().ok()?),
            },
            kept,
            revision: ours,
        });
    }
    Some(Resume {
        region: region.to_owned(),
        wishes: of_wishes(wishes)?,
        written,
        percent,
        services: under_way,
    })
}

/// A letter for each wish, then the timeout.
fn wishes(wishes: &Wishes) -> String {
    let letters = [
        (wishes.steady, 'u'),
        (wishes.allow_zero, 'z'),
        (wishes.leave, 'l'),
        (wishes.all_back, 'a'),
        (wishes.fail_fast, 'f'),
    ];
    let letters = letters.iter().filter(|(wanted, _)| *wanted);
    let letters: String = letters.map(|(_, letter)| letter).collect();
    format!("{letters}{}", wishes.timeout)
}

fn of_wishes(text: &str) -> Option<Wishes> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let (letters, timeout) = text.split_at(start);
    letters
        .chars()
        .all(|letter| "uzlaf".contains(letter))
        .then_some(())?;
    Some(Wishes {
        steady: letters.contains('u'),
        allow_zero: letters.contains('z'),
        leave: letters.contains('l'),
        all_back: letters.contains('a'),
        fail_fast: letters.contains('f'),
        timeout: timeout.parse().ok()?,
    })
}

/// Region, role and external id.
fn place(place: &Place) -> String {
    let mut text = place.region.clone().unwrap_or_default();
    if let Some(role) = &place.role {
        text.push(PART);
        text.push_str(&role.arn);
        if let Some(external_id) = &role.external_id {
            text.push(PART);
            text.push_str(external_id);
        }
    }
    if text.is_empty() { NONE.to_owned() } else { text }
}

fn of_place(text: &str) -> Option<Place> {
    let mut parts = text.split(PART);
    let region = parts.next().filter(|region| !matches!(*region, "" | NONE));
    let arn = parts.next();
    let external_id = parts.next();
    if parts.next().is_some() {
        return None;
    }
    Some(Place {
        region: region.map(str::to_owned),
        role: arn.map(|arn| Role {
            arn: arn.to_owned(),
            external_id: external_id.map(str::to_owned),
        }),
    })
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
