//! Launches that fail, at the pace that real services were seen to have.

use super::timeline::{Timeline, breaker, lines, row};
use serde_json::json;

const NO_IMAGE: &str = "[[fate]]\nrevision = 2\npull-failure = \"CannotPullContainerError: not found\"";

/// The seconds at which tasks were started.
fn starts(timeline: &mut Timeline) -> Vec<u64> {
    let events = timeline.events().into_iter();
    events
        .filter(|(_, text)| text.starts_with("has started"))
        .map(|(at, _)| at)
        .collect()
}

#[test]
fn failed_pulls_are_counted_as_late_as_a_real_service_counts_them() {
    // Seen: 1 at 2:34, 2 at 4:46, 3 at 11:00, the rollback at 11:44.
    let mut timeline = Timeline::serving(NO_IMAGE, 1, breaker());
    timeline.update(json!({}));
    let mut counted = Vec::new();
    for second in 1..=900 {
        timeline.pass(1);
        let failed = timeline.deployments()[0].5;
        if failed > counted.len() as u64 {
            counted.push(second);
        }
    }
    for (counted, seen) in counted.iter().zip([154_i64, 286, 660]) {
        assert!((counted - seen).abs() <= 25, "{counted} and {seen}");
    }
    let failed = timeline.pass_until("rolling back to deployment");
    assert!((660..=704).contains(&failed), "{failed}");
}

#[test]
fn without_a_breaker_launches_back_off_to_a_quarter_of_an_hour_and_the_event_is_told_once() {
    let mut timeline = Timeline::serving(NO_IMAGE, 1, json!({}));
    timeline.update(json!({}));
    timeline.pass(2 * 3600);
    let starts = starts(&mut timeline);
    let gaps: Vec<u64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.is_sorted(), "{gaps:?}");
    // The pull's retries come on top of the wait.
    assert!(
        gaps.last().is_some_and(|gap| (900..=1060).contains(gap)),
        "{gaps:?}"
    );
    let told = timeline
        .events()
        .iter()
        .filter(|(_, text)| text == "is unable to consistently start tasks successfully.")
        .count();
    assert_eq!(told, 1);
    assert_eq!(timeline.deployments()[0].1, "IN_PROGRESS");
}

#[test]
fn a_cycle_of_six_to_seven_minutes_was_seen_too() {
    let scenario = format!("[ecs]\nback-off-cap-seconds = 240\n{NO_IMAGE}");
    let mut timeline = Timeline::serving(&scenario, 1, json!({}));
    timeline.update(json!({}));
    timeline.pass(3600);
    let starts = starts(&mut timeline);
    for pair in starts[1..].windows(2) {
        assert!((360..=420).contains(&(pair[1] - pair[0])), "{starts:?}");
    }
}

#[test]
fn a_breaker_that_never_trips_leaves_a_deployment_in_progress_without_a_word() {
    let scenario = format!("[ecs]\nstalls-after = 2\n{NO_IMAGE}");
    let mut timeline = Timeline::serving(&scenario, 1, breaker());
    timeline.update(json!({}));
    timeline.pass(17 * 60);
    assert_eq!(
        timeline.deployments(),
        [
            row("PRIMARY", "IN_PROGRESS", [0, 0, 0, 2]),
            row("ACTIVE", "COMPLETED", [1, 1, 0, 0])
        ]
    );
    let last = timeline.events().last().unwrap().0;
    assert!(last < 6 * 60, "{:?}", timeline.events());
}

#[test]
fn a_breaker_may_be_silent_for_three_quarters_of_an_hour_and_then_trip() {
    let scenario = format!("[ecs]\nstalls-after = 2\nstall-minutes = 46\n{NO_IMAGE}");
    let mut timeline = Timeline::serving(&scenario, 1, breaker());
    timeline.update(json!({}));
    let failed = timeline.pass_until("deployment failed");
    let events = timeline.events();
    let silence = events.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap();
    assert!((46 * 60..48 * 60).contains(&silence), "{:#?}", lines(events));
    assert!(failed > 50 * 60);
}

#[test]
fn tasks_that_ran_before_they_died_cause_no_back_off() {
    let crash = "[[fate]]\nrevision = 2\ncrash = { after-seconds = 1 }";
    let mut timeline = Timeline::serving(crash, 1, json!({}));
    timeline.update(json!({}));
    timeline.pass(3600);
    let starts = starts(&mut timeline);
    for pair in starts.windows(2) {
        assert!((45..=55).contains(&(pair[1] - pair[0])), "{starts:?}");
    }
    let events = timeline.events();
    assert!(events.iter().all(|(_, text)| !text.contains("consistently")));
}

#[test]
fn the_old_steady_state_may_be_told_once_more_during_a_roll() {
    let mut timeline = Timeline::serving("[ecs]\nsteady-after-update = true", 1, json!({}));
    timeline.pass(60);
    timeline.start_over();
    timeline.update(json!({}));
    assert_eq!(lines(timeline.events()), ["   0 has reached a steady state."]);
    assert_eq!(timeline.deployments()[0].1, "IN_PROGRESS");
    timeline.pass(600);
    let told = timeline
        .events()
        .iter()
        .filter(|(_, text)| text.contains("steady"))
        .count();
    assert_eq!(told, 2);
}
