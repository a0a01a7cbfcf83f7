use super::{Claim, FOLDER, Shelf, VERSION, name, text};
use crate::clock::{Clock, VirtualClock};
use crate::config::worker::OnAbandon;
use crate::ecs::resume::tests::run;
use crate::pipeline::job::Context;
use crate::report::event::{Event, Tell};
use crate::shutdown::Shutdown;
use crate::worker::handed::{Away, LONGEST};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1_767_225_600);

type Told = Arc<Mutex<Vec<String>>>;

fn shelf_at(state: &Path, now: Duration) -> (Shelf, Told) {
    let told = Told::default();
    let hears = Arc::clone(&told);
    let tell = Tell::new(move |event| {
        if let Event::Warning(text) = event {
            hears.lock().unwrap().push(text);
        }
    });
    let clock = Clock::Virtual(VirtualClock::starting_at(now));
    let rim = (clock, Shutdown::never(), tell);
    (Shelf::of(OnAbandon::Rollback, state, "eu-west-1", rim), told)
}

fn shelf(state: &Path) -> Shelf {
    shelf_at(state, NOW).0
}

fn away(action: &str, region: &str) -> Away {
    let context = Context {
        pipeline: "shop".to_owned(),
        pipeline_arn: format!("arn:aws:codepipeline:{region}:111122223333:shop"),
        action_execution: action.to_owned(),
        ..Context::default()
    };
    Away {
        noted: true,
        ..Away::new(&context, run(2), Some("web: 10 s".to_owned()), NOW)
    }
}

fn files(state: &Path) -> usize {
    fs::read_dir(state.join(FOLDER)).into_iter().flatten().count()
}

#[tokio::test]
async fn what_a_worker_handed_back_is_known_to_the_next_one_for_a_day() {
    let state = tempfile::tempdir().unwrap();
    let state = state.path();
    let one = away("a1", "eu-west-1");
    assert!(shelf(state).write(&one).await);
    let due = one.looked_at(Duration::ZERO);
    assert_eq!(shelf(state).all().await.unwrap(), [due]);
    let (later, told) = shelf_at(state, NOW + LONGEST);
    assert_eq!((later.all().await.unwrap(), files(state)), (vec![], 0));
    assert!(told.lock().unwrap().is_empty());
}

#[tokio::test]
async fn of_workers_that_share_a_folder_one_calls_a_deploy_off_until_it_succeeds() {
    let state = tempfile::tempdir().unwrap();
    let state = state.path();
    let (one, other) = (shelf(state), shelf(state));
    let away = away("a1", "eu-west-1");
    assert!(one.write(&away).await);
    let Claim::Ours(Some(hold)) = one.claim(&away).await else {
        panic!("nobody else has it");
    };
    assert!(matches!(other.claim(&away).await, Claim::Busy));
    // It failed, or its worker died.
    drop(hold);
    let Claim::Ours(Some(hold)) = other.claim(&away).await else {
        panic!("nobody has it any more");
    };
    other.done(hold).await;
    assert!(matches!(one.claim(&away).await, Claim::Gone));
    assert_eq!(files(state), 0);
    assert!(one.write(&away).await);
    other.remove(&away.context).await;
    assert!(
        matches!(one.claim(&away).await, Claim::Gone),
        "another worker has the deploy"
    );
}

#[tokio::test]
async fn what_is_not_ours_or_cannot_be_read_is_left_where_it_is_and_told() {
    let state = tempfile::tempdir().unwrap();
    let state = state.path();
    let folder = state.join(FOLDER);
    fs::create_dir(&folder).unwrap();
    let ours = away("a1", "eu-west-1");
    let newer = text(&ours).replace(
        &format!("\"version\":{VERSION}"),
        &format!("\"version\":{}", VERSION + 1),
    );
    fs::write(folder.join("newer.json"), newer).unwrap();
    fs::write(folder.join("damaged.json"), b"{\"pipeline\":").unwrap();
    fs::write(folder.join("young.half-0"), b"{\"pipeline\":").unwrap();
    let old = fs::File::create(folder.join("old.half-1")).unwrap();
    let written = old.metadata().unwrap().modified().unwrap();
    old.set_modified(written - Duration::from_secs(7200)).unwrap();
    let (shelf, told) = shelf_at(state, NOW);
    assert!(shelf.write(&away("a2", "eu-central-1")).await);
    assert_eq!(shelf.all().await.unwrap(), []);
    let mut told = told.lock().unwrap().clone();
    told.sort();
    assert!(
        matches!(&told[..], [damaged, newer] if damaged.contains("damaged.json") && newer.contains("newer slipway")),
        "{told:?}"
    );
    assert_eq!(files(state), 4, "only what nobody writes any more is gone");
    assert!(folder.join(name(&away("a2", "eu-central-1").context)).exists());
}

#[tokio::test]
async fn without_a_folder_a_worker_does_what_it_remembers() {
    let state = tempfile::tempdir().unwrap();
    fs::write(state.path().join(FOLDER), b"no folder").unwrap();
    let (shelf, told) = shelf_at(state.path(), NOW);
    let away = away("a1", "eu-west-1");
    assert!(!shelf.write(&away).await);
    assert_eq!(told.lock().unwrap().len(), 1);
    assert!(matches!(shelf.claim(&away).await, Claim::Ours(None)));
}
