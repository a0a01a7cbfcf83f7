//! The registrations of a run: in each family's turn, and no faster than their quota allows, both over all runs of the
//! process.

use crate::ecs::mark::Marking;
use crate::ecs::quota::Category;
use crate::ecs::service::{Ecs, ServiceError};
use crate::ecs::task_definition::TaskDefinition;
use crate::stage::Tools;
use std::time::Duration;

/// Attempts at a change: to register while somebody else registers the same family, and to update while ECS throttles.
pub(super) const ATTEMPTS: u64 = 6;

/// Waits until one more registration fits into the quota.
async fn fit(tools: &Tools, ecs: &Ecs) {
    let wait = ecs.limits().take(Category::Registration, tools.clock.now());
    if !wait.is_zero() {
        // A caller that goes on after a stop has seconds only, so it asks at once; ECS refuses what is too much.
        let _ = tools.clock.pause(wait, &tools.shutdown).await;
    }
}

/// Registers a task definition in its family's turn; waits for the quota, and while somebody else registers the same
/// family. A marked one is registered in one attempt each time: after a lost answer it is looked for before it is
/// registered again. None if it is not wanted any more once its turn has come.
pub(super) async fn register_definition(
    tools: &Tools,
    ecs: &Ecs,
    definition: &TaskDefinition,
    marking: Option<&Marking>,
    halted: impl Fn() -> bool,
) -> Result<Option<String>, ServiceError> {
    let _turn = ecs.limits().turn(definition.family()).await;
    let marked = marking.map(|marking| definition.clone().with_tags(&marking.tags(definition.family())));
    let mut attempt = 1;
    loop {
        fit(tools, ecs).await;
        if halted() {
            return Ok(None);
        }
        let registered = match &marked {
            Some(marked) => ecs.register_once(marked).await,
            None => ecs.register(definition).await,
        };
        let error = match registered {
            Ok(arn) => return Ok(Some(arn)),
            Err(error) => error,
        };
        let doubt = error.is_in_doubt();
        let again = error.is_registration_race() || error.is_throttled() || (doubt && marked.is_some());
        if !again || attempt >= ATTEMPTS {
            return Err(error);
        }
        if error.is_throttled() {
            ecs.limits().drain(Category::Registration, tools.clock.now());
        }
        pause(tools, attempt).await;
        if let (true, Some(marking)) = (doubt, marking) {
            match found_meanwhile(tools, ecs, definition, marking, &mut attempt).await {
                Some(Some(arn)) => return Ok(Some(arn)),
                Some(None) => {}
                None => return Err(error),
            }
        }
        attempt += 1;
    }
}

/// Whether a registration whose answer was lost took effect: the revision's ARN, or none. None at all if that could not
/// be found out.
async fn found_meanwhile(
    tools: &Tools,
    ecs: &Ecs,
    definition: &TaskDefinition,
    marking: &Marking,
    attempt: &mut u64,
) -> Option<Option<String>> {
    loop {
        match ecs.find_marked(definition, marking).await {
            Ok(found) => return Some(found.map(|found| found.arn)),
            Err(_) if *attempt < ATTEMPTS => {
                *attempt += 1;
                pause(tools, *attempt).await;
            }
            Err(_) => return None,
        }
    }
}

async fn pause(tools: &Tools, attempt: u64) {
    let time = Duration::from_secs(attempt);
    let _ = tools.clock.pause(time, &tools.shutdown).await;
}
