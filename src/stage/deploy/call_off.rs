//! Calling off rollouts that nobody waits for any more: the revisions of before come back.

use super::again::prepare_once;
use super::begin::Beginning;
use super::close::went_back;
use super::hidden::Hidden;
use super::resume::settings;
use super::roll::Run;
use super::undo::bring_back;
use crate::ecs::resume::Resume;
use crate::ecs::rollout::Ours;
use crate::failure::Failure;
use crate::stage::Tools;
use futures_util::future::{join_all, try_join_all};

/// Brings back what the services ran before an earlier stretch changed them, all at the same time, and watches for a
/// while. A service that somebody else has deployed to meanwhile is left alone. Gives what became of each, in a line.
///
/// # Errors
/// A service that cannot be looked at: none was touched then.
pub async fn call_off(tools: &Tools, resume: &Resume) -> Result<Vec<String>, Failure> {
    let changed = || resume.services.iter().filter(|earlier| earlier.changed);
    let mut prepared = try_join_all(changed().map(|earlier| prepare_once(tools, earlier))).await?;
    let hidden = Hidden::of(&prepared, &[]);
    for service in &mut prepared {
        service.hidden = hidden.clone();
    }
    let tools = &hidden.in_all_of(tools);
    let deploy = settings(&resume.wishes);
    let run = Run::new(tools, &deploy, &prepared);
    let (run, hidden) = (&run, &hidden);
    let back = prepared
        .iter()
        .zip(changed())
        .map(|(prepared, earlier)| async move {
            let begun = Beginning {
                ours: Ours {
                    deployment: earlier.deployment.clone(),
                },
                revision: earlier.revision.clone(),
                before: Box::new(prepared.service.clone()),
                kept: earlier.before.clone(),
            };
            let undone = Box::pin(bring_back(run, prepared, None, &begun)).await;
            let aftermath = went_back(undone, prepared, &earlier.revision, earlier.proven);
            hidden.text(&format!("{}: {}", aftermath.service, aftermath.left))
        });
    Ok(join_all(back).await)
}
