//! What an entry says, and who gets it.

use super::record::Foreign;
use super::{Entry, JournalError, Phase, Record, State, Taking};
use crate::pipeline::job::{ArtifactKeys, Context, Job, JobId, Offer};
use crate::pipeline::result::{Details, Ending, FailureReport, FailureType, Outcome, Variables};
use crate::report::event::{Event, Tell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1_767_225_600);

fn id(number: u64) -> JobId {
    JobId::new(format!("00000000-0000-4000-8000-{number:012}"))
}

fn offer(number: u64) -> Offer {
    let canary = |name: &str| format!("canary-{name}").into();
    Offer {
        job: Job {
            id: id(number),
            action_type: "Deploy/Slipway/1".parse().unwrap(),
            account: "000000000000".to_owned(),
            context: Context {
                pipeline: "shop".to_owned(),
                execution: "execution-1".to_owned(),
                action_execution: "action-1".to_owned(),
                ..Context::default()
            },
            configuration: BTreeMap::from([("Secrets".to_owned(), canary("secret"))]),
            inputs: Vec::new(),
            outputs: Vec::new(),
            continuation: Some("canary-continuation".to_owned()),
            key: None,
        },
        nonce: "3".to_owned(),
        keys: Some(ArtifactKeys {
            access_key_id: canary("id"),
            secret_access_key: canary("key"),
            session_token: canary("token"),
        }),
    }
}

fn open(directory: &Path) -> State {
    State::open(directory, Tell::nobody()).unwrap()
}

fn telling(directory: &Path) -> (State, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&told);
    let tell = Tell::new(move |event| {
        if let Event::Warning(text) | Event::Note(text) = event {
            hear.lock().unwrap().push(text);
        }
    });
    (State::open(directory, tell).unwrap(), told)
}

/// Takes all that there is.
async fn all_of(state: &State) -> Vec<Entry> {
    state.look(Box::new(|_| Taking::Now)).await.taken
}

async fn begin(state: &State, number: u64) -> Entry {
    state.begin(&offer(number), NOW).await.unwrap()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The one entry's file.
fn entry_in(directory: &Path) -> PathBuf {
    let mut entries = files(directory);
    entries.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.remove(0)
}

fn failed() -> Ending {
    Ending::Failure(FailureReport::new(FailureType::JobFailed, "error: it broke"))
}

#[test]
fn a_record_comes_back_from_its_file() {
    let again = Outcome::Again("swj1.x".to_owned(), Details::default());
    let done = Outcome::Final(
        Details {
            percent: Some(100),
            ..Details::default()
        },
        Variables(BTreeMap::from([("image".to_owned(), "x@sha256:1".to_owned())])),
    );
    for phase in [
        Phase::Acknowledging,
        Phase::Working,
        Phase::Reporting(failed()),
        Phase::Reporting(Ending::Success(again)),
        Phase::Reporting(Ending::Success(done)),
    ] {
        let record = Record {
            job: id(1),
            action_type: Some("Build/Slipway/1".parse().unwrap()),
            fleet: Some("blue".to_owned()),
            context: offer(1).job.context,
            nonce: "2".to_owned(),
            phase,
            attempts: 3,
            claimed: NOW,
        };
        assert_eq!(Record::read(&record.to_json()), Ok(record));
    }
}

#[test]
fn what_is_no_record_is_told_from_a_newer_one() {
    for (text, expected) in [
        ("", Foreign::Damaged),
        ("{}", Foreign::Damaged),
        ("[1]", Foreign::Damaged),
        ("{\"version\":1}", Foreign::Damaged),
        (
            "{\"version\":1,\"job\":\"1\",\"nonce\":\"1\",\"phase\":\"odd\",\"attempts\":0,\"claimed\":0}",
            Foreign::Damaged,
        ),
        (
            "{\"version\":1,\"job\":\"1\",\"nonce\":\"1\",\"phase\":\"reporting\",\"attempts\":0,\"claimed\":0}",
            Foreign::Damaged,
        ),
        ("{\"version\":2,\"anything\":[]}", Foreign::Newer(2)),
    ] {
        assert_eq!(Record::read(text.as_bytes()), Err(expected), "{text}");
    }
}

#[tokio::test]
async fn what_a_dead_worker_left_is_taken_up_by_one() {
    let directory = tempfile::tempdir().unwrap();
    let (dead, alive) = (open(directory.path()), open(directory.path()));
    let mut left = begin(&dead, 1).await;
    left.working().await.unwrap();
    let mut told = begin(&dead, 2).await;
    told.reporting(failed()).await.unwrap();
    assert!(all_of(&alive).await.is_empty(), "its worker lives");
    assert!(alive.is_in_other_hands(&id(1)).await && !alive.is_in_other_hands(&id(7)).await);
    let asked_for = begin(&dead, 3).await;
    assert!(!alive.is_in_other_hands(&id(3)).await, "it may be refused");
    asked_for.forget().await;
    drop((left, told));
    drop(dead);
    let orphans = all_of(&alive).await;
    let records: Vec<&Record> = orphans.iter().map(Entry::record).collect();
    assert_eq!(
        records.iter().map(|record| &record.job).collect::<Vec<_>>(),
        [&id(1), &id(2)]
    );
    assert_eq!(records[0].phase, Phase::Working);
    assert_eq!(records[1].phase, Phase::Reporting(failed()));
    for record in records {
        assert_eq!(
            (record.attempts, record.claimed, record.nonce.as_str()),
            (1, NOW, "3")
        );
        assert_eq!(record.context, offer(1).job.context);
    }
    let third = open(directory.path());
    assert!(all_of(&third).await.is_empty() && all_of(&alive).await.is_empty());
    // And the next, if that one dies too.
    drop(orphans);
    drop(alive);
    let orphans = all_of(&third).await;
    assert_eq!(
        orphans
            .iter()
            .map(|entry| entry.record().attempts)
            .collect::<Vec<_>>(),
        [2, 2]
    );
    for orphan in orphans {
        orphan.forget().await;
    }
    assert!(all_of(&third).await.is_empty());
    drop(third);
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );
}

