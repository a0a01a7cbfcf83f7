//! Holds a verdict against the world: what was said must be so, by definitions that share nothing with the judge.

use crate::place::{GRAIN, STAYS, Truth, text};
use crate::play::Ended;
use crate::script::{Digests, Script};
use slipway::ecs::observation::BlindReason;
use slipway::ecs::rollout::{Doubt, Loss, Verdict};
use std::time::Duration;

/// How long the world may be healthy, and every look unharmed, before the verdict must be there: the longest pause
/// without any news.
const PATIENCE: Duration = Duration::from_secs(45);

/// What is wrong with how a history ended.
pub fn object(script: &Script, ended: &mut Ended) -> Result<(), String> {
    if let Some((late, waiting)) = ended.overdue.take().filter(|(late, _)| *late > PATIENCE) {
        return Err(format!(
            "late: healthy for {} s, and still waiting for {waiting}",
            late.as_secs()
        ));
    }
    match ended.verdict.clone() {
        Verdict::Wait(waiting) => Err(format!("ended while waiting for {waiting}")),
        Verdict::Healthy => success(script, ended),
        Verdict::Lost(loss) => lost(script, ended, &loss),
    }
}

/// What was true at some instant that the last look can have seen.
fn evidence(ended: &Ended) -> impl Iterator<Item = &Truth> {
    ended.truths.iter().filter(|truth| truth.at >= ended.wire.oldest)
}

/// The tasks that are good, as far as a client can tell: it counts by its own clock how long they have run, and an answer
/// from the past is older than it knows.
fn good_by_the_clients_clock(ended: &Ended, truth: &Truth) -> u64 {
    if !ended.wire.harmed_lately() {
        return truth.good;
    }
    let now = ended.truths.last().map(|last| last.at).unwrap_or_default();
    let age = now.saturating_sub(ended.wire.oldest);
    let stayed = truth.ran.iter().filter(|ran| **ran + age >= STAYS);
    truth.good.max(stayed.count() as u64)
}

fn success(script: &Script, ended: &Ended) -> Result<(), String> {
    let ours = ended.place.ours.as_str();
    let zero = |truth: &Truth| {
        script.allow_zero
            && truth.active
            && truth.desired == 0
            && truth.primary == ours
            && truth.is_completed()
    };
    if evidence(ended).any(zero) {
        return Ok(());
    }
    // The calls of one look see different instants: each thing must have been so at one of them.
    if !evidence(ended).any(|truth| truth.active && truth.primary == ours) {
        return Err("false success: our deployment was not the primary one".to_owned());
    }
    let desired = evidence(ended)
        .map(|truth| truth.desired)
        .filter(|desired| *desired > 0)
        .min()
        .unwrap_or_default();
    let good = evidence(ended).map(|truth| good_by_the_clients_clock(ended, truth));
    let good = good.max().unwrap_or_default();
    if desired == 0 || good < desired || evidence(ended).all(|truth| truth.wrong > 0) {
        return Err("false success: the world was not healthy".to_owned());
    }
    if !ended.wire.proven {
        return Err("false success: no answer showed the digest".to_owned());
    }
    if (script.steady || script.bakes()) && !evidence(ended).any(Truth::is_completed) {
        return Err("false success: it was not completed".to_owned());
    }
    if script.steady && !evidence(ended).any(|truth| truth.old == 0) {
        return Err("false success: old tasks were left".to_owned());
    }
    Ok(())
}

