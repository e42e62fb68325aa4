//! How far a job is: published at most ten times a second, with the rate of the last items and the time left.

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

use super::message::Progress;
use super::message::Unit;

/// No more than ten messages a second: more cannot be read, and each costs a frame.
pub(super) const PUBLISH_EVERY: Duration = Duration::from_millis(100);

/// The rate is that of this last stretch of time...
const RATE_SPAN: Duration = Duration::from_secs(20);

/// ...or of this many steps, where steps are slow.
const RATE_STEPS: usize = 6;

/// Lets something through at most once in [`PUBLISH_EVERY`].
#[derive(Debug, Default)]
pub(super) struct Throttle {
    last: Option<Instant>,
}

impl Throttle {
    /// Whether enough time has gone by; counts as a pass if so.
    pub(super) fn passes(&mut self, now: Instant) -> bool {
        let passes = self
            .last
            .is_none_or(|last| now.duration_since(last) >= PUBLISH_EVERY);
        if passes {
            self.last = Some(now);
        }
        passes
    }
}

/// Measures a job's rate and says when its progress is worth publishing.
#[derive(Debug, Default)]
pub(super) struct Meter {
    throttle: Throttle,
    stage: String,
    steps: VecDeque<(Instant, u64)>,
}

impl Meter {
    /// Takes note of the state of the work; `Some` when it should be published now.
    pub(super) fn note(
        &mut self,
        now: Instant,
        done: u64,
        total: u64,
        stage: &str,
    ) -> Option<Progress> {
        let new_stage = stage != self.stage;
        if new_stage {
            stage.clone_into(&mut self.stage);
            self.steps.clear();
        }
        self.add_step(now, done);
        let finished = total > 0 && done == total;
        if !(self.throttle.passes(now) || new_stage || finished) {
            return None;
        }
        let per_second = self.per_second();
        Some(Progress {
            done,
            total,
            per_second,
            seconds_left: per_second
                .filter(|_| total > done)
                .map(|rate| (total - done) as f64 / rate),
            stage: self.stage.clone(),
            unit: Unit::Items,
        })
    }

    /// Forgets the steps before a pause: waiting is no work.
    pub(super) fn restart(&mut self) {
        self.steps.clear();
    }

    fn add_step(&mut self, now: Instant, done: u64) {
        if self.steps.back().is_some_and(|(_, last)| *last == done) {
            return;
        }
        self.steps.push_back((now, done));
        while self.steps.len() > RATE_STEPS
            && self
                .steps
                .front()
                .is_some_and(|(at, _)| now.duration_since(*at) > RATE_SPAN)
        {
            self.steps.pop_front();
        }
    }

    fn per_second(&self) -> Option<f64> {
        let (first_at, first) = self.steps.front()?;
        let (last_at, last) = self.steps.back()?;
        let seconds = last_at.duration_since(*first_at).as_secs_f64();
        (last > first && seconds > 0.0).then(|| (last - first) as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn progress_is_published_ten_times_a_second_at_most() {
        let start = Instant::now();
        let mut meter = Meter::default();
        let published = (0..1000)
            .filter(|ms| {
                meter
                    .note(after(start, *ms), *ms, 5000, "Reading")
                    .is_some()
            })
            .count();
        assert_eq!(published, 10);
    }

    #[test]
    fn rate_and_time_left_follow_the_last_items() {
        let start = Instant::now();
        let mut meter = Meter::default();
        let mut last = None;
        for step in 0..=10 {
            last = meter
                .note(after(start, step * 500), step, 20, "Describing")
                .or(last);
        }
        let last = last.unwrap();
        assert!((last.per_second.unwrap() - 2.0).abs() < 1e-9);
        assert!((last.seconds_left.unwrap() - 5.0).abs() < 1e-9);
    }

    #[test]
    fn the_last_item_and_a_new_stage_are_always_published() {
        let start = Instant::now();
        let mut meter = Meter::default();
        assert!(meter.note(start, 0, 2, "Reading").is_some());
        assert!(meter.note(after(start, 1), 1, 2, "Reading").is_none());
        assert!(meter.note(after(start, 2), 2, 2, "Reading").is_some());
        assert!(meter.note(after(start, 3), 0, 2, "Saving").is_some());
    }

    #[test]
    fn nothing_is_said_of_the_rate_before_two_items() {
        let mut meter = Meter::default();
        let progress = meter.note(Instant::now(), 0, 10, "Reading").unwrap();
        assert_eq!((progress.per_second, progress.seconds_left), (None, None));
    }
}
