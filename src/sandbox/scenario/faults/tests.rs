//! Faults: read, counted, decided.

use super::{Action, Change, Faults, Path};
use std::time::Duration;

fn read(text: &str) -> Result<Faults, Vec<String>> {
    let table: toml::Table = toml::from_str(text).unwrap();
    let mut problems = Vec::new();
    let faults = Faults::read(table.get("fault"), &mut problems);
    if problems.is_empty() {
        Ok(faults)
    } else {
        Err(problems
            .into_iter()
            .map(|one| format!("{}: {}", one.place, one.problem))
            .collect())
    }
}

/// Which of six requests are hit.
fn hits(turn: &str) -> Vec<u32> {
    let mut faults = read(&format!("[[fault]]\naction = \"throttle\"\n{turn}")).unwrap();
    (1..=6)
        .filter(|_| faults.decide("ecs", "ListTasks", false).is_some())
        .collect()
}

#[test]
fn turns_are_counted_from_one() {
    assert_eq!(hits(""), [1, 2, 3, 4, 5, 6]);
    assert_eq!(hits("nth = 3"), [3]);
    assert_eq!(hits("every = 2"), [2, 4, 6]);
    assert_eq!(hits("from = 2\nto = 4"), [2, 3, 4]);
    assert_eq!(hits("from = 5"), [5, 6]);
}

#[test]
fn a_fault_counts_only_what_it_matches() {
    let mut faults = read(
        "[[fault]]\nservice = \"ecs\"\noperation = \"Describe*\"\nnth = 2\naction = \"refuse\"\n\
         [[fault]]\nservice = \"s3\"\naction = \"slow\"\nms = 1500",
    )
    .unwrap();
    assert_eq!(faults.decide("ecs", "DescribeServices", false), None);
    assert_eq!(faults.decide("ecs", "ListTasks", false), None);
    assert_eq!(faults.decide("ecr", "DescribeImages", false), None);
    assert_eq!(
        faults.decide("s3", "PutObject", false),
        Some(Action::Slow(Duration::from_millis(1500)))
    );
    assert_eq!(faults.decide("ecs", "DescribeTasks", false), Some(Action::Refuse));
    assert!(!faults.needs_memory());
}

#[test]
fn a_fault_of_polls_that_are_offered_jobs_counts_no_other() {
    let text = "[[fault]]\noperation = \"PollForJobs\"\noffers = true\nnth = 2\naction = \"hold\"";
    let mut faults = read(text).unwrap();
    assert!(faults.ask_for_offers());
    let mut hit = |offers| faults.decide("codepipeline", "PollForJobs", offers).is_some();
    let hits = [false, true, false, true, true].map(&mut hit);
    assert_eq!(hits, [false, false, false, true, false]);
}

#[test]
fn every_action_can_be_written() {
    for (text, action) in [
        ("action = \"throttle\"", Action::Throttle),
        ("action = \"http\"", Action::Http(503)),
        ("action = \"http\"\nstatus = 502", Action::Http(502)),
        ("action = \"lost-answer\"", Action::LostAnswer),
        ("action = \"refuse\"", Action::Refuse),
        ("action = \"hold\"", Action::Hold),
        ("action = \"hold-answer\"", Action::HoldAnswer),
        ("action = \"stale\"", Action::Stale),
        ("action = \"access-denied\"", Action::AccessDenied),
        ("action = \"expired-token\"", Action::ExpiredToken),
        ("action = \"extra-members\"", Action::Change(Change::ExtraMembers)),
        ("action = \"cut-body\"", Action::Change(Change::CutBody)),
        (
            "action = \"other-body\"\nbody = \"<html>\"",
            Action::Change(Change::OtherBody("<html>".to_owned())),
        ),
        (
            "action = \"drop-member\"\nmember = \"deployments.status\"",
            Action::Change(Change::DropMember(Path::parse("deployments.status").unwrap())),
        ),
        (
            "action = \"unknown-word\"\nmember = \"status\"\nword = \"SULKING\"",
            Action::Change(Change::UnknownWord {
                member: Path::parse("status").unwrap(),
                word: "SULKING".into(),
            }),
        ),
        (
            "action = \"error\"\ncode = \"ServerException\"\nstatus = 500",
            Action::Error {
                code: "ServerException".into(),
                message: String::new(),
                status: 500,
            },
        ),
    ] {
        let mut faults = read(&format!("[[fault]]\n{text}")).unwrap();
        assert_eq!(
            faults.decide("sts", "GetCallerIdentity", false),
            Some(action),
            "{text}"
        );
    }
}

#[test]
fn all_problems_are_reported_with_their_place() {
    let problems = read(
        "[[fault]]\nservice = \"ec2\"\nnth = 0\ntypo = 1\naction = \"explode\"\n\
         [[fault]]\nnth = 1\nevery = 2\naction = \"slow\"\n\
         [[fault]]\naction = \"error\"\nstatus = 200\nfrom = 3\nto = 2\n\
         [[fault]]\naction = \"drop-member\"\nmember = \"a..b\"",
    )
    .unwrap_err();
    let places: Vec<_> = problems
        .iter()
        .map(|one| one.split(':').next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "fault[1].typo",
            "fault[1].service",
            "fault[1].nth",
            "fault[1].action",
            "fault[2]",
            "fault[2].ms",
            "fault[3].to",
            "fault[3].status",
            "fault[3].code",
            "fault[4].member",
        ]
    );
    assert_eq!(
        read("fault = 3").unwrap_err(),
        ["fault: expected tables: [[fault]]"]
    );
}