#[tokio::test]
async fn what_there_is_no_room_for_is_left_to_whoever_has_some() {
    let directory = tempfile::tempdir().unwrap();
    let dead = open(directory.path());
    for number in 1..=3 {
        drop(begin(&dead, number).await);
    }
    drop(dead);
    let (busy, told) = telling(directory.path());
    let mut room = 1;
    let judge = move |record: &Record| match (&record.job, room) {
        (job, _) if *job == id(3) => Taking::Never("its fleet is `blue`".to_owned()),
        (_, 0) => Taking::Later,
        _ => {
            room = 0;
            Taking::Now
        }
    };
    let look = busy.look(Box::new(judge)).await;
    assert_eq!((look.taken.len(), look.waiting), (1, 2));
    for _ in 0..2 {
        let never = |_: &Record| Taking::Never("its fleet is `blue`".to_owned());
        assert_eq!(busy.look(Box::new(never)).await.waiting, 2);
    }
    assert_eq!(told.lock().unwrap().len(), 2, "once for each job: {told:?}");
    let other = open(directory.path());
    let jobs: Vec<JobId> = all_of(&other)
        .await
        .iter()
        .map(|entry| entry.record().job.clone())
        .collect();
    assert_eq!(jobs, [id(2), id(3)]);
}

#[tokio::test]
async fn a_journal_is_ill_from_a_write_that_failed_until_one_succeeds() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(directory.path());
    assert!(state.is_well().await.is_ok());
    let folder = directory.path().join(&workers(directory.path())[0]);
    let away = directory.path().join("away");
    fs::rename(&folder, &away).unwrap();
    assert!(state.begin(&offer(1), NOW).await.is_err());
    assert!(matches!(state.is_well().await, Err(JournalError::Write { .. })));
    fs::rename(&away, &folder).unwrap();
    assert!(state.is_well().await.is_ok());
    begin(&state, 1).await.forget().await;
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_brings_no_file_back() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(directory.path());
    for _ in 0..50 {
        let mut entry = begin(&state, 1).await;
        tokio::select! {
            biased;
            written = entry.reporting(failed()) => written.unwrap(),
            () = std::future::ready(()) => {}
        }
        entry.forget().await;
        // A thread of the journal that has another turn has had the one before.
        state.is_in_other_hands(&id(1)).await;
        let left = files(directory.path());
        assert!(left.iter().all(|path| path.ends_with("lock")), "{left:?}");
    }
}

