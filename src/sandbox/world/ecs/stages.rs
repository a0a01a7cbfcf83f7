//! The lifecycle stages of a BLUE_GREEN, LINEAR or CANARY deployment, and when one follows the other.
//!
//! Pure: what the service looks like goes in, the next step comes out.

use super::Timings;
use super::hooks::Hook;
use super::request::{list, texts};
use serde_json::Value;
use std::time::Duration;

/// A stage: those of ServiceDeployment.lifecycleStage, in their order.
///
/// The documentation of the member has PRE_PRODUCTION_TRAFFIC_SHIFT, its enum in the service model has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LifecycleStage {
    /// More than one revision was active: back to one.
    ReconcileService,
    /// The new revision has not started.
    PreScaleUp,
    /// It starts, without traffic.
    ScaleUp,
    /// It runs, without traffic.
    PostScaleUp,
    /// Test traffic goes to it.
    TestTrafficShift,
    /// All test traffic is with it.
    PostTestTrafficShift,
    /// Before each step of production traffic; it shows only where hooks are configured for it.
    PreProductionTrafficShift,
    /// A step of production traffic goes to it.
    ProductionTrafficShift,
    /// All production traffic is with it.
    PostProductionTrafficShift,
    /// Both revisions run.
    BakeTime,
    /// The old revision goes.
    CleanUp,
}

impl LifecycleStage {
    /// Every stage.
    pub const ALL: [Self; 11] = [
        Self::ReconcileService,
        Self::PreScaleUp,
        Self::ScaleUp,
        Self::PostScaleUp,
        Self::TestTrafficShift,
        Self::PostTestTrafficShift,
        Self::PreProductionTrafficShift,
        Self::ProductionTrafficShift,
        Self::PostProductionTrafficShift,
        Self::BakeTime,
        Self::CleanUp,
    ];

    /// As the API says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReconcileService => "RECONCILE_SERVICE",
            Self::PreScaleUp => "PRE_SCALE_UP",
            Self::ScaleUp => "SCALE_UP",
            Self::PostScaleUp => "POST_SCALE_UP",
            Self::TestTrafficShift => "TEST_TRAFFIC_SHIFT",
            Self::PostTestTrafficShift => "POST_TEST_TRAFFIC_SHIFT",
            Self::PreProductionTrafficShift => "PRE_PRODUCTION_TRAFFIC_SHIFT",
            Self::ProductionTrafficShift => "PRODUCTION_TRAFFIC_SHIFT",
            Self::PostProductionTrafficShift => "POST_PRODUCTION_TRAFFIC_SHIFT",
            Self::BakeTime => "BAKE_TIME",
            Self::CleanUp => "CLEAN_UP",
        }
    }

    /// Whether hooks may be configured for it; a pause has fewer places than a function.
    #[must_use]
    pub fn takes_hooks(self, pause: bool) -> bool {
        match self {
            Self::ScaleUp | Self::BakeTime | Self::CleanUp => false,
            Self::TestTrafficShift | Self::ProductionTrafficShift => !pause,
            Self::ReconcileService
            | Self::PreScaleUp
            | Self::PostScaleUp
            | Self::PostTestTrafficShift
            | Self::PreProductionTrafficShift
            | Self::PostProductionTrafficShift => true,
        }
    }
}

/// All traffic, in tenths of a percent.
pub const ALL_TRAFFIC: u32 = 1000;

/// How production traffic moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// What the new revision has after each step, in tenths of a percent; the last is [`ALL_TRAFFIC`].
    steps: Vec<u32>,
    /// How long each step but the last is held.
    step_bake: Duration,
    /// How long both revisions run once all traffic has moved.
    bake: Duration,
}

impl Shift {
    /// Reads it out of a `deploymentConfiguration` whose minutes are so long; `None` for ROLLING.
    #[must_use]
    pub fn of(configuration: &Value, minute: Duration) -> Option<Self> {
        let (linear, canary) = (
            &configuration["linearConfiguration"],
            &configuration["canaryConfiguration"],
        );
        let (steps, held) = match configuration["strategy"].as_str()? {
            "BLUE_GREEN" => (vec![ALL_TRAFFIC], &Value::Null),
            "LINEAR" => {
                let step = tenths(&linear["stepPercent"]).unwrap_or(100).max(1);
                let steps = (1..=ALL_TRAFFIC.div_ceil(step)).map(|n| (n * step).min(ALL_TRAFFIC));
                (steps.collect(), &linear["stepBakeTimeInMinutes"])
            }
            "CANARY" => {
                let first = tenths(&canary["canaryPercent"]).unwrap_or(50).min(ALL_TRAFFIC);
                let mut steps = vec![first, ALL_TRAFFIC];
                steps.dedup();
                (steps, &canary["canaryBakeTimeInMinutes"])
            }
            _ => return None,
        };
        Some(Self {
            steps,
            step_bake: minutes(held, minute),
            bake: minutes(&configuration["bakeTimeInMinutes"], minute),
        })
    }