fn lost(script: &Script, ended: &mut Ended, loss: &Loss) -> Result<(), String> {
    let record = ended.place.our_record();
    let status = text(&record["status"]);
    let rolled = record["rollback"].is_object() || status.starts_with("ROLLBACK");
    let alarmed = script.alarmed && record["alarms"]["status"] == "TRIGGERED";
    let overdue = ended.healthy_for.is_some_and(|time| time > GRAIN);
    let resolved_wrong = ended
        .place
        .revision_is_wrong(&record["targetServiceRevision"]["arn"]);
    let last = ended.truths.last().unwrap().clone();
    let breaker = script.breaker.is_some();
    let watched = breaker || script.alarmed;
    let claim = |holds: bool, what: &str| {
        if holds {
            Ok(())
        } else {
            Err(format!("false failure: {what}; in truth {status}, {last:?}"))
        }
    };
    match loss {
        Loss::Failed { .. } => claim(
            // Somebody's request that finds nothing to go back to leaves it failed, too.
            (watched || status == "ROLLBACK_FAILED")
                && (last.ours.as_deref() == Some("FAILED") || status == "STOPPED")
                && (!rolled || status == "ROLLBACK_FAILED"),
            "it did not fail without a rollback",
        ),
        Loss::CannotStart { times, .. } => {
            // Tasks that end again and again are healthy for moments.
            let lasts = evidence(ended).all(|truth| truth.lasting > 0);
            let alike = ended.place.failures_alike();
            claim(
                !breaker && !lasts && *times >= 3 && alike >= *times as usize,
                &format!("{alike} tasks failed alike; breaker: {breaker}, some last: {lasts}"),
            )
        }
        // An alarm that went off is the first sign of a rollback that nothing keeps back any more.
        Loss::RollingBack { .. } => claim(rolled || alarmed, "nothing was rolled back"),
        // Somebody's deployment that came and went between two looks leaves what was there before; while service
        // deployments do not answer, nothing tells who brought it back.
        Loss::RolledBack { .. } => claim(
            status == "ROLLBACK_SUCCESSFUL"
                || (!ended.place.foreign.is_empty()
                    && text(&ended.place.before["deployments"][0]["id"]) == last.primary
                    && ended.wire.harmed_lately()),
            "it was not rolled back",
        ),
        Loss::RollbackFailed { .. } => claim(status == "ROLLBACK_FAILED", "no rollback failed"),
        Loss::Superseded { by, .. } => claim(
            // A rollback of somebody's deployment may have an id of its own.
            !ended.place.foreign.is_empty()
                && ended.place.primaries.contains(by)
                && *by != ended.place.ours
                && text(&ended.place.before["deployments"][0]["id"]) != *by,
            "nobody's deployment took its place",
        ),
        Loss::Stopped { .. } => claim(
            status == "STOPPED" && ended.place.foreign.is_empty(),
            "nobody stopped it, or another deployment took its place",
        ),
        Loss::ServiceGone { .. } => claim(!last.active, "the service is there"),
        Loss::WrongDigest { .. } => claim(
            // A revision keeps the digest that its first task had, and says it of the later ones.
            evidence(ended).any(|truth| truth.wrong > 0 || (truth.unproven > 0 && resolved_wrong)),
            "every digest is right",
        ),
        Loss::Deadline { .. } => {
            deadline(script, ended)?;
            claim(!overdue, "it was healthy at the deadline")
        }
        Loss::Stuck { failed, .. } => {
            deadline(script, ended)?;
            let failures = ended.place.failures();
            claim(!overdue, "it was healthy at the deadline")?;
            claim(failures >= *failed as usize && *failed > 0, "fewer tasks failed")
        }
        Loss::CannotTell(doubt) => cannot_tell(script, ended, doubt),
    }
}

fn deadline(script: &Script, ended: &Ended) -> Result<(), String> {
    if ended.place.elapsed() >= Duration::from_secs(script.timeout.into()) {
        return Ok(());
    }
    Err(format!(
        "false failure: a deadline after {:?}",
        ended.place.elapsed()
    ))
}

fn cannot_tell(script: &Script, ended: &Ended, doubt: &Doubt) -> Result<(), String> {
    let refused = |wanted: &[BlindReason], action: Option<&str>| {
        let mut refused = ended.wire.refused.iter();
        refused.any(|(of, why)| wanted.contains(why) && action.is_none_or(|action| action == *of))
    };
    let holds = match doubt {
        // What can be seen elsewhere must not be missed.
        Doubt::Denied { action } if action.contains("ServiceDeployments") && !script.hides_services() => {
            false
        }
        Doubt::Denied { action } => refused(&[BlindReason::Denied, BlindReason::Unsupported], Some(action)),
        Doubt::NoCredentials => refused(&[BlindReason::NoCredentials], None),
        Doubt::UnreadableIndex { .. } => script.digests == Digests::UnreadableIndex,
        Doubt::NoTasksWanted => evidence(ended).any(|truth| truth.desired == 0) || ended.wire.harmed_lately(),
        Doubt::Blind { .. } => {
            deadline(script, ended)?;
            let truth = ended.truths.last().unwrap();
            // What takes a second look to be believed may be seen too late for one.
            let changed =
                !truth.active || truth.primary != ended.place.ours || truth.ours.as_deref() == Some("FAILED");
            ended.wire.harmed_lately() || changed || truth.desired == 0 || truth.unproven > 0
        }
    };
    if holds {
        return Ok(());
    }
    Err(format!("false doubt: {doubt:?}; {:?}", ended.truths.last()))
}
