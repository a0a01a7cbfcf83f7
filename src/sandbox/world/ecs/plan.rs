//! The arithmetic of a rolling deployment: how many tasks to start and to stop, given what runs.
//!
//! Pure numbers; the scheduler picks the tasks. The rules are those of `minimumHealthyPercent` and `maximumPercent`
//! (UpdateService, DeploymentConfiguration).

/// How far the number of tasks may move during a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// At least so many healthy tasks stay.
    pub lower: u32,
    /// At most so many tasks run or start.
    pub upper: u32,
}

impl Bounds {
    /// The bounds for a desired count: the lower one rounded up, the upper one rounded down.
    #[must_use]
    pub fn of(desired: u32, minimum_healthy_percent: u32, maximum_percent: u32) -> Self {
        let share = |percent: u32| u64::from(desired) * u64::from(percent);
        let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            lower: narrow(share(minimum_healthy_percent).div_ceil(100)),
            upper: narrow(share(maximum_percent) / 100),
        }
    }
}

/// The tasks of one deployment that are meant to run, or that failed and still hold their place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Group {
    /// How many the scheduler wanted so far; read for deployments that are being replaced.
    pub wanted: u32,
    /// Tasks that are neither healthy nor unhealthy yet.
    pub starting: u32,
    /// Healthy tasks.
    pub healthy: u32,
    /// Tasks that failed a health check.
    pub unhealthy: u32,
    /// Tasks that failed and are not stopped yet: they are replaced once they are.
    pub ending: u32,
    /// Whether the deployment was complete once: only then are its lost tasks replaced.
    pub proven: bool,
}

impl Group {
    fn live(self) -> u32 {
        self.starting + self.healthy + self.unhealthy + self.ending
    }
}

/// What to do with the tasks of one deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moves {
    /// How many the scheduler wants: `desiredCount` of the deployment.
    pub wanted: u32,
    /// Tasks to start.
    pub start: u32,
    /// Of those, how many replace unhealthy ones.
    pub replacing: u32,
    /// Unhealthy tasks to stop.
    pub stop_unhealthy: u32,
    /// Starting tasks to stop.
    pub stop_starting: u32,
    /// Healthy tasks to stop.
    pub stop_healthy: u32,
}

/// What the scheduler may do with the deployment that is to win.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stance {
    /// Start and stop tasks.
    Free,
    /// Start nothing: launches back off.
    BackingOff,
    /// Start nothing and take nothing away from the others: the deployment failed and stays.
    Frozen,
}

/// How much of the new revision there is to be while two stand side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// None yet.
    Before,
    /// All of it, next to all of the old one.
    Both,
    /// All of it, alone.
    Alone,
}

/// Decides the moves of a deployment with stages: both revisions run in full, and `maximumPercent` bounds nothing.
/// `serving` is the place of the old revision; whatever else still runs goes at once.
#[must_use]
pub fn side_by_side(
    desired: u32,
    scale: Scale,
    stance: Stance,
    groups: &[Group],
    serving: Option<usize>,
) -> Vec<Moves> {
    let mut moves = Vec::with_capacity(groups.len());
    let (mut room, mut healthy) = (u32::MAX, groups.iter().map(|group| group.healthy).sum());
    for (index, group) in groups.iter().enumerate() {
        let mut own = Moves {
            wanted: group.wanted,
            ..Moves::default()
        };
        if index == 0 && scale != Scale::Before {
            start_primary(desired, stance, *group, &mut own, &mut room);
            shrink_primary(desired, 0, *group, &mut own, healthy);
        } else if Some(index) == serving && scale != Scale::Alone {
            keep_up(*group, &mut own, &mut room);
        } else if index > 0 && stance != Stance::Frozen {
            retire(*group, &mut own, true, 0, &mut healthy);
        }
        moves.push(own);
    }
    moves
}