#[tokio::test]
async fn a_folder_whose_worker_died_before_it_had_a_name_is_swept_when_it_is_old() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (
        directory.path().join(".worker-1"),
        directory.path().join(".worker-2"),
    );
    for folder in [&old, &new] {
        fs::create_dir(folder).unwrap();
    }
    let past = std::time::UNIX_EPOCH + NOW;
    fs::File::open(&old).unwrap().set_modified(past).unwrap();
    drop(open(directory.path()));
    assert_eq!((old.exists(), new.exists()), (false, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_look_at_the_same_time_one_gets_each() {
    let directory = tempfile::tempdir().unwrap();
    for dead in 0..6 {
        let state = open(directory.path());
        for job in 0..10 {
            drop(begin(&state, dead * 10 + job).await);
        }
    }
    let states: Vec<State> = (0..6).map(|_| open(directory.path())).collect();
    let looks = states.iter().map(|state| {
        let state = state.clone();
        tokio::spawn(async move {
            let mut got = Vec::new();
            for _ in 0..20 {
                got.extend(all_of(&state).await);
            }
            got
        })
    });
    let mut got = Vec::new();
    for look in looks.collect::<Vec<_>>() {
        got.extend(look.await.unwrap());
    }
    let jobs: BTreeSet<&JobId> = got.iter().map(|entry| &entry.record().job).collect();
    assert_eq!((got.len(), jobs.len()), (60, 60));
    assert!(got.iter().all(|entry| entry.record().attempts == 1));
}

#[tokio::test]
async fn what_this_process_could_not_close_comes_back_without_counting_as_left() {
    let directory = tempfile::tempdir().unwrap();
    for state in [open(directory.path()), State::none()] {
        let mut entry = begin(&state, 1).await;
        assert!(all_of(&state).await.is_empty(), "it is held");
        entry.reporting(failed()).await.unwrap();
        drop(entry);
        let mut orphans = all_of(&state).await;
        let record = orphans.remove(0);
        assert_eq!(
            (record.record().attempts, &record.record().phase),
            (0, &Phase::Reporting(failed()))
        );
        assert!(orphans.is_empty() && all_of(&state).await.is_empty());
        record.forget().await;
        assert!(all_of(&state).await.is_empty());
    }
}

#[tokio::test]
async fn a_job_is_held_once_and_an_offer_takes_up_what_was_left() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(directory.path());
    let entry = begin(&state, 1).await;
    let again = state.begin(&offer(1), NOW).await;
    assert!(matches!(again, Err(JournalError::Held(job)) if job == id(1)));
    drop(entry);
    let entry = begin(&state, 1).await;
    assert!(all_of(&state).await.is_empty());
    entry.forget().await;
    begin(&state, 1).await.forget().await;
}

#[tokio::test]
async fn what_is_forgotten_is_gone_whoever_waits_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(directory.path());
    let entry = begin(&state, 1).await;
    let file = entry_in(directory.path());
    tokio::select! {
        biased;
        () = entry.forget() => {}
        () = std::future::ready(()) => {}
    }
    assert!(all_of(&state).await.is_empty());
    while matches!(state.begin(&offer(1), NOW).await, Err(JournalError::Held(_))) {
        tokio::task::yield_now().await;
    }
    // That one was dropped at once, and is left; its file is not the one that was removed.
    assert!(file.exists());
    assert_eq!(all_of(&state).await.len(), 1);
}

#[tokio::test]
async fn a_job_that_was_offered_again_is_not_taken_from_the_dead_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let (dead, alive) = (open(directory.path()), open(directory.path()));
    drop(begin(&dead, 1).await);
    let ours = begin(&alive, 1).await;
    drop(dead);
    assert!(all_of(&alive).await.is_empty());
    ours.forget().await;
    assert!(all_of(&alive).await.is_empty());
}