    /// The first revision of a service takes all traffic in one step: there is nothing to compare it with.
    #[must_use]
    pub fn of_first_revision() -> Self {
        Self {
            steps: vec![ALL_TRAFFIC],
            step_bake: Duration::ZERO,
            bake: Duration::ZERO,
        }
    }
}

/// Minutes of a deployment configuration; none when it does not say.
#[must_use]
pub fn minutes(value: &Value, minute: Duration) -> Duration {
    let count = value.as_u64().and_then(|n| u32::try_from(n).ok());
    minute.saturating_mul(count.unwrap_or_default())
}

/// A percentage in tenths; `None` for what is none, or has more than one decimal.
#[must_use]
pub fn tenths(percent: &Value) -> Option<u32> {
    let tenths = percent.as_f64()? * 10.0;
    let whole = tenths.round();
    let fits = (0.0..=1000.0).contains(&whole) && (tenths - whole).abs() < 1e-6;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked"
    )]
    fits.then_some(whole as u32)
}

/// What the service looks like to its deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// Whether no revision runs but the new one and the one that serves.
    pub reconciled: bool,
    /// Whether the new revision has all tasks that it needs, healthy.
    pub scaled_up: bool,
}

/// What a deployment does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advice {
    /// It waits: for an instant, or for whatever the next look shows.
    Stay(Option<Duration>),
    /// It goes on to this stage, and this step of production traffic.
    Enter(LifecycleStage, usize),
    /// It goes back, for this reason.
    Fail(String),
}

/// How far a deployment came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    shift: Shift,
    /// The stage.
    pub stage: LifecycleStage,
    /// Since when it is in this stage, or this step of it.
    pub since: Duration,
    /// The hooks of this stage.
    pub hooks: Vec<Hook>,
    step: usize,
    /// Whether a first look was taken at it.
    begun: bool,
}

/// How long a stage may last, the pauses of hooks apart: "up to 24 hours".
const LONGEST_MINUTES: u32 = 24 * 60;

impl Course {
    /// A course that begins at the next look.
    #[must_use]
    pub fn new(shift: Shift, reconciles: bool) -> Self {
        Self {
            shift,
            stage: if reconciles {
                LifecycleStage::ReconcileService
            } else {
                LifecycleStage::PreScaleUp
            },
            since: Duration::ZERO,
            hooks: Vec::new(),
            step: 0,
            begun: false,
        }
    }

    /// Enters a stage with its hooks.
    pub fn enter(&mut self, now: Duration, stage: LifecycleStage, step: usize, hooks: Vec<Hook>) {
        self.begun = true;
        self.stage = stage;
        self.step = step;
        self.since = now;
        self.hooks = hooks;
    }

    /// What the new revision has of production traffic, in tenths of a percent.
    #[must_use]
    pub fn production(&self) -> u32 {
        match self.stage {
            LifecycleStage::ProductionTrafficShift => self.weight(self.step),
            LifecycleStage::PreProductionTrafficShift => {
                self.step.checked_sub(1).map_or(0, |done| self.weight(done))
            }
            stage if stage > LifecycleStage::ProductionTrafficShift => ALL_TRAFFIC,
            _ => 0,
        }
    }

    /// What the new revision has of test traffic, in tenths of a percent: all of it, until production traffic moved.
    #[must_use]
    pub fn test(&self) -> u32 {
        let tested = LifecycleStage::TestTrafficShift..=LifecycleStage::ProductionTrafficShift;
        if tested.contains(&self.stage) {
            ALL_TRAFFIC
        } else {
            0
        }
    }

    fn weight(&self, step: usize) -> u32 {
        self.shift.steps.get(step).copied().unwrap_or(ALL_TRAFFIC)
    }