/// Decides the moves for each deployment, the PRIMARY first.
#[must_use]
pub fn plan(desired: u32, bounds: Bounds, stance: Stance, groups: &[Group]) -> Vec<Moves> {
    let mut moves: Vec<Moves> = groups
        .iter()
        .map(|group| Moves {
            wanted: group.wanted,
            ..Moves::default()
        })
        .collect();
    let (Some((primary, others)), Some((first, rest))) = (groups.split_first(), moves.split_first_mut())
    else {
        return moves;
    };
    let mut room = bounds
        .upper
        .saturating_sub(groups.iter().copied().map(Group::live).sum());
    let mut healthy: u32 = groups.iter().map(|group| group.healthy).sum();

    start_primary(desired, stance, *primary, first, &mut room);
    for (group, moves) in others.iter().zip(rest.iter_mut()) {
        keep_up(*group, moves, &mut room);
    }
    if stance != Stance::Frozen {
        let won = primary.healthy >= desired;
        for (group, moves) in others.iter().zip(rest.iter_mut()) {
            retire(*group, moves, won, bounds.lower, &mut healthy);
        }
    }
    shrink_primary(desired, bounds.lower, *primary, first, healthy);
    moves
}

/// Starts what the PRIMARY lacks, unhealthy tasks' replacements included, and stops its unhealthy tasks once replaced.
fn start_primary(desired: u32, stance: Stance, group: Group, moves: &mut Moves, room: &mut u32) {
    let lacking = desired.saturating_sub(group.starting + group.healthy + group.ending);
    if stance == Stance::Free {
        moves.start = lacking.min(*room);
        moves.replacing = moves.start.min(group.unhealthy);
        *room -= moves.start;
    }
    moves.wanted = desired.min(group.live() + moves.start);
    moves.stop_unhealthy = stop_unhealthy(desired, group, moves.start, lacking);
}

/// Replaces the lost and the unhealthy tasks of a deployment that serves while another one rolls out.
fn keep_up(group: Group, moves: &mut Moves, room: &mut u32) {
    if !group.proven {
        moves.wanted = group.wanted.min(group.live());
        return;
    }
    let lacking = group
        .wanted
        .saturating_sub(group.starting + group.healthy + group.ending);
    moves.start = lacking.min(*room);
    moves.replacing = moves.start.min(group.unhealthy);
    *room -= moves.start;
    moves.stop_unhealthy = stop_unhealthy(group.wanted, group, moves.start, lacking);
}

/// How many unhealthy tasks go: those whose replacement is decided, or one at a time when `upper` leaves no room for a
/// replacement first.
fn stop_unhealthy(wanted: u32, group: Group, started: u32, lacking: u32) -> u32 {
    let decided = (group.healthy + group.unhealthy).saturating_sub(wanted);
    let cornered = u32::from(lacking > started);
    decided.max(cornered).min(group.unhealthy)
}

/// Stops tasks of a deployment that is being replaced, as far as `lower` allows.
fn retire(group: Group, moves: &mut Moves, won: bool, lower: u32, healthy: &mut u32) {
    if won || !group.proven {
        moves.stop_unhealthy = group.unhealthy;
        moves.stop_starting = group.starting;
        moves.start = 0;
        moves.replacing = 0;
    }
    moves.stop_healthy = group.healthy.min(healthy.saturating_sub(lower));
    *healthy -= moves.stop_healthy;
    let left = (group.live() + moves.start)
        .saturating_sub(moves.stop_healthy + moves.stop_starting + moves.stop_unhealthy);
    moves.wanted = moves
        .wanted
        .saturating_sub(moves.stop_healthy)
        .min(if won { left } else { u32::MAX });
}