#[tokio::test]
async fn a_damaged_entry_is_set_aside_and_its_job_is_known_by_the_files_name() {
    let directory = tempfile::tempdir().unwrap();
    let dead = open(directory.path());
    drop(begin(&dead, 1).await);
    let file = entry_in(directory.path());
    fs::write(&file, "{\"version\":1,\"job\":\"00000").unwrap();
    fs::write(file.with_file_name("shopping-list.json"), "milk").unwrap();
    fs::write(file.with_file_name(".half-x.json"), "{").unwrap();
    drop(dead);
    let (alive, told) = telling(directory.path());
    let orphans = all_of(&alive).await;
    let record = orphans[0].record();
    assert_eq!(
        (orphans.len(), &record.job, &record.phase),
        (1, &id(1), &Phase::Working)
    );
    assert_eq!((record.action_type.as_ref(), record.attempts), (None, 1));
    let told = told.lock().unwrap().clone();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains(&format!("job {} is known", id(1))) && told[1].contains("of which job"));
    let aside: Vec<PathBuf> = files(&directory.path().join("aside"));
    assert_eq!(aside.len(), 2);
    assert_eq!(
        entry_in(&directory.path().join(workers(directory.path()).remove(0))),
        {
            files(directory.path())
                .into_iter()
                .find(|path| path.ends_with(format!("{}.json", id(1))))
                .unwrap()
        }
    );
}

fn workers(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("worker-")).collect()
}

#[tokio::test]
async fn an_entry_of_a_newer_slipway_is_left_to_it_and_told_once() {
    let directory = tempfile::tempdir().unwrap();
    let dead = open(directory.path());
    drop(begin(&dead, 1).await);
    let file = entry_in(directory.path());
    fs::write(&file, "{\"version\":2,\"job\":{\"id\":1}}").unwrap();
    drop(dead);
    let (alive, told) = telling(directory.path());
    for _ in 0..3 {
        assert!(all_of(&alive).await.is_empty());
    }
    assert!(file.exists());
    let told = told.lock().unwrap().clone();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("version 2"), "{}", told[0]);
}

#[tokio::test]
async fn no_entry_no_acknowledgement() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(directory.path());
    let mut held = begin(&state, 1).await;
    fs::remove_dir_all(directory.path()).unwrap();
    let refused = state.begin(&offer(2), NOW).await;
    assert!(matches!(refused, Err(JournalError::Write { .. })), "{refused:?}");
    assert!(held.working().await.is_err());
    drop(held);
    // What is held is known in memory still; what never was is not.
    let orphans = all_of(&state).await;
    assert_eq!(
        orphans
            .iter()
            .map(|entry| entry.record().job.clone())
            .collect::<Vec<_>>(),
        [id(1)]
    );
    for (kind, full) in [
        (io::ErrorKind::StorageFull, true),
        (io::ErrorKind::QuotaExceeded, true),
        (io::ErrorKind::PermissionDenied, false),
    ] {
        let error = JournalError::of(PathBuf::from("/state/x"), kind.into());
        assert_eq!(matches!(error, JournalError::NoSpace { .. }), full, "{kind:?}");
    }
}

#[tokio::test]
async fn nothing_secret_is_written_and_nobody_else_may_read_it() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory.path().join("made/here"));
    let mut entry = begin(&state, 1).await;
    entry.working().await.unwrap();
    let shown = format!("{state:?} {entry:?} {:?} {:?}", entry.record(), offer(1));
    assert!(!shown.contains("canary"), "{shown}");
    for file in files(directory.path()) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("canary"), "{}: {text}", file.display());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = entry_in(directory.path());
        let folder = file.parent().unwrap();
        assert_eq!((mode(&file), mode(&folder.join("lock"))), (0o600, 0o600));
        assert_eq!((mode(folder), mode(folder.parent().unwrap())), (0o700, 0o700));
    }
}

#[tokio::test]
async fn an_id_that_is_no_uuid_gets_a_file_inside_the_folder() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(directory.path());
    for odd in ["../../etc/passwd", "", "a/b", &"x".repeat(300), "\u{fc}"] {
        let mut offer = offer(1);
        offer.job.id = JobId::new(odd);
        let entry = state.begin(&offer, NOW).await.unwrap();
        let file = entry_in(directory.path());
        assert!(file.parent().unwrap().join("lock").exists(), "{odd}");
        drop(entry);
        let orphan = all_of(&state).await.remove(0);
        assert_eq!(orphan.record().job.as_str(), odd);
        orphan.forget().await;
    }
}

#[tokio::test]
async fn what_is_dropped_is_left_until_it_is_taken_up_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path());
    let entry = begin(&state, 1).await;
    assert_eq!(state.left(), 0, "it is held");
    drop(entry);
    assert_eq!(state.left(), 1);
    let mut orphans = all_of(&state).await;
    assert_eq!((orphans.len(), state.left()), (1, 0));
    orphans.remove(0).forget().await;
    assert_eq!(state.left(), 0);
}