    /// Decides what comes next. A stage takes `timings.stage` at least.
    #[must_use]
    pub fn advise(&self, now: Duration, sight: Sight, configuration: &Value, timings: &Timings) -> Advice {
        if !self.begun {
            return Advice::Enter(self.stage, 0);
        }
        let mut complaints = self.hooks.iter().filter_map(|hook| hook.complaint(self.stage));
        if let Some(reason) = complaints.next() {
            return Advice::Fail(reason);
        }
        if self.hooks.iter().any(Hook::is_open) {
            return Advice::Stay(self.hooks.iter().filter_map(Hook::due).min());
        }
        let (pace, longest) = (timings.stage, timings.minute * LONGEST_MINUTES);
        let least = match self.stage {
            LifecycleStage::BakeTime => self.shift.bake,
            LifecycleStage::ProductionTrafficShift if self.weight(self.step) < ALL_TRAFFIC => {
                self.shift.step_bake.max(pace)
            }
            _ => pace,
        };
        if now < self.since + least {
            return Advice::Stay(Some(self.since + least));
        }
        let ready = match self.stage {
            LifecycleStage::ReconcileService => sight.reconciled,
            LifecycleStage::ScaleUp => sight.scaled_up,
            LifecycleStage::CleanUp => false,
            _ => true,
        };
        if ready {
            let (stage, step) = self.next(configuration);
            return Advice::Enter(stage, step);
        }
        if self.stage == LifecycleStage::ScaleUp && now >= self.since + longest {
            let reason = "Service deployment rolled back because SCALE_UP lifecycle stage timed out.";
            return Advice::Fail(reason.to_owned());
        }
        Advice::Stay(None)
    }