/// Stops what the PRIMARY has beyond the desired count: unhealthy tasks, then starting ones, then healthy ones.
fn shrink_primary(desired: u32, lower: u32, group: Group, moves: &mut Moves, healthy: u32) {
    let settled = group.starting + group.healthy;
    let surplus = settled.saturating_sub(desired);
    if desired == 0 {
        moves.stop_unhealthy = group.unhealthy;
    }
    moves.stop_starting = surplus.min(group.starting);
    moves.stop_healthy = (surplus - moves.stop_starting).min(healthy.saturating_sub(lower));
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Group, Moves, Scale, Stance, plan, side_by_side};
    use proptest::prelude::{Strategy, prop_assert, proptest};

    fn new(starting: u32, healthy: u32, unhealthy: u32) -> Group {
        Group {
            wanted: starting + healthy + unhealthy,
            starting,
            healthy,
            unhealthy,
            ending: 0,
            proven: false,
        }
    }

    fn old(healthy: u32) -> Group {
        Group {
            proven: true,
            ..new(0, healthy, 0)
        }
    }

    #[test]
    fn bounds_round_the_lower_up_and_the_upper_down() {
        for (desired, minimum, maximum, lower, upper) in [
            (4, 50, 100, 2, 4),
            (2, 75, 100, 2, 2),
            (4, 100, 200, 4, 8),
            (3, 100, 125, 3, 3),
            (1, 100, 100, 1, 1),
            (0, 100, 200, 0, 0),
        ] {
            assert_eq!(Bounds::of(desired, minimum, maximum), Bounds { lower, upper });
        }
    }

    #[test]
    fn a_rollout_moves_as_the_documentation_works_it_out() {
        // (desired, min, max, primary, old) -> (started, old ones stopped)
        for (case, desired, minimum, maximum, primary, before, started, stopped) in [
            ("four more may start", 4, 100, 200, new(0, 0, 0), old(4), 4, 0),
            ("two go first", 4, 50, 100, new(0, 0, 0), old(4), 0, 2),
            ("then two start", 4, 50, 100, new(0, 0, 0), old(2), 2, 0),
            ("nothing can move", 2, 75, 100, new(0, 0, 0), old(2), 0, 0),
            ("nor here", 3, 100, 125, new(0, 0, 0), old(3), 0, 0),
            (
                "starting tasks replace nobody",
                2,
                100,
                200,
                new(2, 0, 0),
                old(2),
                0,
                0,
            ),
            (
                "one healthy task frees one",
                2,
                100,
                200,
                new(1, 1, 0),
                old(2),
                0,
                1,
            ),
            ("two free two", 2, 100, 200, new(0, 2, 0), old(2), 0, 2),
            (
                "none is kept for a count of zero",
                0,
                100,
                200,
                new(0, 0, 0),
                old(2),
                0,
                2,
            ),
        ] {
            let moves = plan(
                desired,
                Bounds::of(desired, minimum, maximum),
                Stance::Free,
                &[primary, before],
            );
            assert_eq!(
                (moves[0].start, moves[1].stop_healthy),
                (started, stopped),
                "{case}"
            );
        }
    }

    #[test]
    fn a_deployment_wants_nothing_that_it_cannot_start() {
        let moves = plan(4, Bounds::of(4, 50, 100), Stance::Free, &[new(0, 0, 0), old(4)]);
        assert_eq!((moves[0].wanted, moves[1].wanted), (0, 2));
    }

    #[test]
    fn an_unhealthy_task_is_replaced_first_where_there_is_room() {
        let steady = plan(2, Bounds::of(2, 100, 200), Stance::Free, &[new(0, 1, 1)]);
        assert_eq!(
            steady[0],
            Moves {
                wanted: 2,
                start: 1,
                replacing: 1,
                ..Moves::default()
            }
        );
        let replaced = plan(2, Bounds::of(2, 100, 200), Stance::Free, &[new(0, 2, 1)]);
        assert_eq!((replaced[0].start, replaced[0].stop_unhealthy), (0, 1));
        let cornered = plan(1, Bounds::of(1, 100, 200), Stance::Free, &[new(0, 0, 1), old(1)]);
        assert_eq!(
            (
                cornered[0].start,
                cornered[0].stop_unhealthy,
                cornered[1].stop_healthy
            ),
            (0, 1, 0)
        );
    }

    #[test]
    fn a_serving_deployment_replaces_its_own_lost_tasks_and_a_failed_one_does_not() {
        let lost = Group { wanted: 2, ..old(1) };
        let moves = plan(2, Bounds::of(2, 100, 200), Stance::Free, &[new(2, 0, 0), lost]);
        assert_eq!((moves[1].start, moves[1].wanted), (1, 2));
        let failed = Group {
            wanted: 2,
            ..new(1, 0, 0)
        };
        let back = plan(2, Bounds::of(2, 100, 200), Stance::Free, &[old(2), failed]);
        assert_eq!((back[1].start, back[1].stop_starting), (0, 1));
    }

    #[test]
    fn a_frozen_deployment_starts_nothing_and_takes_nothing_away() {
        let moves = plan(2, Bounds::of(2, 0, 200), Stance::Frozen, &[new(0, 0, 0), old(2)]);
        assert_eq!(moves[0], Moves::default());
        assert_eq!((moves[1].wanted, moves[1].stop_healthy), (2, 0));
    }

    #[test]
    fn side_by_side_the_old_revision_stays_whole_until_the_new_one_is_alone() {
        let moves =
            |scale, groups: &[Group]| side_by_side(2, scale, Stance::Free, groups, Some(groups.len() - 1));
        let before = moves(Scale::Before, &[new(0, 0, 0), old(2)]);
        assert_eq!((before[0], before[1].stop_healthy), (Moves::default(), 0));
        let both = moves(Scale::Both, &[new(0, 0, 0), old(2)]);
        assert_eq!(
            (
                both[0].start,
                both[0].wanted,
                both[1].wanted,
                both[1].stop_healthy
            ),
            (2, 2, 2, 0)
        );
        let lost = moves(Scale::Both, &[new(0, 2, 0), Group { wanted: 2, ..old(1) }]);
        assert_eq!((lost[0].start, lost[1].start), (0, 1));
        let alone = moves(Scale::Alone, &[new(0, 2, 0), old(2)]);
        assert_eq!(
            (alone[0].start, alone[1].stop_healthy, alone[1].wanted),
            (0, 2, 0)
        );
        let superseded = moves(Scale::Before, &[new(0, 0, 0), new(1, 1, 0), old(2)]);
        assert_eq!(
            (
                superseded[1].stop_starting,
                superseded[1].stop_healthy,
                superseded[2].stop_healthy
            ),
            (1, 1, 0)
        );
    }

    proptest! {
        /// Whatever runs, a plan keeps to the bounds.
        #[test]
        fn no_plan_leaves_the_bounds(
            (desired, minimum, maximum) in (0_u32..12, 0_u32..=100, 100_u32..=200),
            primary in group(),
            before in group(),
        ) {
            let bounds = Bounds::of(desired, minimum, maximum);
            let before = Group { proven: true, ..before };
            let moves = plan(desired, bounds, Stance::Free, &[primary, before]);
            let live = primary.live() + before.live();
            let started = moves[0].start + moves[1].start;
            prop_assert!(started == 0 || live + started <= bounds.upper);
            let healthy = primary.healthy + before.healthy;
            let stopped = moves[0].stop_healthy + moves[1].stop_healthy;
            prop_assert!(stopped == 0 || healthy - stopped >= bounds.lower);
            for (group, moves) in [primary, before].iter().zip(&moves) {
                prop_assert!(moves.stop_healthy <= group.healthy);
                prop_assert!(moves.stop_starting <= group.starting);
                prop_assert!(moves.stop_unhealthy <= group.unhealthy);
            }
        }
    }

    fn group() -> impl Strategy<Value = Group> {
        (0_u32..8, 0_u32..8, 0_u32..8)
            .prop_map(|(starting, healthy, unhealthy)| new(starting, healthy, unhealthy))
    }
}