    /// The stage that follows, and its step.
    fn next(&self, configuration: &Value) -> (LifecycleStage, usize) {
        use LifecycleStage as Stage;
        let shift = |step: usize| {
            let before = Stage::PreProductionTrafficShift;
            let hooked = list(configuration, "lifecycleHooks")
                .iter()
                .any(|hook| texts(hook, "lifecycleStages").contains(&before.as_str()));
            let stage = if hooked {
                before
            } else {
                Stage::ProductionTrafficShift
            };
            (stage, step)
        };
        match self.stage {
            Stage::ReconcileService => (Stage::PreScaleUp, 0),
            Stage::PreScaleUp => (Stage::ScaleUp, 0),
            Stage::ScaleUp => (Stage::PostScaleUp, 0),
            Stage::PostScaleUp => (Stage::TestTrafficShift, 0),
            Stage::TestTrafficShift => (Stage::PostTestTrafficShift, 0),
            Stage::PostTestTrafficShift => shift(0),
            Stage::PreProductionTrafficShift => (Stage::ProductionTrafficShift, self.step),
            Stage::ProductionTrafficShift if self.weight(self.step) < ALL_TRAFFIC => shift(self.step + 1),
            Stage::ProductionTrafficShift => (Stage::PostProductionTrafficShift, self.step),
            Stage::PostProductionTrafficShift => (Stage::BakeTime, self.step),
            Stage::BakeTime | Stage::CleanUp => (Stage::CleanUp, self.step),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL_TRAFFIC, Advice, Course, LifecycleStage, Shift, Sight, Timings, tenths};
    use serde_json::{Value, json};
    use std::time::Duration;

    const MINUTE: Duration = Duration::from_secs(60);
    const READY: Sight = Sight {
        reconciled: true,
        scaled_up: true,
    };

    /// Lets a course run; what it enters, when, and the new revision's traffic then.
    fn run(configuration: &Value, reconciles: bool) -> Vec<(u64, &'static str, u32, u32)> {
        let mut course = Course::new(Shift::of(configuration, MINUTE).unwrap(), reconciles);
        let (mut now, mut seen) = (Duration::ZERO, Vec::new());
        loop {
            match course.advise(now, READY, configuration, &Timings::default()) {
                Advice::Enter(stage, step) => {
                    course.enter(now, stage, step, Vec::new());
                    seen.push((now.as_secs(), stage.as_str(), course.production(), course.test()));
                }
                Advice::Stay(Some(until)) => now = until,
                Advice::Stay(None) => return seen,
                Advice::Fail(reason) => panic!("{reason}"),
            }
        }
    }

    #[test]
    fn a_blue_green_deployment_moves_all_traffic_at_once_and_bakes() {
        let seen = run(
            &json!({ "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5 }),
            false,
        );
        assert_eq!(
            seen,
            [
                (0, "PRE_SCALE_UP", 0, 0),
                (10, "SCALE_UP", 0, 0),
                (20, "POST_SCALE_UP", 0, 0),
                (30, "TEST_TRAFFIC_SHIFT", 0, 1000),
                (40, "POST_TEST_TRAFFIC_SHIFT", 0, 1000),
                (50, "PRODUCTION_TRAFFIC_SHIFT", 1000, 1000),
                (60, "POST_PRODUCTION_TRAFFIC_SHIFT", 1000, 0),
                (70, "BAKE_TIME", 1000, 0),
                (370, "CLEAN_UP", 1000, 0),
            ]
        );
    }

    #[test]
    fn linear_steps_are_held_but_the_last_and_a_canary_has_two() {
        let moved = |configuration: Value| {
            let seen = run(&configuration, false);
            let steps = seen
                .iter()
                .filter(|(_, stage, ..)| *stage == "PRODUCTION_TRAFFIC_SHIFT");
            let mut last = seen[seen
                .iter()
                .position(|one| one.1 == "POST_PRODUCTION_TRAFFIC_SHIFT")
                .unwrap()]
            .0;
            last -= 50;
            let steps: Vec<(u64, u32)> = steps.map(|(at, _, weight, _)| (at - 50, *weight)).collect();
            (steps, last)
        };
        let linear = json!({ "strategy": "LINEAR", "linearConfiguration": { "stepPercent": 30.0, "stepBakeTimeInMinutes": 2 } });
        assert_eq!(
            moved(linear),
            (vec![(0, 300), (120, 600), (240, 900), (360, 1000)], 370)
        );
        let canary = json!({ "strategy": "CANARY", "canaryConfiguration": { "canaryPercent": 0.1, "canaryBakeTimeInMinutes": 3 } });
        assert_eq!(moved(canary), (vec![(0, 1), (180, 1000)], 190));
        let whole = json!({ "strategy": "CANARY", "canaryConfiguration": { "canaryPercent": 100, "canaryBakeTimeInMinutes": 3 } });
        assert_eq!(moved(whole), (vec![(0, 1000)], 10));
    }

    #[test]
    fn reconciling_comes_first_and_pausing_before_each_step_shows() {
        let configuration = json!({
            "strategy": "CANARY",
            "lifecycleHooks": [{ "targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"] }],
        });
        let seen = run(&configuration, true);
        let stages: Vec<(&str, u32)> = seen
            .iter()
            .map(|(_, stage, weight, _)| (*stage, *weight))
            .collect();
        assert_eq!(stages[0], ("RECONCILE_SERVICE", 0));
        assert_eq!(
            stages[6..10],
            [
                ("PRE_PRODUCTION_TRAFFIC_SHIFT", 0),
                ("PRODUCTION_TRAFFIC_SHIFT", 50),
                ("PRE_PRODUCTION_TRAFFIC_SHIFT", 50),
                ("PRODUCTION_TRAFFIC_SHIFT", ALL_TRAFFIC),
            ]
        );
    }

    #[test]
    fn a_revision_that_never_scales_up_is_given_up_after_a_day() {
        let configuration = json!({ "strategy": "BLUE_GREEN" });
        let mut course = Course::new(Shift::of(&configuration, MINUTE).unwrap(), false);
        course.enter(Duration::ZERO, LifecycleStage::ScaleUp, 0, Vec::new());
        let sight = Sight {
            scaled_up: false,
            ..READY
        };
        let at = |hours: u64| {
            let now = Duration::from_secs(hours * 3600);
            course.advise(now, sight, &configuration, &Timings::default())
        };
        assert_eq!(at(23), Advice::Stay(None));
        assert!(matches!(at(24), Advice::Fail(reason) if reason.contains("SCALE_UP")));
    }

    #[test]
    fn a_percentage_has_one_decimal_at_most() {
        for (percent, expected) in [
            (json!(0.1), Some(1)),
            (json!(12.3), Some(123)),
            (json!(100), Some(1000)),
            (json!(0.25), None),
            (json!(100.1), None),
            (json!(-1), None),
            (json!("5"), None),
        ] {
            assert_eq!(tenths(&percent), expected, "{percent}");
        }
    }
}
